"""What Phase II is asked, and a design with what it takes and gives."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

from ernn.errors import UserError
from ernn.estimate.area import RESOURCES, Use, predict
from ernn.estimate.clock import Clock
from ernn.estimate.device import Device
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import Schedule
from ernn.search.space import Goal

MARGIN = 0.2
EXACT = ("dsp", "block_ram")


@dataclass(frozen=True)
class Request:
    """`streams` and `pes` are chosen where None.  `margin`: the share of LUTs and flip-flops, which
    are estimates, that is left free; multipliers and block RAMs are known and may all be used.
    `parity`: words of weights are checked.  `once`: a head is run once a sequence (`Design.once`),
    so that there is a lone stream.  Raises UserError for what no design can have."""

    device: Device
    clock: Clock
    goal: Goal = "throughput"
    streams: int | None = None
    pes: int | None = None
    margin: float = MARGIN
    parity: bool = False
    once: bool = False

    def __post_init__(self) -> None:
        if self.goal not in get_args(Goal):
            raise UserError(f"a search is for {' or '.join(get_args(Goal))}, not {self.goal!r}")
        if not 0 <= self.margin < 1:
            raise UserError(f"a margin is a share from 0 to less than 1, not {self.margin}")
        streams = 1 if self.streams is None else self.streams
        Design(1 if self.pes is None else self.pes, streams, once=self.once)
        if self.once:
            object.__setattr__(self, "streams", 1)

    def limit(self, resource: str) -> int:
        """What may be used of a resource."""
        there = getattr(self.device, resource).value
        return there if resource in EXACT else int(there * (1 - self.margin))

    def fits(self, use: Use) -> bool:
        return all(getattr(use, name) <= self.limit(name) for name in RESOURCES)

    def short_of_logic(self, use: Use) -> bool:
        """Whether look-up tables are what is missing, and nothing that is known."""
        known = all(getattr(use, name) <= self.limit(name) for name in EXACT)
        return known and use.lut > self.limit("lut")


@dataclass(frozen=True)
class Choice:
    """A design with what it takes and what it gives.

    `cycles`: a round; `latency`: a frame's, in cycles; `share`: the largest of a
    resource; `limit`: what bounds cycles; `counted_mhz`: `Clock.counted`.
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
    counted_mhz: float

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
        """What a search makes small, in microseconds of the clock that counts."""
        cycles = self.cycles_per_frame if goal == "throughput" else self.latency
        return cycles / self.counted_mhz

    def preference(self, goal: Goal) -> tuple[float, ...]:
        """The fastest first; of several, the one that takes least of the device, and of those that
        differ in nothing else the one that leaves more of its look-up tables."""
        return self.time(goal), self.share, self.design.streams, self.design.chunk, self.use.lut


def best(choices: Iterable[Choice], goal: Goal) -> Choice:
    """The one that is preferred to all others."""
    return min(choices, key=lambda one: one.preference(goal))


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
        clock_mhz=request.clock.mhz(plan.layout.design, plan.multipliers),
        counted_mhz=request.clock.counted(plan.layout.design, plan.multipliers),
    )
