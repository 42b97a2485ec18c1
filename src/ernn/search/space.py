"""The designs there are for a network and a device, and how fast each could be at best."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from math import ceil
from typing import Literal

from ernn.estimate.clock import Clock
from ernn.estimate.device import Device
from ernn.estimate.units import dsp
from ernn.ir.integer_model import IntegerModel
from ernn.scheduling.design import Design, PipelineName, multipliers_per_pe
from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.schedule import packable
from ernn.search.critical_path import least_latency, longest_chain
from ernn.search.joining import joined
from ernn.search.work import Kernel, StageWork, kernels_of, loops, recurrent, works

Goal = Literal["throughput", "latency"]
WORDS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16)
STREAMS: dict[Goal, tuple[int, ...]] = {"throughput": tuple(range(1, 17)), "latency": (1,)}
# (chunk, overlap, staggered, deferred), the most promising first: with lines of one word, and of
# several
NARROW = (
    *(
        (8, 1, True, False),
        (4, 16, False, True),
        (16, 1, False, False),
        (8, 4, True, False),
        (4, 1, True, False),
    ),
    *((4, 1, False, False), (8, 1, False, False), (16, 1, True, False)),
)
WIDE = tuple(
    (chunk, 12, late, deferred)
    for late in (True, False)
    for deferred in (True, False)
    for chunk in (1, 2)
)
MOST = 512  # processing elements in a group


@dataclass(frozen=True)
class Shape:
    """What decides multipliers and the array's cycles.  No design of this shape takes less of the
    device's multipliers than `share`, nor less than `time` microseconds for a frame: each needs all
    its passes and all its terms.  `forwarding`: what a lone stream's designs may have.  `loop`:
    about how long a frame waits for the one before of its stream, in microseconds.
    """

    pes: int
    splits: int
    words: int
    lanes: int
    pipeline: PipelineName
    forwarding: tuple[bool, ...]
    packed: int
    joined: int
    share: float
    time: float
    loop: float

    def expected(self, streams: int) -> float:
        """About how many microseconds a frame takes where so many streams take turns."""
        return max(self.time, self.loop / streams)

    def designs(
        self, streams: int, late: bool = False, beforehand: bool = False
    ) -> Iterator[Design]:
        """Designs of this shape, the most promising first; `late`: of a lone stream, too, layers
        may run a round after the ones before; `beforehand`: sums may be made in it.
        """
        sums = [(True, False), (False, False)]  # ahead, beforehand
        if beforehand and self.pipeline == "shallow":
            sums.insert(0, (False, True))
        for chunk, overlap, staggered, deferred in NARROW if self.words == 1 else WIDE:
            if streams > 1:
                yield self._design(streams, chunk, overlap, staggered, deferred)
            elif not staggered:
                ways = (True, False) if late else (False,)
                for way, (ahead, before), taken in product(ways, sums, self.forwarding):
                    one = self._design(streams, chunk, overlap, way, deferred)
                    yield replace(one, forwarding=taken, ahead=ahead, beforehand=before)

    def _design(
        self, streams: int, chunk: int, overlap: int, staggered: bool, deferred: bool
    ) -> Design:
        own = (self.pes, streams, chunk, self.lanes, self.splits, self.words)
        then = (overlap, staggered, deferred, self.pipeline)
        return Design(*own, *then, packed=self.packed, joined=self.joined)


@dataclass(frozen=True)
class Space:
    """Shapes with no more multipliers than the device has, nor more block RAM in weight banks;
    `pes`: elements of a group, if given; `once`: most frames have no head (`Design.once`)."""

    model: IntegerModel
    device: Device
    clock: Clock
    goal: Goal
    pes: int | None = None
    once: bool = False

    def shapes(self) -> list[Shape]:
        """By rising time, then share."""
        ports = [0, self.device.multiplier[0]] if packable(self.model) else [0]
        ways = product(WORDS, ports, pipelines(self.device))
        found = [shape for way in ways for shape in _OfWords(self, *way).shapes()]
        return sorted(found, key=lambda one: (one.time, one.share))


@dataclass(frozen=True)
class _OfWords:
    """Shapes with lines of so many words, one product a multiplier or two (`Design.packed`), and a
    pipeline."""

    space: Space
    words: int
    packed: int
    pipeline: PipelineName

    @cached_property
    def base(self) -> MemoryMap:
        design = Design(
            self.words * (2 if self.packed else 1),
            splits=self.words,
            words=self.words,
            packed=self.packed,
            pipeline=self.pipeline,
            forwarding=any(self.forwarding),
            once=self.space.once,
        )
        return MemoryMap(self.space.model, design)

    @cached_property
    def forwarding(self) -> tuple[bool, ...]:
        """What is worth trying, where it is at no cost of the clock always."""
        if self.pipeline == "direct":
            return (False,)
        return (True,) if self.space.clock.forwarding == 1 else (False, True)

    @cached_property
    def kernels(self) -> tuple[Kernel, ...]:
        return kernels_of(self.base.products, self.base)

    @cached_property
    def every_frame(self) -> tuple[Kernel, ...]:
        """Kernels that every frame has, also where only a sequence's last one has a head."""
        stages = self.base.stages[: self.base.head]
        return kernels_of((one for stage in stages for one in stage.products), self.base)

    @cached_property
    def waiting(self) -> tuple[Kernel, ...]:
        """Kernels that wait for each other."""
        links, beforehand = longest_chain(self.base.stages), self.pipeline == "shallow"
        return kernels_of((one for link in links for one in link.waiting(beforehand)), self.base)

    def shapes(self) -> Iterator[Shape]:
        asked, base = self.space.pes, self.base.design
        step = self.words * base.sharing
        most = self.space.device.dsp.value // multipliers_per_pe(self.space.model.block)
        most *= base.sharing
        rows, columns = (
            [getattr(one, what) for one in self.kernels] for what in ("rows", "columns")
        )
        every = _worthwhile(rows, step, min(most, MOST)) if asked is None else {asked}
        for pes in sorted(size for size in every if size % step == 0):
            for splits in sorted(_worthwhile(columns, self.words, min(most // pes, 64))):
                array = replace(base, pes=pes, splits=splits)
                words = _array_cycles(self._once, array)
                design, kbit = joined(self.space.model, array, words, self.space.device.family)
                if kbit <= self.space.device.block_ram.value:
                    yield from self._of_array(design)

    @cached_property
    def _once(self) -> list[Kernel]:
        """Whose weights are kept."""
        return [replace(one, times=1) for one in self.kernels]

    def _of_array(self, design: Design) -> Iterator[Shape]:
        space, lanes = self.space, 1
        own = design.pes, design.splits, design.words
        then = self.pipeline, self.forwarding, self.packed, design.joined
        plain = replace(design, forwarding=False)
        while lanes <= space.model.block:
            layout = MemoryMap(space.model, replace(design, lanes=lanes))
            share = dsp(layout, space.device.family) / space.device.dsp.value
            if share > 1:
                return
            mhz, loop = space.clock.counted(plain, layout.multipliers), self._loop(layout)
            time = self._least(layout) / mhz
            yield Shape(*own, lanes, *then, share, time, loop / mhz)
            lanes *= 2

    def _least(self, layout: MemoryMap) -> int:
        """No frame takes fewer cycles."""
        if self.space.goal == "latency":
            return least_latency(layout, _array_cycles(self.waiting, layout.design))
        vector = layout.beats * sum(one.terms for one in self._works)
        return max(_array_cycles(self.every_frame, layout.design), vector)

    def _loop(self, layout: MemoryMap) -> int:
        return max(loops(self._recurrent, layout.design, layout.beats), default=0)

    @cached_property
    def _works(self) -> tuple[StageWork, ...]:
        return tuple(works(self.base))[: self.base.head]

    @cached_property
    def _recurrent(self) -> tuple[StageWork, ...]:
        names = recurrent(self.base)
        return tuple(one for one in self._works if one.layer in names)


def pipelines(device: Device) -> tuple[PipelineName, ...]:
    """Those worth trying: shallow on what is fast against the clock that is assumed for it, and on
    ECP5, where the clock of either is known, both others."""
    if device.is_ultrascale:
        return ("shallow",)
    return ("deep", "direct") if device.family == "ecp5" else ("deep",)


def _worthwhile(counts: list[int], words: int, most: int) -> set[int]:
    """Multiples of `words` up to `most` that save a round of some count against one fewer."""
    groups = {
        ceil(ceil(count / rounds) / words) * words
        for count in set(counts)
        for rounds in range(1, count + 1)
    }
    return {size for size in groups | {words, most // words * words} if words <= size <= most}


def _array_cycles(kernels: Sequence[Kernel], design: Design) -> int:
    """At least: whole passes of each product, and the longest rest, where rests share a pass."""
    pairs = [(one, one.times * one.length(design)) for one in kernels]
    whole = sum(one.rows // design.pes * length for one, length in pairs)
    return whole + max((length for one, length in pairs if one.rows % design.pes), default=0)
