"""What the engine's vector unit does: steps of sums of products, one per named edge.

A step computes, lane by lane, req(sum of its terms) and then, if asked, an activation.  A term is
+-a*b + addend + bias, each part optional.  Formats follow the arithmetic stated in
`ernn.ir.integer_model`.  `ernn.scheduling.layer_stages` makes the program of a model.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ernn.ir.activations import Function
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_parts import Product


@dataclass(frozen=True)
class Value:
    """A vector kept by the vector unit.

    `copies`: of the whole vector, each stream's own: 2 where the frame before's is still read when
    this frame's is written, 1 where it is not; 0 where it lives within a chunk of lines.
    """

    name: str
    length: int
    format: FixedFormat
    copies: int = 0


@dataclass(frozen=True)
class Kept:
    """A value as a term reads it: this frame's, or with `before` the frame before's.

    `initial`: the name of what it is before a sequence's first frame; empty for zero.
    """

    value: Value
    before: bool = False
    initial: str = ""

    @property
    def format(self) -> FixedFormat:
        return self.value.format


@dataclass(frozen=True)
class Gate:
    """One gate of a product."""

    product: str
    gate: int
    format: FixedFormat


@dataclass(frozen=True)
class Arrived:
    """The network's input as it came in."""

    format: FixedFormat


@dataclass(frozen=True, eq=False)
class Constant:
    """A constant vector: a bias, a peephole, another vector of the description."""

    values: np.ndarray
    format: FixedFormat


@dataclass(frozen=True, eq=False)
class Term:
    """+-a*b + addend + bias; b may be a constant; an addend that is kept takes a's place."""

    a: Kept | None = None
    b: Kept | Constant | None = None
    negative: bool = False
    addend: Gate | Arrived | Kept | None = None
    bias: Constant | None = None

    @property
    def product_frac(self) -> int | None:
        return None if self.a is None or self.b is None else self.a.format.frac + self.b.format.frac

    @property
    def fracs(self) -> list[int]:
        parts = [part.format.frac for part in (self.addend, self.bias) if part is not None]
        return parts if self.product_frac is None else [*parts, self.product_frac]

    @property
    def reads(self) -> Iterator[Kept]:
        """What it reads of the values."""
        return (part for part in (self.a, self.b, self.addend) if isinstance(part, Kept))

    @property
    def factor(self) -> Constant | None:
        """A constant second factor."""
        return self.b if isinstance(self.b, Constant) else None


@dataclass(frozen=True, eq=False)
class Step:
    """req(sum of terms -> target), then `activation` (of them relu keeps the format); the result is
    the edge `name`.

    `keep`: written to the vector unit's memory.  `signal`: sent through the forward transform.
    `output`: sent out; `final`: its last line ends the frame's outputs.  `copy`: not 0 where it
    only copies the edge, and then no two are the same.  `then`: a step that looks the result up in
    a table, made with it.
    """

    name: str
    length: int
    terms: tuple[Term, ...]
    target: FixedFormat
    activation: Function | None = None
    keep: Value | None = None
    signal: str | None = None
    output: bool = False
    final: bool = False
    copy: int = 0
    then: "Step | None" = None

    @property
    def finer(self) -> int:
        """Fraction bits that the table of `then` reads beyond the result's own."""
        return 0 if self.then is None else self.then.target.frac - self.target.frac

    @property
    def frac(self) -> int:
        """Fraction bits of the exact sum: enough for every term and for the target."""
        return max([self.target.frac] + [frac for term in self.terms for frac in term.fracs])


@dataclass(frozen=True, eq=False)
class LayerStage:
    """Products that can start together, then the steps that use them, all of one length."""

    layer: str
    products: tuple[Product, ...]
    steps: tuple[Step, ...]

    @property
    def results(self) -> Iterator[Step]:
        """Steps, and those made with them."""
        for step in self.steps:
            yield step
            if step.then is not None:
                yield step.then

    @cached_property
    def follows(self) -> tuple[frozenset[int], ...]:
        """Of each step those before it, by number, that it must follow: what it reads they give, or
        they read what it writes."""
        return tuple(
            frozenset(n for n in range(number) if _met(self.steps[n], later))
            for number, later in enumerate(self.steps)
        )

    @cached_property
    def left(self) -> tuple[int, ...]:
        """Of each step how many follow each other from there to the end, itself among them."""
        found = [1] * len(self.steps)
        for number in reversed(range(len(self.steps))):
            for before in self.follows[number]:
                found[before] = max(found[before], found[number] + 1)
        return tuple(found)

    def at_once(self) -> "LayerStage":
        """The same, where what only looks a step's result up in a table (an LSTM's tanh of c) is
        made with it, unless that has fewer fraction bits than the result."""
        pairs = {
            id(step): later for step in self.steps for later in self.steps if _looks_up(later, step)
        }
        gone = {id(later) for later in pairs.values()}
        steps = (replace(one, then=pairs.get(id(one))) for one in self.steps if id(one) not in gone)
        return replace(self, steps=tuple(steps))


def _met(first: Step, later: Step) -> bool:
    """Whether one of two steps reads what the other keeps."""
    return any(
        kept.value == made.keep
        for one, other in ((first, later), (later, first))
        for made in (one, one.then)
        if made is not None
        for term in other.terms
        for kept in term.reads
    )


def _looks_up(later: Step, step: Step) -> bool:
    if step.keep is None or later.activation in (None, "relu") or step.activation is not None:
        return False
    inside = (one.signal is None and not one.output for one in (step, later))
    same = [(term.addend, term.fracs) for term in later.terms] == [
        (Kept(step.keep), [step.target.frac])
    ]
    kept = later.keep is not None and not later.keep.copies  # no other stage or frame reads it
    return all(inside) and same and kept and later.target.frac >= step.target.frac


def heights(stage: LayerStage) -> dict[tuple[str, int], int]:
    """Steps one after the other from a gate (product, number) to the end of the stage, the one that
    reads it among them."""
    after: dict[int, int] = {}
    for number in reversed(range(len(stage.steps))):
        made = stage.steps[number]
        readers = [
            after[later]
            for later in range(number + 1, len(stage.steps))
            for one in (made, made.then)
            if one is not None and one.keep is not None
            if _reads(stage.steps[later], Kept(one.keep))
        ]
        after[number] = 1 + max(readers, default=0)
    found: dict[tuple[str, int], int] = {}
    for number, step in enumerate(stage.steps):
        for gate in (term.addend for term in step.terms):
            if isinstance(gate, Gate):
                key = gate.product, gate.gate
                found[key] = max(after[number], found.get(key, 0))
    return found


def _reads(step: Step, kept: Kept) -> bool:
    return any(kept in term.reads for term in step.terms)
