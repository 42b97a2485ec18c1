"""Phase II: the engine for a model and a device, for throughput or for latency.

Cycles are the schedule's, and exact; area is predicted (`ernn.estimate.area`), the clock assumed
(`ernn.estimate.clock`). Shapes are taken by what they promise: no schedule is shorter than the
array's passes or the vector unit's terms.  A shape is scheduled only if it promises more than a
design that fits and takes no more of the device.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

from ernn.errors import UserError
from ernn.estimate.area import RESOURCES, Use, least, predict
from ernn.estimate.clock import Clock
from ernn.estimate.device import Device, devices
from ernn.ir.integer_model import IntegerModel
from ernn.pareto import pareto
from ernn.scheduling.design import Design
from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.schedule import Schedule, schedule
from ernn.search.space import Goal, Shape, Space, pipeline_for

MARGIN = 0.2
NEAR = 1.05  # a design this close to the best is as good, and the smallest of those is taken
SLACK = 1.01  # what promises less than this is not looked at
BUDGET = 45  # schedules of a search, a third of them for the front
SHOWN = 10  # shapes that the front is drawn through
NAMES = {"lut": "LUTs", "ff": "flip-flops", "dsp": "multipliers", "block_ram": "kbit of block RAM"}
EXACT = ("dsp", "block_ram")
_INSTEAD = {
    "dsp": "a smaller block size needs fewer",
    "block_ram": "a larger block size or fewer weight bits need less",
    "lut": "fewer data bits or a smaller block size need fewer",
    "ff": "fewer data bits or a smaller block size need fewer",
}


@dataclass(frozen=True)
class Request:
    """`streams` and `pes` are chosen where None.  `margin`: the share of LUTs and flip-flops, which
    are estimates, that is left free; multipliers and block RAMs are known and may all be used.
    `parity`: words of weights are checked."""

    device: Device
    clock: Clock
    goal: Goal = "throughput"
    streams: int | None = None
    pes: int | None = None
    margin: float = MARGIN
    parity: bool = False

    def __post_init__(self) -> None:
        if self.goal not in get_args(Goal):
            raise UserError(f"a search is for {' or '.join(get_args(Goal))}, not {self.goal!r}")
        if not 0 <= self.margin < 1:
            raise UserError(f"a margin is a share from 0 to less than 1, not {self.margin}")

    def limit(self, resource: str) -> int:
        """What may be used of a resource."""
        there = getattr(self.device, resource).value
        return there if resource in EXACT else int(there * (1 - self.margin))

    def fits(self, use: Use) -> bool:
        return all(getattr(use, name) <= self.limit(name) for name in RESOURCES)


@dataclass(frozen=True)
class Choice:
    """A design with what it takes and what it gives.

    `cycles`: a round; `latency`: a frame's, in cycles; `share`: the largest of a
    resource; `limit`: what bounds cycles.
    """

    design: Design
    cycles: int
    latency: int
    multipliers: int
    utilisation: float
    limit: str
    use: Use
    share: float
    clock_mhz: float

    @property
    def cycles_per_frame(self) -> float:
        return self.cycles / self.design.streams

    @property
    def fps(self) -> float:
        """Frames per second of all streams together."""
        return self.clock_mhz * 1e6 / self.cycles_per_frame

    @property
    def latency_us(self) -> float:
        return self.latency / self.clock_mhz

    def time(self, goal: Goal) -> float:
        """What a search makes small, in microseconds."""
        return 1e6 / self.fps if goal == "throughput" else self.latency_us


@dataclass(frozen=True)
class SearchResult:
    """The best design, and the front: time against the largest share of a resource.

    `complete`: nothing left out promises more; otherwise the budget of schedules ran out.
    """

    request: Request
    best: Choice
    front: tuple[Choice, ...]
    scheduled: tuple[Choice, ...]
    shapes: int
    complete: bool


def search(
    model: IntegerModel, request: Request, budget: int | None = BUDGET, slack: float = SLACK
) -> SearchResult:
    """The best design for `request`. UserError if none fits, saying what is short, by how much.

    Within the `budget` no design left out is faster than those found by more than `slack`; without
    one (None), and with a slack of 1, the best design and the front are those of the whole space.
    """
    walk = _Search(model, request, slack)
    smallest = walk.look(_smallest(request))
    if not request.fits(smallest.use):
        raise UserError(_too_large(smallest, request, model.block))
    shapes = Space(model, request.device, request.clock, request.goal, request.pes).shapes()
    complete = walk.for_the_best(shapes, None if budget is None else budget * 2 // 3)
    walk.for_the_front(shapes if budget is None else _through(shapes), budget)
    front = pareto(walk.fitting, lambda one: (one.time(request.goal), one.share))
    chosen = best(walk.fitting, request.goal)
    return SearchResult(request, chosen, tuple(front), tuple(walk.seen), len(shapes), complete)


def best(choices: Iterable[Choice], goal: Goal) -> Choice:
    """The one that takes least of the device among those near the fastest."""
    choices = list(choices)
    fastest = min(choice.time(goal) for choice in choices)
    near = [choice for choice in choices if choice.time(goal) <= NEAR * fastest]
    return min(
        near, key=lambda one: (one.share, one.time(goal), one.design.streams, one.design.chunk)
    )


def evaluate(plan: Schedule, request: Request) -> Choice:
    """A scheduled design, with its predicted area and assumed clock."""
    use = predict(plan, request.device.family)
    return Choice(
        design=plan.layout.design,
        cycles=plan.interval,
        latency=plan.latency,
        multipliers=plan.multipliers,
        utilisation=plan.utilisation,
        limit=max(plan.bounds, key=lambda cause: plan.bounds[cause]),
        use=use,
        share=max(use.shares(request.device).values()),
        clock_mhz=request.clock.mhz(plan.multipliers),
    )


@dataclass
class _Search:
    model: IntegerModel
    request: Request
    slack: float
    seen: list[Choice] = field(default_factory=list)
    fitting: list[Choice] = field(default_factory=list)

    def look(self, design: Design) -> Choice:
        """Schedule a design."""
        choice = evaluate(schedule(self.model, design), self.request)
        self.seen.append(choice)
        if self.request.fits(choice.use):
            self.fitting.append(choice)
        return choice

    def for_the_best(self, shapes: Sequence[Shape], budget: int | None) -> bool:
        """Shapes by what they promise, until none can be near the fastest; whether that was so."""
        for shape in shapes:
            if shape.time > NEAR * min(one.time(self.request.goal) for one in self.fitting):
                return True
            if budget is not None and len(self.seen) >= budget:
                return False
            self._of_shape(shape)
        return True

    def for_the_front(self, shapes: Sequence[Shape], budget: int | None) -> None:
        """Shapes that may take less of the device, smallest first."""
        for shape in sorted(shapes, key=lambda one: (one.share, one.time)):
            if budget is not None and len(self.seen) >= budget:
                return
            self._of_shape(shape)

    def _of_shape(self, shape: Shape) -> None:
        found = shape.designs(self.request.goal, self.request.streams)
        designs = [replace(one, parity=self.request.parity) for one in found]
        if self._beaten(shape) or not self.request.fits(self._least(designs)):
            return
        for design in designs:
            if self._beaten(shape):
                return
            if all(one.design != design for one in self.seen):
                self.look(design)

    def _least(self, designs: Sequence[Design]) -> Use:
        """What each of these designs of one shape takes at least, without scheduling any."""
        streams, chunk = (
            min(getattr(one, name) for one in designs) for name in ("streams", "chunk")
        )
        smallest = replace(designs[0], streams=streams, chunk=chunk, overlap=1, staggered=False)
        return least(MemoryMap(self.model, smallest), self.request.device.family)

    def _beaten(self, shape: Shape) -> bool:
        """Whether something that fits and takes no more is as fast as the shape could be."""
        limit, goal = shape.time * self.slack, self.request.goal
        return any(one.share <= shape.share and one.time(goal) <= limit for one in self.fitting)


def _through(shapes: Sequence[Shape]) -> list[Shape]:
    """Some of the shapes that promise most for their share, from the smallest to the largest."""
    front = pareto(shapes, lambda one: (one.time, one.share))
    step = max(1, len(front) // SHOWN)
    return front[::step]


def _smallest(request: Request) -> Design:
    pipeline, parity = pipeline_for(request.device), request.parity
    return Design(request.pes or 1, request.streams or 1, 4, 1, pipeline=pipeline, parity=parity)


def _too_large(smallest: Choice, request: Request, block: int) -> str:
    device, design = request.device, smallest.design
    short = {name: getattr(smallest.use, name) - request.limit(name) for name in RESOURCES}
    parts = [
        f"{getattr(smallest.use, name):,} {NAMES[name]}, {by:,} more than the "
        f"{request.limit(name):,} "
        f"{'there are' if name in EXACT else f'that a margin of {request.margin:.0%} leaves'}"
        for name, by in short.items()
        if by > 0
    ]
    worst = max(short, key=lambda name: short[name] / max(1, request.limit(name)))
    asked = f"{_counted(design.pes, 'processing element')}, {_counted(design.streams, 'stream')}"
    larger = [
        one.name
        for one in devices()
        if one.family == device.family and _holds(one, smallest.use, request)
    ]
    then = (
        f"choose a larger device ({', '.join(larger)})"
        if larger
        else "choose a device of a larger family"
    )
    fewer = " or fewer processing elements" if design.pes > 1 else ""
    return (
        f"{device.name} cannot hold this network in blocks of {block}: an engine of {asked} takes "
        f"{'; '.join(parts)}; {then}{fewer}; {_INSTEAD[worst]}"
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _holds(device: Device, use: Use, request: Request) -> bool:
    return Request(device, request.clock, margin=request.margin).fits(use)
