"""The designs there are for a network and a device, and how fast each could be at best."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil
from typing import Literal

from ernn.estimate.clock import Clock
from ernn.estimate.device import Device
from ernn.estimate.units import dsp
from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import Product
from ernn.ir.kronecker import RepeatedMatrix
from ernn.scheduling.design import Design, PipelineName, multipliers_per_pe
from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.weight_banks import Rows
from ernn.search.critical_path import least_latency, longest_chain

Goal = Literal["throughput", "latency"]
WORDS = (1, 2, 3, 4, 5, 6, 8)
STREAMS: dict[Goal, tuple[int, ...]] = {"throughput": (2, 3, 4, 1), "latency": (1,)}
# (chunk, overlap, staggered, deferred), the most promising first: with lines of one word, and of
# several
NARROW = (
    *(
        (8, 1, True, False),
        (16, 1, True, False),
        (8, 4, True, False),
        (4, 16, False, True),
        (16, 1, False, False),
    ),
    *((4, 1, True, False), (8, 1, False, False), (4, 1, False, False)),
)
WIDE = tuple(
    (chunk, 12, late, deferred)
    for late in (True, False)
    for deferred in (True, False)
    for chunk in (1, 2)
)
MOST = 512  # processing elements in a group


@dataclass(frozen=True)
class Kernel:
    """A matrix of `rows` (of all gates) and `columns` words, times so many vectors a frame."""

    rows: int
    columns: int
    times: int = 1


@dataclass(frozen=True)
class Shape:
    """What decides multipliers and the array's cycles.  No design of this shape takes less of the
    device's multipliers than `share`, nor less than `time` microseconds for a frame: each needs all
    its passes and all its terms."""

    pes: int
    splits: int
    words: int
    lanes: int
    pipeline: PipelineName
    share: float
    time: float

    def designs(self, goal: Goal, streams: int | None) -> Iterator[Design]:
        """Designs of this shape, the most promising first."""
        for chunk, overlap, staggered, deferred in NARROW if self.words == 1 else WIDE:
            for count in STREAMS[goal] if streams is None else (streams,):
                if count > 1 or not staggered:
                    own = (self.pes, count, chunk, self.lanes, self.splits, self.words)
                    yield Design(*own, overlap, staggered, deferred, self.pipeline)


@dataclass(frozen=True)
class Space:
    """Shapes with no more multipliers than the device has; `pes`: elements of a group, if given."""

    model: IntegerModel
    device: Device
    clock: Clock
    goal: Goal
    pes: int | None = None

    def shapes(self) -> list[Shape]:
        """By rising time, then share."""
        found = [shape for words in WORDS for shape in self._of_words(words)]
        return sorted(found, key=lambda one: (one.time, one.share))

    def _of_words(self, words: int) -> Iterator[Shape]:
        block, layout = (
            self.model.block,
            MemoryMap(self.model, Design(words, splits=words, words=words)),
        )
        most = self.device.dsp.value // multipliers_per_pe(block)
        found, chain = _kernels(layout, layout.products), longest_chain(layout.stages)
        one_by_one = _kernels(layout, (one for link in chain for one in link.products))
        rows, columns = [one.rows for one in found], [one.columns for one in found]
        given = None if self.pes is None else {self.pes} if self.pes % words == 0 else set()
        for pes in sorted(_worthwhile(rows, words, min(most, MOST)) if given is None else given):
            for splits in sorted(_worthwhile(columns, words, min(most // max(1, pes), 64))):
                counted = found if self.goal == "throughput" else one_by_one
                array = _array_cycles(counted, pes, splits, words)
                yield from self._of_array(array, pes, splits, words)

    def _of_array(self, array: int, pes: int, splits: int, words: int) -> Iterator[Shape]:
        """`array`: its cycles, for a latency only of products that wait for each other."""
        lanes = 1
        while lanes <= self.model.block:
            pipeline = pipeline_for(self.device)
            layout = MemoryMap(
                self.model, Design(pes, lanes=lanes, splits=splits, words=words, pipeline=pipeline)
            )
            share = dsp(layout, self.device.family) / self.device.dsp.value
            if share > 1:
                return
            vector = _vector_cycles(layout)
            cycles = (
                max(array, vector) if self.goal == "throughput" else least_latency(layout, array)
            )
            time = cycles / self.clock.mhz(layout.multipliers)
            yield Shape(pes, splits, words, lanes, pipeline, share, time)
            lanes *= 2


def pipeline_for(device: Device) -> PipelineName:
    """Shallow on what is fast against the clock that is assumed for it."""
    return "shallow" if device.is_ultrascale else "deep"


def _kernels(layout: MemoryMap, products: Iterable[Product]) -> list[Kernel]:
    block, words = layout.model.block, layout.design.words
    return [kernel for product in products for kernel in kernels(product, block, words)]


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


def _worthwhile(counts: list[int], words: int, most: int) -> set[int]:
    """Multiples of `words` up to `most` that save a round of some count against one fewer."""
    groups = {
        ceil(ceil(count / rounds) / words) * words
        for count in set(counts)
        for rounds in range(1, count + 1)
    }
    return {size for size in groups | {words, most // words * words} if words <= size <= most}


def _array_cycles(kernels: list[Kernel], pes: int, splits: int, words: int) -> int:
    """At least: whole passes of each product, and the longest rest, where rests share a pass."""
    lengths = [max(ceil(one.columns / splits), pes // words) for one in kernels]
    pairs = list(zip(kernels, lengths, strict=True))
    whole = sum(one.times * (one.rows // pes) * length for one, length in pairs)
    return whole + max((one.times * length for one, length in pairs if one.rows % pes), default=0)


def _vector_cycles(layout: MemoryMap) -> int:
    return sum(layout.lines(step.length) * layout.beats * len(step.terms) for step in layout.steps)
