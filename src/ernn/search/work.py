"""What a network's stages take of an engine, unscheduled: passes, terms, waiting."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from math import ceil

from ernn.ir.integer_parts import Product
from ernn.ir.kronecker import RepeatedMatrix
from ernn.scheduling.design import Design
from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.timing import Timing, sum_depth
from ernn.scheduling.vector_program import LayerStage, heights
from ernn.scheduling.weight_banks import Rows


@dataclass(frozen=True)
class Kernel:
    """A matrix of `rows` (of all gates) and `columns` words, times so many vectors a frame."""

    rows: int
    columns: int
    times: int = 1

    def cycles(self, design: Design) -> int:
        """Of its passes, shared with no other."""
        return self.times * ceil(self.rows / design.pes) * self.length(design)

    def length(self, design: Design) -> int:
        """Cycles of a pass."""
        return max(ceil(self.columns / design.splits), design.pes // design.words)


def kernels(product: Product, block: int, words: int) -> Iterator[Kernel]:
    """What a product multiplies; operands that are repeated alike are summed in the same passes."""
    plain, repeated = 0, dict[tuple[int, int], int]()
    for matrix in (operand.matrix for operand in product.operands):
        if isinstance(matrix, RepeatedMatrix):
            times = matrix.before, matrix.after
            repeated[times] = repeated.get(times, 0) + matrix.core.shape[2]
        else:
            plain += matrix.weights.shape[2]
    if plain:
        yield Kernel(Rows(product, block, words).count, plain)
    for (before, after), columns in repeated.items():
        rows = product.length // (before * after)
        yield Kernel(product.gates * ceil(rows / words) * words, columns, before * after)


def kernels_of(products: Iterable[Product], layout: MemoryMap) -> tuple[Kernel, ...]:
    """Of all these products."""
    block, words = layout.model.block, layout.design.words
    return tuple(one for product in products for one in kernels(product, block, words))


@dataclass(frozen=True)
class StageWork:
    """A stage of a layer on designs of so many words a line.

    `terms`: of its steps, a line each; `latency`: of a product, of the steps that wait for each
    other and of a spectrum, without the elements' row.
    """

    layer: str
    kernels: tuple[Kernel, ...]
    terms: int
    latency: int

    def array(self, design: Design) -> int:
        return sum(one.cycles(design) for one in self.kernels)

    def cycles(self, design: Design, beats: int) -> int:
        """What takes longest, and the delay of its last result."""
        return max(self.array(design), self.terms * beats) + self.latency + _leaving(design)


def works(layout: MemoryMap) -> list[StageWork]:
    """Of all stages."""
    timing = Timing.of(layout.model, layout.design)
    return [
        StageWork(
            stage.layer,
            kernels_of(stage.products, layout),
            vector_cycles(stage, layout) // layout.beats,
            waits(stage, timing) - _leaving(layout.design),
        )
        for stage in layout.stages
    ]


def loops(found: Iterable[StageWork], design: Design, beats: int) -> list[int]:
    """Cycles from a frame to the next of the same stream, layer by layer, if it waits for it."""
    layers = groupby(found, lambda one: one.layer)
    return [sum(one.cycles(design, beats) for one in layer) for _, layer in layers]


def recurrent(layout: MemoryMap) -> frozenset[str]:
    """Layers of which a product reads what it gave a frame before."""
    given: dict[str, set[str]] = {}
    for stage in layout.stages:
        given.setdefault(stage.layer, set()).update(step.name for step in stage.steps)
    return frozenset(
        stage.layer
        for stage in layout.stages
        for product in stage.products
        for operand in product.operands
        if operand.delay and operand.signal in given[stage.layer]
    )


def vector_cycles(stage: LayerStage, layout: MemoryMap) -> int:
    """Cycles of the vector unit for a stage of a frame."""
    return sum(layout.lines(step.length) * layout.beats * len(step.terms) for step in stage.steps)


def waits(stage: LayerStage, timing: Timing) -> int:
    """Latencies of a product, of the steps that wait for each other, and of a spectrum."""
    deep = max(heights(stage).values(), default=1)
    return timing.product + (deep - 1) * timing.pipeline.value + timing.spectrum


def _leaving(design: Design) -> int:
    """Cycles until the last element's result has left, and the groups' are added."""
    return design.pes // design.words - 1 + sum_depth(design)
