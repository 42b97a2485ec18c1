"""The static schedule: which row of which product on the processing elements at which cycle, and
what follows.

A *round* is one frame of every stream.  Each unit plays its tape once a round.  Rounds start
`interval` cycles apart in the steady state; every hazard between a round and the next is a lower
bound on that interval, so a round that starts later is safe too.  Cycle 0 is the first in which the
processing elements' tape can issue.  The tapes are written by `ernn.scheduling.list_scheduler`.
"""

from dataclasses import dataclass
from functools import cached_property
from math import ceil

from ernn.errors import UserError
from ernn.ir.edges import data_bits, operand_bits
from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import Product
from ernn.scheduling.design import (
    PACKED_DATA_BITS,
    PACKED_WEIGHT_BITS,
    Design,
    multipliers_per_pe,
)
from ernn.scheduling.list_scheduler import ListScheduler
from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.round import Bar, Round
from ernn.scheduling.shift_tables import ShiftTables
from ernn.scheduling.tape import Tape
from ernn.scheduling.timing import REWIND, Timing
from ernn.scheduling.vector_program import Step

REPEATS = 3
"""List schedules that know when the one before finished."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """Tapes and what they take.

    `interval`: cycles between rounds, `last_interval` after that of a sequence's last frame, which
    alone may have a head (`Design.once`); `length`: from cycle 0 until the round's last word is
    handed to the output; `rounds_late`: rounds after its own in which a frame may still be at work;
    `bounds`: lower bounds on the interval by cause; `edges`: for each row of the vector tape that
    ends a step, (step, stream, first line).
    """

    layout: MemoryMap
    timing: Timing
    shifts: ShiftTables
    array: Tape
    vector: Tape
    vector_start: int
    interval: int
    last_interval: int
    length: int
    rounds_late: int
    bounds: dict[str, int]
    bars: tuple[Bar, ...]
    edges: dict[int, tuple[Step, int, int]]

    @property
    def cycles_per_frame(self) -> float:
        """Steady state, all streams busy; with `Design.once` within a sequence."""
        return self.interval / self.layout.design.streams

    @property
    def latency(self) -> int:
        """Cycles from a frame's last word in to its last word out, idle engine, the stream that is
        served last.
        """
        return self.length + self.timing.input

    @property
    def rounds_under_way(self) -> int:
        """Rounds that may have begun and have not handed out their last word."""
        return ceil(self.length / self.interval) + 2

    @cached_property
    def sum_bits(self) -> int:
        """Bits of the vector unit's exact sums: a product and an addend, shifted up, term by
        term.
        """
        terms = max(len(step.terms) for step in self.layout.steps)
        up = max(*self.shifts.product, *self.shifts.addend, *self.shifts.bias, 0)
        return 2 * data_bits(self.layout.model) + up + 2 + terms.bit_length()

    @property
    def multipliers(self) -> int:
        """All multipliers (`MemoryMap.multipliers`)."""
        return self.layout.multipliers

    @cached_property
    def useful_array(self) -> int:
        """Multiplications a frame needs in its products; a dense row counts one a weight."""
        return sum(map(_useful, self.layout.products))

    @cached_property
    def useful_vector(self) -> int:
        """Multiplications a frame needs in its element-wise steps, interpolation included."""
        products = (
            step.length * sum(term.product_frac is not None for term in step.terms)
            for step in self.layout.steps
        )
        return sum(products) + sum(step.length for step in self.layout.results if step.activation)

    @property
    def array_utilisation(self) -> float:
        """Useful products over all that the processing elements could make, steady state."""
        return self.useful_array / (self.layout.array_slots * self.cycles_per_frame)

    @property
    def utilisation(self) -> float:
        """Useful products over all that the engine's multipliers could make, steady state."""
        return (self.useful_array + self.useful_vector) / (
            self.layout.slots * self.cycles_per_frame
        )


def _useful(product: Product) -> int:
    blocks = sum(ceil(operand.matrix.columns / product.kept) for operand in product.operands)
    return product.gates * product.block_rows * blocks * multipliers_per_pe(product.kept)


def schedule(model: IntegerModel, design: Design) -> Schedule:
    """The schedule of a model on a design. Raises UserError for what the hardware refuses."""
    require_engine(model)
    require_packable(model, design)
    layout, timing = MemoryMap(model, design), Timing.of(model, design)
    lister = last = _listed(layout, timing)
    for _ in range(REPEATS if design.streams > 1 or design.staggered else 0):
        if _interval(lister) == _hoped(lister):
            break
        last = _listed(layout, timing, last)
        lister = min(lister, last, key=_interval)
    bounds, start, early = _bounds(lister), lister.vector.start, lister.early
    interval, last_interval = max(bounds.values()), _interval(lister)
    for row in _first_step(lister.vector.rows):
        row["gap"] = 0  # that is `start`
    return Schedule(
        layout=layout,
        timing=timing,
        shifts=lister.round.shifts,
        array=Tape(tuple(lister.array.rows), early.array if early else 0),
        vector=Tape(tuple(lister.vector.rows), early.vector if early else 0),
        vector_start=start,
        interval=interval,
        last_interval=last_interval,
        length=lister.length(interval),
        rounds_late=lister.round.order.rounds,
        bounds=bounds,
        bars=tuple(lister.round.bars),
        edges=lister.vector.edges,
    )


def _first_step(rows: list[dict[str, int]]) -> list[dict[str, int]]:
    """The vector tape's rows up to the end of its first step."""
    return rows[: 1 + next(number for number, row in enumerate(rows) if row["last"])]


def require_engine(model: IntegerModel) -> None:
    """UserError where products have a form that no engine multiplies."""
    if found := model.repeated:
        raise UserError(
            f"{found[0].name} multiplies a core of a tensor train: no hardware is generated for "
            "that, golden runs it "
            "and ernn.search.estimate counts its cycles; for hardware compress to BlockCirculant, "
            "LowRank or Tucker"
        )


def packable(model: IntegerModel) -> bool:
    """Whether a multiplier can make two of its products a cycle."""
    return model.weight_bits <= PACKED_WEIGHT_BITS and operand_bits(model) <= PACKED_DATA_BITS


def require_packable(model: IntegerModel, design: Design) -> None:
    """UserError where numbers are too wide for two products a multiplier."""
    if design.packed and not packable(model):
        raise UserError(
            f"a packed design makes two products a multiplier, of weights of at most "
            f"{PACKED_WEIGHT_BITS} bits and spectra of at most {PACKED_DATA_BITS}: the network has "
            f"{model.weight_bits} and {operand_bits(model)}; quantize it to fewer bits, or take "
            "packed=0"
        )


def _listed(
    layout: MemoryMap, timing: Timing, before: ListScheduler | None = None
) -> ListScheduler:
    """A list schedule; after another one, it knows when that finished, and lets the vector unit
    begin as late as that allows.
    """
    if before is None:
        lister = ListScheduler(Round(layout, timing, ShiftTables.of(layout)))
    else:
        hoped = _hoped(before)
        expected, begin = before.written_before(hoped), max(0, before.vector.free - hoped)
        lister = ListScheduler(Round(layout, timing, before.round.shifts), expected, begin)
    lister.run()
    return lister


def _interval(lister: ListScheduler) -> int:
    return max(lister.bounds().values())


def _bounds(lister: ListScheduler) -> dict[str, int]:
    """Lower bounds on the cycles between a round, without its head if there is one, and the next.

    Players find their tapes' beginning again.  What a head reads of other rounds, or they
    overwrite, is as far away as if all rounds were without one.
    """
    whole = lister.bounds()
    if lister.early is None:
        return whole
    early = lister.early.bounds
    found = early | {name: early[name] + REWIND for name in ("array's tape", "vector unit")}
    return found | {name: whole[name] for name in ("recurrence", "spectra overwritten")}


def _hoped(lister: ListScheduler) -> int:
    """The interval if neither the recurrence nor the vector unit were in the way."""
    return max(
        bound
        for cause, bound in lister.bounds().items()
        if cause not in ("recurrence", "vector unit")
    )
