"""Recurrent cells as short descriptions: products, then element-wise steps.

From one description come the float reference, the torch module that is trained, the integers of
golden and the engine's program.  A coupled-gate LSTM is

    Cell("coupled-gate LSTM", (
        CellStage(
            (CellProduct("gates", 3, ("x", "h")),),
            (
                CellStep("i", "gates.0", "sigmoid"),
                CellStep("g", "gates.1", "tanh"),
                CellStep("c", "c - i*c + i*g"),
                CellStep("o", "gates.2", "sigmoid"),
                CellStep("t", "c", "tanh"),
                CellStep("h", "o*t", bounded=True),
            ),
        ),
    ))

A step is a sum of terms.  `gates.1` is gate 1 of the product `gates`, its bias included; other
names are steps, or constant vectors (`vectors`), which may only be the second factor of a product.
A step that is read before it is written in the frame is the frame before's, zero before the first.
"x" is the layer's input; products alone read it.

The engine's sums and golden's take at most two products and two addends, a bias being one; addends
are only added.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from ernn.errors import UserError

Function = Literal["sigmoid", "tanh", "relu"]
INPUT = "x"

_TERM = re.compile(r"\s*([+-]?)\s*([\w.]+)(?:\s*\*\s*([\w.]+))?\s*")


@dataclass(frozen=True)
class CellProduct:
    """`gates` matrices times each of the vectors that it `reads`, summed; `bias`: one a gate is
    added.
    """

    name: str
    gates: int
    reads: tuple[str, ...]
    bias: bool = True


@dataclass(frozen=True)
class CellTerm:
    """One factor or two, added or taken away."""

    factors: tuple[str, ...]
    negative: bool = False


@dataclass(frozen=True)
class CellStep:
    """`name` = activation(`sum`); `bounded`: its values cannot leave [-1, 1] (sigmoid's and tanh's
    never can).
    """

    name: str
    sum: str
    activation: Function | None = None
    bounded: bool = False

    @cached_property
    def terms(self) -> tuple[CellTerm, ...]:
        found, at = [], 0
        while at < len(self.sum):
            match = _TERM.match(self.sum, at)
            if match is None or (found and not match[1]):
                raise UserError(
                    f"step {self.name}: {self.sum!r} is not a sum of names and products of two "
                    "names"
                )
            found.append(
                CellTerm(tuple(name for name in match.groups()[1:] if name), match[1] == "-")
            )
            at = match.end()
        return tuple(found)

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(name for term in self.terms for name in term.factors)


@dataclass(frozen=True)
class CellStage:
    """Products that can start together, then the steps that use them, all of one length."""

    products: tuple[CellProduct, ...]
    steps: tuple[CellStep, ...]


@dataclass(frozen=True)
class Cell:
    """`title` for people. `output`: the step that is the layer's output.

    Raises UserError for a description that the engine could not run.
    """

    title: str
    stages: tuple[CellStage, ...]
    vectors: tuple[str, ...] = ()
    output: str = "h"

    def __post_init__(self) -> None:
        names = [step.name for step in self.steps]
        _require(
            len(set(names)) == len(names) and INPUT not in names,
            f"{self.title}: two steps have the same name",
        )
        _require(self.output in names, f"{self.title} has no step {self.output!r} for its output")
        for product in self.products:
            missing = set(product.reads) - {INPUT, *names}
            _require(
                not missing,
                f"{self.title}: product {product.name} reads {missing}, which is no step",
            )
        for step in self.steps:
            self._check(step)
        read = {name for step in self.steps for name in step.reads} | {
            r for p in self.products for r in p.reads
        }
        idle = [name for name in names if name not in read and name != self.output]
        _require(not idle, f"{self.title}: nothing reads {', '.join(idle)}")

    def _check(self, step: CellStep) -> None:
        what = f"{self.title}, step {step.name}"
        addends = [term for term in step.terms if len(term.factors) == 1]
        products = [term for term in step.terms if len(term.factors) == 2]
        count = sum(2 if self._has_bias(term.factors[0]) else 1 for term in addends)
        _require(
            count <= 2 and len(products) <= 2,
            f"{what}: two addends (a bias is one) and two products at most",
        )
        _require(
            not any(term.negative for term in addends), f"{what}: only products can be taken away"
        )
        for term in step.terms:
            for place, name in enumerate(term.factors):
                gate = self.gate(name)
                known = gate is not None or name in self.vectors or name in self._names
                _require(
                    known, f"{what} reads {name}, which is neither a step, a gate nor a vector"
                )
                _require(
                    gate is None or len(term.factors) == 1,
                    f"{what}: a gate cannot be multiplied; keep it first",
                )
                _require(
                    name not in self.vectors or place == 1,
                    f"{what}: a vector is the second factor of a product",
                )

    def _has_bias(self, name: str) -> bool:
        gate = self.gate(name)
        return gate is not None and gate[0].bias

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(step.name for step in self.steps)

    @cached_property
    def products(self) -> tuple[CellProduct, ...]:
        return tuple(product for stage in self.stages for product in stage.products)

    @cached_property
    def steps(self) -> tuple[CellStep, ...]:
        return tuple(step for stage in self.stages for step in stage.steps)

    def gate(self, name: str) -> tuple[CellProduct, int] | None:
        """Product and number of a gate's name; None where it names something else."""
        product, dot, number = name.partition(".")
        found = next((p for p in self.products if p.name == product), None)
        return (
            None if not dot or found is None or int(number) >= found.gates else (found, int(number))
        )

    @cached_property
    def signals(self) -> tuple[str, ...]:
        """Steps that products read, here or in the next layer."""
        read = {name for product in self.products for name in product.reads}
        return tuple(
            step.name for step in self.steps if step.name in read or step.name == self.output
        )

    @cached_property
    def kept(self) -> tuple[str, ...]:
        """Steps whose numbers other steps read, or the next frame's."""
        read = {name for step in self.steps for name in step.reads}
        return tuple(step.name for step in self.steps if step.name in read)

    @cached_property
    def states(self) -> tuple[str, ...]:
        """Steps of which another step reads the frame before's numbers."""
        return tuple(dict.fromkeys(name for name, when in self._early() if when == "number"))

    @cached_property
    def recurrent(self) -> tuple[str, ...]:
        """Steps of which a product reads the frame before's."""
        return tuple(dict.fromkeys(name for name, when in self._early() if when == "spectrum"))

    def _early(self) -> Iterator[tuple[str, str]]:
        """What is read before it is written."""
        written: set[str] = set()
        for stage in self.stages:
            for product in stage.products:
                yield from (
                    (name, "spectrum") for name in product.reads if name not in written | {INPUT}
                )
            for step in stage.steps:
                yield from (
                    (name, "number") for name in step.reads if name in self._names - written
                )
                written.add(step.name)

    def stage_of(self, step: str) -> int:
        """In which stage a step is written."""
        return next(
            n for n, stage in enumerate(self.stages) if any(s.name == step for s in stage.steps)
        )

    def read_later(self, step: str) -> bool:
        """Whether another stage reads its numbers."""
        written = self.stage_of(step)
        readers = (
            n for n, stage in enumerate(self.stages) for other in stage.steps if step in other.reads
        )
        return any(n != written for n in readers)

    def lengths(self, rows: Mapping[str, int], vectors: Mapping[str, int]) -> dict[str, int]:
        """Length of every step, from those of the products' gates and of the vectors; UserError
        where they differ.
        """
        found: dict[str, int] = {}
        while len(found) < len(self.steps):
            before = len(found)
            for step in self.steps:
                sizes = {
                    size
                    for name in step.reads
                    if (size := self._length(name, rows, vectors, found)) is not None
                }
                _require(
                    len(sizes) < 2,
                    f"{self.title}, step {step.name}: lengths {sorted(sizes)} are added",
                )
                if sizes:
                    found[step.name] = sizes.pop()
            _require(
                len(found) > before, f"{self.title}: the length of a step follows from nothing"
            )
        return found

    def _length(
        self, name: str, rows: Mapping[str, int], vectors: Mapping[str, int], found: dict[str, int]
    ) -> int | None:
        gate = self.gate(name)
        return rows[gate[0].name] if gate else vectors.get(name, found.get(name))


def _require(ok: bool, message: str) -> None:
    if not ok:
        raise UserError(message)
