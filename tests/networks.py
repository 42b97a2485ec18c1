"""Random networks over the whole language of `ernn.ir.cell`: random cells in random graphs.

Every kind of test draws them here: training, golden and hardware are held to the same networks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar, get_args

import numpy as np
from hypothesis import strategies as st

from ernn.ir.activations import Function
from ernn.ir.cell import Cell, CellProduct, CellStage, CellStep, Read
from ernn.ir.network import NETWORK, Layer, Network, Source
from ernn.ir.reference import run
from tests.models import random_matrix, structure_of

ACTIVATIONS: tuple[Function | None, ...] = (None, *get_args(Function))
T = TypeVar("T")
LARGEST = 50.0
"""Networks whose values grow beyond this within the frames tried are not given."""


@dataclass(frozen=True)
class Limits:
    """How large a network may be: layers, stages of a layer, numbers of a vector, frames back."""

    layers: int = 3
    stages: int = 2
    size: int = 8
    delay: int = 4


def networks(
    limits: Limits = Limits(), blocks: tuple[int, ...] = (1, 2, 4, 8)
) -> st.SearchStrategy[Network]:
    """A strategy of networks, for Hypothesis."""
    seeds, sizes = st.integers(0, 1 << 30), st.sampled_from(blocks)
    return st.builds(lambda seed, block: any_network(seed, block, limits), seeds, sizes)


def any_network(seed: int, block: int, limits: Limits = Limits()) -> Network:
    """A network whose matrices are dense or in blocks of `block`; always the same of a seed."""
    for attempt in range(100):
        rng = np.random.default_rng((seed, attempt))
        made = _network(rng, block, limits)
        with np.errstate(all="ignore"):
            outputs = [run(_showing_all(made), frames)[0] for frames in _frames(rng, made)]
        if np.abs(np.concatenate(outputs)).max() < LARGEST:
            return made
    raise AssertionError(f"no network of seed {seed} stays small")


def _frames(rng: np.random.Generator, network: Network) -> list[np.ndarray]:
    return [rng.normal(size=(40, network.input_size)) for _ in range(2)]


def _showing_all(network: Network) -> Network:
    """The same with every step among its outputs."""
    layers, outputs = [], []
    for number, layer in enumerate(network.layers):
        steps = tuple(step.name for step in layer.cell.steps)
        layers.append(replace(layer, cell=replace(layer.cell, outputs=steps)))
        outputs += [Source(number, name) for name in steps]
    return Network(tuple(layers), outputs=tuple(outputs))


def _network(rng: np.random.Generator, block: int, limits: Limits) -> Network:
    sizes = {NETWORK: _between(rng, 1, limits.size)}
    layers: list[Layer] = []
    for number in range(_between(rng, 1, limits.layers)):
        count = _between(rng, 1, 3)
        inputs = [_pick(rng, list(sizes)) for _ in range(count)]
        if number == 0:
            inputs = [NETWORK] * min(count, 2)
        layer = _layer(rng, block, tuple(inputs), tuple(sizes[one] for one in inputs), limits)
        layers.append(layer)
        sizes |= {Source(number, name): layer.lengths[name] for name in layer.cell.outputs}
    given = [source for source in sizes if source != NETWORK]
    outputs = tuple(_pick(rng, given) for _ in range(_between(rng, 1, 3)))
    if not any(layer.weights for layer in layers):
        return _network(rng, block, limits)
    return Network(tuple(layers), outputs=outputs)


def _layer(
    rng: np.random.Generator,
    block: int,
    inputs: tuple[Source, ...],
    sizes: tuple[int, ...],
    limits: Limits,
) -> Layer:
    drawn = _Draft(rng, {f"x{number}": size for number, size in enumerate(sizes)}, limits)
    cell, lengths = drawn.cell(), drawn.lengths
    weights, biases = [], []
    for product in cell.products:
        structure = structure_of(_pick(rng, [1, block]))
        rows = drawn.rows[product.name]
        weights.append(
            tuple(
                random_matrix(rng, product.gates, rows, lengths[read.name], structure)
                for read in product.reads
            )
        )
        biases.append(rng.normal(size=(product.gates, rows)) * 0.5 if product.bias else None)
    vectors = tuple(rng.normal(size=lengths[name]) * 0.5 for name in cell.vectors)
    initial = tuple(
        rng.normal(size=lengths[name]) if rng.random() < 0.3 else None for name in cell.remembered
    )
    return Layer(cell, tuple(weights), tuple(biases), vectors, initial, inputs, sizes=sizes)


@dataclass
class _Draft:
    """A cell on its way: `lengths` of inputs, steps and vectors; `rows` of products' gates."""

    rng: np.random.Generator
    lengths: dict[str, int]
    limits: Limits
    rows: dict[str, int] = field(default_factory=dict)
    vectors: list[str] = field(default_factory=list)

    def cell(self) -> Cell:
        """A cell that reads all of its inputs, and all of whose steps are read or outputs."""
        rng, inputs = self.rng, tuple(self.lengths)
        planned = self._planned()
        stages, written = [], list(inputs)
        for number, names in enumerate(planned):
            later = [name for stage in planned[number:] for name in stage]
            products = self._products(number, names, written, later, number == 0)
            steps: list[CellStep] = []
            for name in names:
                steps.append(self._step(name, products, written, later))
                written.append(name)
                later.remove(name)
            stages.append(CellStage(tuple(products), tuple(steps)))
        read = {read.name for stage in stages for step in stage.steps for read in step.reads}
        read |= {one.name for stage in stages for p in stage.products for one in p.reads}
        every = [name for names in planned for name in names]
        outputs = [name for name in every if name not in read or rng.random() < 0.3]
        outputs = outputs or [every[-1]]
        order = rng.permutation(len(outputs))
        given = tuple(outputs[index] for index in order)
        missing = [name for name in inputs if name not in read]
        if missing:
            stages, given = self._reading(stages, missing), (*given, "gathered")
        return Cell("random", tuple(stages), tuple(self.vectors), inputs, given)

    def _planned(self) -> list[list[str]]:
        """Names of every stage's steps, whose lengths are drawn, too."""
        rng, planned = self.rng, []
        for stage in range(_between(rng, 1, self.limits.stages)):
            some = rng.random() < 0.6
            size = _pick(rng, list(self.lengths.values())) if some else self._size()
            names = [f"s{stage}{letter}" for letter in "abcd"[: _between(rng, 1, 4)]]
            planned.append(names)
            self.lengths |= dict.fromkeys(names, size)
        return planned

    def _size(self) -> int:
        return _between(self.rng, 1, self.limits.size)

    def _products(
        self, stage: int, names: list[str], written: list[str], later: list[str], needed: bool
    ) -> list[CellProduct]:
        rng, products = self.rng, []
        for number in range(_between(rng, int(needed and rng.random() < 0.9), 2)):
            name = f"p{stage}{number}"
            reads = tuple(self._read(written, later) for _ in range(_between(rng, 1, 3)))
            products.append(CellProduct(name, _between(rng, 1, 3), reads, rng.random() < 0.5))
            self.rows[name] = self.lengths[names[0]]
        return products

    def _read(self, written: list[str], later: list[str]) -> Read:
        """What a product may read."""
        if self.rng.random() < 0.6:
            return Read(_pick(self.rng, written), self._delay(0))
        return Read(_pick(self.rng, [*written, *later]), self._delay(1))

    def _delay(self, least: int) -> int:
        return least if self.rng.random() < 0.6 else _between(self.rng, least, self.limits.delay)

    def _step(
        self, name: str, products: list[CellProduct], written: list[str], later: list[str]
    ) -> CellStep:
        """Addends first, so that the step's length follows from a gate, an input or a vector."""
        rng, size = self.rng, self.lengths[name]
        now = [one for one in written if self.lengths[one] == size]
        before = [one for one in (*written, *later) if self.lengths[one] == size]
        room, addends, terms = 2, [], []
        for product in rng.permutation(np.array(products, object)) if products else ():
            cost = 1 + product.bias
            if cost <= room and rng.random() < 0.8:
                addends.append(f"{product.name}.{_between(rng, 0, product.gates - 1)}")
                room -= cost
        if room and (not addends or rng.random() < 0.3):
            addends.append(self._vector(size) if rng.random() < 0.3 or not now else _pick(rng, now))
        for _ in range(_between(rng, 0, 2)):
            first = self._factor(now, before)
            second = self._vector(size) if rng.random() < 0.3 else self._factor(now, before)
            terms.append(f"{_pick(rng, ['+', '-'])} {first}*{second}")
        return CellStep(name, " ".join([" + ".join(addends), *terms]), _pick(rng, ACTIVATIONS))

    def _factor(self, now: list[str], before: list[str]) -> str:
        if now and self.rng.random() < 0.6:
            return _pick(self.rng, now)
        return f"{_pick(self.rng, before)}@1"

    def _vector(self, size: int) -> str:
        name = f"v{len(self.vectors)}"
        self.vectors.append(name)
        self.lengths[name] = size
        return name

    def _reading(self, stages: list[CellStage], names: list[str]) -> list[CellStage]:
        """The same, with a product more that reads inputs that nothing else does."""
        first, size = stages[0], self.lengths[stages[0].steps[0].name]
        reads = tuple(Read(name, self._delay(0)) for name in names)
        self.rows["more"] = self.lengths["gathered"] = size
        kept = CellStep("gathered", "more.0", "tanh")
        products = (*first.products, CellProduct("more", 1, reads))
        return [CellStage(products, (kept, *first.steps)), *stages[1:]]


def _between(rng: np.random.Generator, low: int, high: int) -> int:
    """Uniform, both ends included."""
    return int(rng.integers(low, high + 1))


def _pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    return choices[int(rng.integers(len(choices)))]
