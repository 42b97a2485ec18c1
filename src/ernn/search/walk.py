"""The way through all designs towards the best for one goal.

First of every shape the design that is most likely its best, those first that are expected to be
fast; then neighbours of the best, as long as one is better; then all others; and neighbours of the
best again.  What promises nothing better is passed over, and what the device cannot hold is not
scheduled.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from math import inf
from typing import Any

from ernn.errors import UserError
from ernn.estimate.area import Use, least
from ernn.estimate.units import bank_words
from ernn.ir.integer_model import IntegerModel
from ernn.pareto import pareto
from ernn.scheduling.design import Design
from ernn.scheduling.layer_stages import stages
from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.schedule import schedule
from ernn.search.choice import Choice, Request, best, evaluate
from ernn.search.space import STREAMS, Goal, Shape, pipelines

CYCLES = 7_500
"""Of a schedule of a budget, so that large networks have fewer: a tenth of a second."""
LOOKED = 500  # a design that is looked at costs as much as so many cycles of a schedule
SHOWN = 10  # shapes that the front is drawn through
STARTS = 3  # designs whose neighbours are tried


@dataclass
class Effort:
    """What is left of a budget: schedules, and cycles to schedule."""

    schedules: float
    cycles: float

    @classmethod
    def of(cls, budget: int | None) -> "Effort":
        return cls(inf, inf) if budget is None else cls(budget, budget * CYCLES)

    @property
    def spent(self) -> bool:
        return self.schedules <= 0 or self.cycles <= 0

    @contextmanager
    def part(self, share: float) -> Iterator["Effort"]:
        """A share of it, taken away; what is left of that comes back."""
        taken = Effort(self.schedules * share, self.cycles * share)
        if taken.schedules < inf:
            self._add(-taken.schedules, -taken.cycles)
        yield taken
        self._add(taken.schedules, taken.cycles)

    def _add(self, schedules: float, cycles: float) -> None:
        self.schedules, self.cycles = self.schedules + schedules, self.cycles + cycles


@dataclass
class Walk:
    """Designs for a goal.  `known`: what was scheduled before, by this walk or another; it saves
    time and decides nothing.  `fitting`: what this walk has seen and the device holds.  `_tried`:
    what came of a design, None where the device does not hold it."""

    model: IntegerModel
    request: Request
    goal: Goal
    shapes: Sequence[Shape]
    known: dict[Design, Choice]
    fitting: list[Choice] = field(default_factory=list)
    _tried: dict[Design, Choice | None] = field(default_factory=dict)
    _held: dict[Shape, int] = field(default_factory=dict)  # streams that are too many

    @property
    def fastest(self) -> float:
        return min((one.time(self.goal) for one in self.fitting), default=inf)

    def run(self, effort: Effort) -> bool:
        """Whether nothing left out of the shapes' designs promises more."""
        with effort.part(0.5) as some:
            likely = self._visit(self._likely(), some, one=True)
        with effort.part(0.4) as some:
            self._climb(STARTS, some)
        with effort.part(0.5) as some:
            others = self._visit(self._all(), some, one=False)
        self._climb(1, effort)
        return others and likely

    def front(self, effort: Effort) -> None:
        """Designs that may take less of the device, smallest first."""
        front = pareto(self.shapes, lambda one: (one.time, one.share))
        some = front if effort.schedules == inf else front[:: max(1, len(front) // SHOWN)]
        for shape in sorted(self.shapes if effort.schedules == inf else some, key=_small):
            for streams in self._streams(shape):
                if effort.spent:
                    return
                if not self._beaten(shape):
                    self._of_shape(shape, streams, effort, effort.schedules < inf, faster=False)

    def relieve(self) -> None:
        """Beside the best the same with small banks in block RAM: as many cycles, and more of the
        logic, which is what routing needs, left free."""
        if not self.fitting:
            return
        chosen = MemoryMap(self.model, best(self.fitting, self.goal).design)
        relieved = self._relieved(chosen)
        use = self._least(relieved)
        if use.lut < self._least(chosen).lut and self.request.fits(use):
            self._schedule(relieved.design, Effort.of(None))

    def _relieved(self, layout: MemoryMap) -> MemoryMap:
        """With small banks in block RAM."""
        return MemoryMap(self.model, replace(layout.design, block_ram=True))

    def any_of(self, designs: Iterable[Design]) -> bool:
        """Whether the device holds one of these, however long it takes to find out."""
        for design in designs:
            if not self.fitting:
                self._look(design, Effort.of(None))
        return bool(self.fitting)

    # --- the order

    def _streams(self, shape: Shape) -> Iterable[int]:
        asked = self.request.streams
        return STREAMS[self.goal] if asked is None else (asked,)

    def _likely(self) -> list[tuple[Shape, int]]:
        """Shapes with as many streams as their loop needs, and one more."""
        return self._sorted(
            (shape, streams)
            for shape in self.shapes
            for streams in self._streams(shape)
            if self.request.streams or (streams - 1) * shape.time <= shape.loop + shape.time
        )

    def _all(self) -> list[tuple[Shape, int]]:
        return self._sorted((one, n) for one in self.shapes for n in self._streams(one))

    def _sorted(self, pairs: Iterable[tuple[Shape, int]]) -> list[tuple[Shape, int]]:
        return sorted(pairs, key=lambda one: (one[0].expected(one[1]), one[0].share, one[1]))

    def _visit(self, pairs: Sequence[tuple[Shape, int]], effort: Effort, one: bool) -> bool:
        for shape, streams in pairs:
            if shape.time < self.fastest:
                if effort.spent:
                    return False
                self._of_shape(shape, streams, effort, one)
        return True

    def _of_shape(
        self, shape: Shape, streams: int, effort: Effort, one: bool, faster: bool = True
    ) -> None:
        """Designs of a shape: all, or the first that the device holds."""
        if streams >= self._held.get(shape, STREAMS["throughput"][-1] + 1):
            return
        fast, request = self.goal == "throughput", self.request
        late = fast and self._several and not request.once
        asked = {"parity": request.parity, "once": request.once}
        found = shape.designs(streams, late=late, beforehand=not fast and not request.once)
        designs = [replace(design, **asked) for design in found]
        least: dict[str, int] = dict(chunk=1, overlap=1)
        least |= dict(staggered=False, forwarding=False, ahead=False, beforehand=False)
        smallest = MemoryMap(self.model, replace(designs[0], **least))
        if self._housed(smallest, effort) is None:
            self._held[shape] = streams
            return
        for design in designs:
            if (self._look(design, effort, faster) and one) or effort.spent:
                return

    @cached_property
    def _several(self) -> bool:
        """Whether there is a stage that may run beside another of the next frame."""
        return len(stages(self.model)) > 1

    # --- neighbours

    def _climb(self, starts: int, effort: Effort) -> None:
        """From the best of some numbers of streams, each to a better neighbour, until none is."""
        by_streams: dict[int, Choice] = {}
        for one in sorted(self.fitting, key=self._place):
            by_streams.setdefault(one.design.streams, one)
        for start in list(by_streams.values())[:starts]:
            at: Choice | None = start
            while at is not None:
                at = self._better(at, effort)

    def _better(self, start: Choice, effort: Effort) -> Choice | None:
        """The first neighbour that is better: a budget seldom lasts for all of them."""
        for design in _neighbours(start.design, self.request, self.goal):
            if effort.spent:
                return None
            self._look(design, effort)
            found = self._tried.get(design)
            if found is not None and self._place(found) < self._place(start):
                return found
        return None

    def _place(self, one: Choice) -> tuple[float, float]:
        return one.time(self.goal), one.share

    # --- one design

    def _look(self, design: Design, effort: Effort, faster: bool = True) -> bool:
        """Schedule a design that the device may hold, and that may be `faster` than any so far;
        whether it was done."""
        if design in self._tried:
            return False
        layout = MemoryMap(self.model, design)
        if faster and not self._promises(layout):
            return False
        housed = self._housed(layout, effort)
        self._tried[design] = None if housed is None else self._schedule(housed.design, effort)
        return housed is not None

    def _schedule(self, design: Design, effort: Effort) -> Choice | None:
        """The design as a choice, unless the device does not hold it."""
        effort.schedules -= 1
        choice = self.known.get(design) or evaluate(schedule(self.model, design), self.request)
        self.known[design] = choice
        effort.cycles -= choice.cycles
        if not self.request.fits(choice.use):
            return None
        self.fitting.append(choice)
        return choice

    def _promises(self, layout: MemoryMap) -> bool:
        """Whether its passes alone take less than the fastest."""
        if self.goal == "latency":
            return True
        mhz = self.request.clock.counted(layout.design, layout.multipliers)
        return bank_words(layout, layout.head) / mhz < self.fastest

    def _housed(self, layout: MemoryMap, effort: Effort) -> MemoryMap | None:
        """The design, with small banks in block RAM if logic is short; None if the device holds
        neither."""
        effort.cycles -= LOOKED
        use = self._least(layout)
        if self.request.fits(use):
            return layout
        if self.request.short_of_logic(use) and not layout.design.block_ram:
            return self._housed(self._relieved(layout), effort)
        return None

    def _least(self, layout: MemoryMap) -> Use:
        return least(layout, self.request.device.family)

    def _beaten(self, shape: Shape) -> bool:
        """Whether something that takes no more is as fast as the shape could be."""
        goal = self.goal
        return any(
            one.share <= shape.share and one.time(goal) <= shape.time for one in self.fitting
        )


def _small(shape: Shape) -> tuple[float, float]:
    return shape.share, shape.time


def _neighbours(design: Design, request: Request, goal: Goal) -> Iterator[Design]:
    """Designs that differ in one number, or in how much is under way at a time.  For throughput
    other streams come first: where some wait for each other, one more is most often faster."""
    words = design.words
    streams = {"streams": (design.streams + 1, design.streams - 1)}
    steps: dict[str, tuple[Any, ...]] = {
        **(streams if goal == "throughput" else {}),
        "staggered": (not design.staggered,),
        "deferred": (not design.deferred,),
        "forwarding": (not design.forwarding,),
        "ahead": (not design.ahead,),
        "beforehand": (not design.beforehand,),
        "pipeline": tuple(one for one in pipelines(request.device) if one != design.pipeline),
        "chunk": (design.chunk // 2, design.chunk * 2),
        "overlap": (design.overlap // 2, design.overlap * 2),
        "lanes": (design.lanes // 2, design.lanes * 2),
        **(streams if goal == "latency" else {}),
        "pes": (design.pes - words, design.pes + words),
        "splits": (design.splits - words, design.splits + words),
    }
    asked = {name for name in ("streams", "pes") if getattr(request, name) is not None}
    changes = [{name: to} for name, tos in steps.items() if name not in asked for to in tos]
    changes += [
        {"chunk": chunk, "overlap": overlap}
        for chunk, overlap in product(steps["chunk"], steps["overlap"])
    ]
    for change in changes:
        try:
            yield replace(design, **change)
        except UserError:  # it has no such neighbour
            continue
