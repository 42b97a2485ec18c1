"""Layers as short descriptions: products, then element-wise steps.

From one description come the float reference, the torch module that is trained, the integers of
golden and the engine's program.  A coupled-gate LSTM is

    Cell("coupled-gate LSTM", (
        CellStage(
            (CellProduct("gates", 3, (Read("x"), Read("h", 1))),),
            (
                CellStep("i", "gates.0", "sigmoid"),
                CellStep("g", "gates.1", "tanh"),
                CellStep("c", "c@1 - i*c@1 + i*g"),
                CellStep("o", "gates.2", "sigmoid"),
                CellStep("t", "c", "tanh"),
                CellStep("h", "o*t", bounded=True),
            ),
        ),
    ))

A step is a sum of terms.  `gates.1` is gate 1 of the product `gates`, its bias included; other
names are steps, the layer's inputs, or constant vectors.  `c@1` is c of one frame before: its
initial value before the first.  What has no delay must have been written earlier in the same frame.
Products read what was written any number of frames before; a step reads one frame back at most, and
keeps what is older in a step of its own.

A sum has at most two products and eight addends, a bias being one; addends are only added.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ernn.errors import UserError
from ernn.ir.activations import BOUNDED, FUNCTIONS, Function

INPUT = "x"
"""The usual name of a layer's only input."""

LONGEST_SUM, MOST_DELAY, MOST_GATES = 1000, 1 << 16, 1 << 12
MOST_PRODUCTS, MOST_ADDENDS = 2, 8
"""Of a sum."""

_NAME = r"[\w.]+(?:@\d+)?"
_TERM = re.compile(rf"\s*([+-]?)\s*({_NAME})(?:\s*\*\s*({_NAME}))?\s*")


@dataclass(frozen=True)
class Read:
    """What is read: an input or a step (in a sum a gate or a vector, too), `delay` frames ago.

    >>> Read.of("h@1")
    Read(name='h', delay=1)
    """

    name: str
    delay: int = 0

    def __post_init__(self) -> None:
        _require(
            0 <= self.delay <= MOST_DELAY, f"a delay must be 0..{MOST_DELAY}, not {self.delay}"
        )

    @classmethod
    def of(cls, text: str) -> "Read":
        """From the words of a description: `h`, or `h@1`."""
        name, _, delay = text.partition("@")
        return cls(name, int(delay or 0))

    def __str__(self) -> str:
        return f"{self.name}@{self.delay}" if self.delay else self.name


@dataclass(frozen=True)
class CellProduct:
    """`gates` matrices times each of the vectors that it `reads`, summed; `bias`: one is added."""

    name: str
    gates: int
    reads: tuple[Read, ...]
    bias: bool = True

    def __post_init__(self) -> None:
        _require(
            0 < self.gates <= MOST_GATES and len(self.reads) > 0,
            f"product {self.name}: 1..{MOST_GATES} gates and at least one vector read, not "
            f"{self.gates} and {len(self.reads)}",
        )


@dataclass(frozen=True)
class CellTerm:
    """One factor or two, added or taken away."""

    factors: tuple[Read, ...]
    negative: bool = False


@dataclass(frozen=True)
class CellStep:
    """`name` = activation(`sum`); `bounded`: its values cannot leave [-1, 1], as a sigmoid's."""

    name: str
    sum: str
    activation: Function | None = None
    bounded: bool = False

    @cached_property
    def terms(self) -> tuple[CellTerm, ...]:
        if len(self.sum) > LONGEST_SUM:
            raise UserError(f"step {self.name}: a sum has at most {LONGEST_SUM} characters")
        found, at = [], 0
        while at < len(self.sum):
            match = _TERM.match(self.sum, at)
            if match is None or (found and not match[1]):
                raise UserError(
                    f"step {self.name}: {self.sum!r} is not a sum of names and products of two"
                )
            factors = tuple(Read.of(name) for name in match.groups()[1:] if name)
            found.append(CellTerm(factors, match[1] == "-"))
            at = match.end()
        return tuple(found)

    @property
    def reads(self) -> tuple[Read, ...]:
        return tuple(read for term in self.terms for read in term.factors)

    @property
    def within_one(self) -> bool:
        """Whether its values cannot leave [-1, 1]."""
        return self.bounded or self.activation in BOUNDED


@dataclass(frozen=True)
class CellStage:
    """Products that can start together, then the steps that use them, all of one length."""

    products: tuple[CellProduct, ...]
    steps: tuple[CellStep, ...]

    def __post_init__(self) -> None:
        _require(len(self.steps) > 0, "a stage needs at least one step")


@dataclass(frozen=True)
class Cell:
    """A layer's equations.

    title: for people.
    stages: products and the steps that use them, in the order in which they are computed.
    vectors: constants, as many numbers as the steps that read them have.
    inputs: what the layer is given each frame.
    outputs: steps that other layers and the network's user may have.

    Raises UserError for a description that the engine could not run.
    """

    title: str
    stages: tuple[CellStage, ...]
    vectors: tuple[str, ...] = ()
    inputs: tuple[str, ...] = (INPUT,)
    outputs: tuple[str, ...] = ("h",)

    def __post_init__(self) -> None:
        products = (product.name for product in self.products)
        names = [*self.inputs, *self.vectors, *products, *self._steps]
        twice = sorted({name for name in names if names.count(name) > 1})
        _require(not twice, f"{self.title}: {', '.join(twice)} names two things")
        _require(
            len(self.inputs) > 0 and len(self.outputs) > 0, f"{self.title}: inputs and outputs"
        )
        for output in self.outputs:
            _require(output in self._steps, f"{self.title} has no step {output!r} for its output")
        for step in self.steps:
            _require(step.activation in FUNCTIONS, f"{self.title}: no function {step.activation!r}")
            self._check_sum(step)
        self._check_order()
        self._check_used()

    def _check_sum(self, step: CellStep) -> None:
        what = f"{self.title}, step {step.name}"
        addends = [term for term in step.terms if len(term.factors) == 1]
        products = [term for term in step.terms if len(term.factors) == 2]
        count = sum(2 if self._has_bias(term.factors[0].name) else 1 for term in addends)
        _require(
            count <= MOST_ADDENDS and len(products) <= MOST_PRODUCTS,
            f"{what}: {MOST_ADDENDS} addends (a bias is one) and {MOST_PRODUCTS} products at most",
        )
        _require(
            not any(term.negative for term in addends), f"{what}: only products can be taken away"
        )
        vectors = [term for term in addends if term.factors[0].name in self.vectors]
        _require(len(vectors) < 2, f"{what}: two constant vectors are added; add them beforehand")
        for term in step.terms:
            for place, read in enumerate(term.factors):
                self._check_factor(what, read, place, len(term.factors))

    def _check_factor(self, what: str, read: Read, place: int, count: int) -> None:
        name, gate = read.name, self.gate(read.name)
        constant = gate is not None or name in self.vectors
        known = constant or name in self._steps or name in self.inputs
        _require(
            known, f"{what} reads {name}, which is neither a step, an input, a gate nor a vector"
        )
        _require(
            gate is None or count == 1,
            f"{what}: a gate cannot be multiplied; keep it in a step first",
        )
        _require(
            name not in self.vectors or place == count - 1,
            f"{what}: a vector is added, or the second factor of a product",
        )
        _require(
            read.delay <= (0 if constant else 1),
            f"{what} reads {read}: gates and vectors have no delay, steps and inputs one frame; "
            "keep what is older in a step of its own",
        )

    def _check_order(self) -> None:
        """What has no delay was written earlier in the same frame."""
        written = {*self.inputs, *self.vectors}
        for stage in self.stages:
            for product in stage.products:
                for read in product.reads:
                    known = read.name in self._steps or read.name in self.inputs
                    what = f"{self.title}: product {product.name} reads {read.name}, which"
                    _require(known, f"{what} is no step")
                    _require(
                        read.delay > 0 or read.name in written,
                        f"{what} is written later in the frame: give it a delay, {read.name}@1",
                    )
            gates = {f"{p.name}.{gate}" for p in stage.products for gate in range(p.gates)}
            for step in stage.steps:
                for read in step.reads:
                    now = read.name in written | gates
                    _require(
                        read.delay > 0 or now,
                        f"{self.title}, step {step.name} reads {read.name}, which is written later "
                        f"in the frame: write {read.name}@1 for the frame before's",
                    )
                written.add(step.name)

    def _check_used(self) -> None:
        read = {r.name for step in self.steps for r in step.reads}
        read |= {r.name for p in self.products for r in p.reads}
        names = [*self._steps, *self.inputs, *self.vectors]
        idle = [name for name in names if name not in read and name not in self.outputs]
        _require(not idle, f"{self.title}: nothing reads {', '.join(idle)}")

    def _has_bias(self, name: str) -> bool:
        gate = self.gate(name)
        return gate is not None and gate[0].bias

    @cached_property
    def _steps(self) -> tuple[str, ...]:
        return tuple(step.name for step in self.steps)

    @cached_property
    def products(self) -> tuple[CellProduct, ...]:
        return tuple(product for stage in self.stages for product in stage.products)

    @cached_property
    def steps(self) -> tuple[CellStep, ...]:
        return tuple(step for stage in self.stages for step in stage.steps)

    @cached_property
    def _gates(self) -> dict[str, tuple[CellProduct, int]]:
        return {f"{p.name}.{gate}": (p, gate) for p in self.products for gate in range(p.gates)}

    def gate(self, name: str) -> tuple[CellProduct, int] | None:
        """Product and number of a gate's name; None where it names something else."""
        return self._gates.get(name)

    def readers(self, product: CellProduct) -> list[CellStep]:
        """Steps that read a gate of a product."""
        gates = {name for name, (of, _) in self._gates.items() if of == product}
        return [step for step in self.steps if gates & {read.name for read in step.reads}]

    @cached_property
    def multiplied(self) -> frozenset[str]:
        """Inputs and steps that products read."""
        return frozenset(read.name for product in self.products for read in product.reads)

    @cached_property
    def signals(self) -> tuple[str, ...]:
        """Steps that products read, here or perhaps in a later layer."""
        return tuple(
            name for name in self._steps if name in self.multiplied or name in self.outputs
        )

    @cached_property
    def kept(self) -> tuple[str, ...]:
        """Steps whose numbers other steps read, in this frame or the next."""
        read = {read.name for step in self.steps for read in step.reads}
        return tuple(name for name in self._steps if name in read)

    @cached_property
    def states(self) -> tuple[str, ...]:
        """Inputs and steps of which a step reads the frame before's numbers."""
        read = {read.name for step in self.steps for read in step.reads if read.delay}
        return tuple(name for name in (*self.inputs, *self._steps) if name in read)

    @cached_property
    def circular(self) -> frozenset[str]:
        """Steps of whose numbers later ones are made by steps alone: a GRU's h, an LSTM's c."""
        reads = {step.name: {read.name for read in step.reads} for step in self.steps}

        def origins(name: str) -> set[str]:
            found, more = set[str](), reads[name]
            while more := (more & reads.keys()) - found:
                found |= more
                more = set[str]().union(*(reads[one] for one in more))
            return found

        return frozenset(name for name in reads if name in origins(name))

    @cached_property
    def delays(self) -> Mapping[str, int]:
        """Inputs and steps that products read delayed, and by how many frames at most."""
        found: dict[str, int] = {}
        for read in (read for product in self.products for read in product.reads if read.delay):
            found[read.name] = max(read.delay, found.get(read.name, 0))
        return found

    @cached_property
    def remembered(self) -> tuple[str, ...]:
        """Inputs and steps whose values outlive their frame: each has an initial value."""
        names = (*self.inputs, *self._steps)
        return tuple(name for name in names if name in self.states or name in self.delays)

    @property
    def recurrent(self) -> bool:
        """Whether a frame's outputs depend on what the layer wrote in the frame before."""
        return any(name in self._steps for name in self.remembered)

    def lengths(self, rows: Mapping[str, int], known: Mapping[str, int]) -> dict[str, int]:
        """Length of every step and input.

        `rows`: of each product's gates; `known`: of vectors, and of inputs that products read.
        Raises UserError where they differ.
        """
        found = {name: known[name] for name in self.inputs if name in known}
        wanted = len(self.inputs) + len(self.steps)
        while len(found) < wanted:
            before = len(found)
            for step in self.steps:
                sizes = set(self._sizes(step, rows, known, found))
                _require(
                    len(sizes) < 2,
                    f"{self.title}, step {step.name}: lengths {sorted(sizes)} are added",
                )
                if sizes:
                    found |= dict.fromkeys(self._alike(step), sizes.pop())
            _require(
                len(found) > before,
                f"{self.title}: the length of a step or input follows from nothing",
            )
        return found

    def _alike(self, step: CellStep) -> Iterator[str]:
        """A step, and the inputs and steps that it reads: all of one length."""
        yield step.name
        names = (*self.inputs, *self._steps)
        yield from (read.name for read in step.reads if read.name in names)

    def _sizes(
        self,
        step: CellStep,
        rows: Mapping[str, int],
        known: Mapping[str, int],
        found: Mapping[str, int],
    ) -> Iterator[int]:
        for name in (step.name, *(read.name for read in step.reads)):
            gate = self.gate(name)
            if gate is not None:
                yield rows[gate[0].name]
            elif name in found or name in known:
                yield found[name] if name in found else known[name]


def _require(ok: bool, message: str) -> None:
    if not ok:
        raise UserError(message)
