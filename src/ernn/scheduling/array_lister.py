"""A round's passes on the processing elements, one after the other: which may be next, and what it
makes ready."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from ernn.scheduling.array_tape import ArrayTape, Read, Stretch
from ernn.scheduling.hazards import Place
from ernn.scheduling.issue_order import Turn
from ernn.scheduling.kept_sums import KeptSums
from ernn.scheduling.round import Option, Round, Work
from ernn.scheduling.weight_banks import Pass

AHEAD = 0.75
"""Of a later stage's passes beside a first stage's: so its results are there for the next frame."""


@dataclass
class ArrayLister:
    """`expected`: when a round before will have written a place, for what reads it late; it only
    places passes well.  `rows`: of the tape; `free`: when the next pass may begin, `drain_free`:
    when its results may leave."""

    round: Round
    expected: Mapping[Place, int]
    rows: list[dict[str, int]] = field(default_factory=list)
    free: int = 0
    drain_free: int = 0

    def __post_init__(self) -> None:
        self._layout, self._timing = self.round.layout, self.round.timing
        self._hazards = self.round.hazards
        self._tape = ArrayTape(self.round.order, self.round.shifts)
        self.sums_kept = KeptSums(self._layout.sums_leave)
        self._operands_ready: dict[int, int] = {}  # of passes that read the same, by their reads

    def options(self, works: list[Work]) -> Iterator[Option]:
        """Every turn's next pass whose operands are known."""
        for work in works:
            if work.passes:
                self._find_ready(work)
                if work.ready is not None:
                    start = max(self.free, self._may_leave(work.passes[0]), work.ready)
                    key = (start, 1, work.order, self._left(work))
                    yield key, partial(self._do_pass, work, start)

    def _may_leave(self, one: Pass) -> int:
        """Earliest start of a pass for the bus to be free when it ends, and for the sums to be kept
        that it goes on with."""
        leaves = one.leaving or self._layout.sums_leave
        kept = self.sums_kept.earliest(one)
        return max(kept, self.drain_free - one.length + 1) if leaves else kept

    def _left(self, work: Work) -> float:
        """How urgent a turn's next pass is, the smaller the more: by its share done, later stages a
        bit ahead; of a lone stream later stages last.
        """
        if self.round.lone:
            return work.turn.stage
        share = 1 - len(work.passes) / len(self._layout.passes[work.turn.stage])
        return share if work.turn.stage == 0 else share * AHEAD

    def _do_pass(self, work: Work, start: int) -> None:
        one, work.ready = work.passes.pop(0), None
        self._issue(one, work.turn, start)

    def _find_ready(self, work: Work) -> None:
        """Earliest start of a turn's next pass, once every word that it reads is known."""
        known = work.waits_for is None or work.waits_for in self._hazards.spectrum_ready
        if work.ready is None and known:
            stretches = self._tape.stretches(work.passes[0], work.turn)
            if id(stretches) not in self._operands_ready:
                found, work.waits_for = self._stretches_ready(stretches)
                if work.waits_for is not None:
                    return
                self._operands_ready[id(stretches)] = found
            work.ready = self._operands_ready[id(stretches)]

    def _stretches_ready(self, stretches: tuple[Stretch, ...]) -> tuple[int, Place | None]:
        """From when on every column's word is there when its turn comes; or a word of which that is
        not known."""
        ready, offset = 0, 0
        for stretch in stretches:
            for read in self._to_wait_for(stretch):
                times = self.expected if read.age else self._hazards.spectrum_ready
                for i, place in enumerate(read.words.places):
                    time = times.get(place, 0 if read.age else None)
                    if time is None:
                        return ready, place
                    ready = max(ready, time - offset - i)
            offset += stretch.count
        return ready, None

    def _to_wait_for(self, stretch: Stretch) -> Iterator[Read]:
        """What is not there when a round begins, as the input is."""
        name = self._layout.model.input.name
        return (read for read in stretch.reads if read is not None and read.signal != name)

    def _issue(self, one: Pass, turn: Turn, start: int) -> None:
        cycle = start
        for stretch in self._tape.stretches(one, turn):
            for read in (read for read in stretch.reads if read is not None):
                self._hazards.read_spectrum(read.words, cycle)
            cycle += stretch.count
        self.rows += self._tape.rows(one, turn, start - self.free)
        self.free = cycle
        self.round.bar("processing elements", start, cycle, one.product.name, turn)
        self.sums_kept.note(one, cycle - 1)
        if one.leaving or self._layout.sums_leave:
            self.drain_free = cycle - 1 + self._layout.design.pes // self._layout.design.words
        if not one.leaving:
            return
        self._note_rows(one, cycle - 1 + self._timing.product, turn)
        leave = cycle - 1 + self._timing.exit
        last = leave + one.count // self._layout.design.words
        self.round.bar("inverse transform", leave, last, one.product.name, turn)

    def _note_rows(self, one: Pass, written: int, turn: Turn) -> None:
        """When each line of results is there: rows leave one a bus and cycle, the several of a line
        perhaps in many passes.
        """
        words = self._layout.design.words
        for part in one.parts:
            base = self._layout.gates(part.product, turn.stream)
            for row in range(part.first // words, (part.first + part.count) // words):
                last = (row + 1) % part.rows.parts == 0 or (row + 1) * words == part.rows.count
                self._hazards.write_gate(base + row // part.rows.parts, written, last)
                written += 1

    # --- from one round to the next

    def bounds(self) -> dict[str, int]:
        """Lower bounds on the cycles between two rounds, by cause."""
        first_end = self.rows[0]["gap"] + self._first_pass_columns() - 1
        return {
            "array's tape": self.free,  # with what it waits for
            "results leaving": self.drain_free - first_end,
        }

    def _first_pass_columns(self) -> int:
        columns = 0
        for row in self.rows:
            columns += row["count"]
            if row["drain"]:
                return columns
        return columns
