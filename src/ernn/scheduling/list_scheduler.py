"""List scheduling of one round: it writes both tapes and keeps the time at which everything is
there.

Always the pass or step that can begin first is next; of several, one of the first turn, and of
turns side by side the one that is least far; of a lone stream's steps, which follow no fixed order,
the one that most others follow, or one of the first line.  What an item reads of this round's
results delays it.  What it reads of an earlier round's, and what it must have read before a later
round overwrites it, are lower bounds on the interval (`ernn.scheduling.hazards`).
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from ernn.scheduling.array_tape import ArrayTape, Read, Stretch
from ernn.scheduling.forwarding import WAYS, Forwarding
from ernn.scheduling.hazards import Hazards, Place
from ernn.scheduling.head import Early
from ernn.scheduling.issue_order import IssueOrder, Turn
from ernn.scheduling.kept_sums import KeptSums
from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.shift_tables import ShiftTables
from ernn.scheduling.timing import Timing
from ernn.scheduling.vector_program import Gate, Kept, LayerStage, Step, Term
from ernn.scheduling.vector_tape import Chunk, VectorTape
from ernn.scheduling.weight_banks import Pass

AHEAD = 0.75
"""Of a later stage's passes beside a first stage's: so its results are there for the next frame."""


@dataclass(frozen=True)
class Bar:
    """A stretch of time in which a unit is busy, for people to look at."""

    unit: str
    start: int
    end: int
    label: str
    stream: int


@dataclass
class _Work:
    """What is left to do of a turn."""

    turn: Turn
    order: int  # turns side by side have the same
    passes: list[Pass]
    lines: int  # of the vector unit's steps, those already begun among them
    begun: int = 0
    chunks: list[Chunk] = field(default_factory=list)
    ready: int | None = None  # from when on the next pass can begin

    @property
    def steps_left(self) -> bool:
        return self.begun < self.lines or bool(self.chunks)


Option = tuple[tuple[float, ...], Callable[[], None]]
"""When it begins and what decides between equals; what to do."""


@dataclass
class ListScheduler:
    """Both tapes, and what is known at every time.

    `expected`: when a round before will have written a place, for what reads it late;
    `vector_from`: the vector unit begins no earlier.  Both only place items well.
    """

    layout: MemoryMap
    timing: Timing
    shifts: ShiftTables
    expected: Mapping[Place, int] = field(default_factory=dict)
    vector_from: int = 0
    array: list[dict[str, int]] = field(default_factory=list)
    vector: list[dict[str, int]] = field(default_factory=list)
    edges: dict[int, tuple[Step, int, int]] = field(default_factory=dict)
    bars: list[Bar] = field(default_factory=list)
    outputs: list[tuple[int, int]] = field(default_factory=list)
    """(rounds late, when a result leaves)"""
    hazards: Hazards = field(default_factory=Hazards)
    array_free: int = 0
    drain_free: int = 0
    vector_free: int = field(init=False, default=0)
    early: Early | None = field(init=False, default=None)
    """The round without its head."""

    def __post_init__(self) -> None:
        self.order = IssueOrder(self.layout)
        self._array_tape = ArrayTape(self.order, self.shifts)
        self._vector_tape = VectorTape(self.order, self.shifts)
        self._forwarding = Forwarding(self.layout, self.timing.pipeline)
        self.vector_free = self.vector_from
        self._sums_kept = KeptSums(self.layout.sums_leave)
        self._operands_ready: dict[int, int] = {}  # of passes that read the same, by their reads
        self._opened: dict[int, int] = defaultdict(int)  # chunks by stage
        self._slots: dict[int, set[int]] = defaultdict(set)  # in use, by stage
        self._tabled: list[tuple[range, bool]] = []  # results on that way, and whether they leave
        self._sender: int | None = None  # the stream that begins the lines of its outputs
        self._to_send: list[Chunk] = []  # whose output steps are still to come, in order

    @property
    def _lone(self) -> bool:
        """Whether there is one stream, whose next frame waits for this one's first stages."""
        return self.layout.design.streams == 1

    def run(self) -> None:
        turns, head = list(self.order), self.layout.head
        works = [self._work(turn) for turn in turns if turn.stage < head]
        self._list([*works, *self._works_before(turns)])
        self.array[-1]["end"] = 1
        self.vector[-1]["end"] = 1
        if self.layout.design.once:
            self.early = Early(len(self.array), len(self.vector), self.bounds())
            self._list([self._work(turn) for turn in turns if turn.stage >= head])

    def _list(self, works: list[_Work]) -> None:
        """Both tapes of some turns, behind what is already there."""
        while options := [*self._passes_next(works), *self._steps_next(works)]:
            _, act = min(options, key=lambda option: option[0])
            act()
        assert not any(work.passes or work.steps_left for work in works), (
            "turns wait for each other"
        )

    def _work(self, turn: Turn) -> _Work:
        passes, steps = self.layout.passes[turn.stage], self.layout.stages[turn.stage].steps
        lines = self.layout.lines(steps[0].length) if steps else 0
        order = self.order.order(turn)
        own = [one for one in passes if not one.before]
        return _Work(turn, order, sorted(own, key=lambda one: one.progress), lines)

    def _works_before(self, turns: Sequence[Turn]) -> Iterator[_Work]:
        """What is made beforehand of the next frame: after everything else."""
        for turn in turns:
            if made := [one for one in self.layout.passes[turn.stage] if one.before]:
                yield _Work(replace(turn, late=turn.late - 1), len(turns), made, 0)

    # --- products on the processing elements

    def _passes_next(self, works: list[_Work]) -> Iterator[Option]:
        """Every turn's next pass whose operands are known."""
        for work in works:
            if work.passes:
                one = work.passes[0]
                if work.ready is None:
                    work.ready = self._pass_ready(one, work.turn)
                if work.ready is not None:
                    start = max(self.array_free, self._may_leave(one), work.ready)
                    key = (start, 1, work.order, self._left(work))
                    yield key, lambda w=work, s=start: self._do_pass(w, s)

    def _may_leave(self, one: Pass) -> int:
        """Earliest start of a pass for the bus to be free when it ends, and for the sums to be kept
        that it goes on with."""
        leaves = one.leaving or self.layout.sums_leave
        kept = self._sums_kept.earliest(one)
        return max(kept, self.drain_free - one.length + 1) if leaves else kept

    def _left(self, work: _Work) -> float:
        """How urgent a turn's next pass is, the smaller the more: by its share done, later stages a
        bit ahead; of a lone stream later stages last.
        """
        if self._lone:
            return work.turn.stage
        share = 1 - len(work.passes) / len(self.layout.passes[work.turn.stage])
        return share if work.turn.stage == 0 else share * AHEAD

    def _do_pass(self, work: _Work, start: int) -> None:
        one, work.ready = work.passes.pop(0), None
        self._issue(one, work.turn, start)

    def _pass_ready(self, one: Pass, turn: Turn) -> int | None:
        """Earliest start of a pass: every column's word must be there when its turn comes."""
        stretches = self._array_tape.stretches(one, turn)
        if id(stretches) not in self._operands_ready:
            ready = self._stretches_ready(stretches)
            if ready is None:
                return None
            self._operands_ready[id(stretches)] = ready
        return self._operands_ready[id(stretches)]

    def _stretches_ready(self, stretches: tuple[Stretch, ...]) -> int | None:
        ready, offset = 0, 0
        for stretch in stretches:
            for read in self._to_wait_for(stretch):
                times = self.expected if read.age else self.hazards.spectrum_ready
                for i, place in enumerate(read.words.places):
                    time = times.get(place, 0 if read.age else None)
                    if time is None:
                        return None
                    ready = max(ready, time - offset - i)
            offset += stretch.count
        return ready

    def _to_wait_for(self, stretch: Stretch) -> Iterator[Read]:
        """What is not there when a round begins, as the input is."""
        name = self.layout.model.input.name
        return (read for read in stretch.reads if read is not None and read.signal != name)

    def _issue(self, one: Pass, turn: Turn, start: int) -> None:
        cycle = start
        for stretch in self._array_tape.stretches(one, turn):
            for read in (read for read in stretch.reads if read is not None):
                self.hazards.read_spectrum(read.words, cycle)
            cycle += stretch.count
        self.array += self._array_tape.rows(one, turn, start - self.array_free)
        self.array_free = cycle
        self._bar("processing elements", start, cycle, one.product.name, turn)
        self._sums_kept.note(one, cycle - 1)
        if one.leaving or self.layout.sums_leave:
            self.drain_free = cycle - 1 + self.layout.design.pes // self.layout.design.words
        if not one.leaving:
            return
        self._note_rows(one, cycle - 1 + self.timing.product, turn)
        leave = cycle - 1 + self.timing.exit
        last = leave + one.count // self.layout.design.words
        self._bar("inverse transform", leave, last, one.product.name, turn)

    def _note_rows(self, one: Pass, written: int, turn: Turn) -> None:
        """When each line of results is there: rows leave one a bus and cycle, the several of a line
        perhaps in many passes.
        """
        words = self.layout.design.words
        for part in one.parts:
            base = self.layout.gates(part.product, turn.stream)
            for row in range(part.first // words, (part.first + part.count) // words):
                last = (row + 1) % part.rows.parts == 0 or (row + 1) * words == part.rows.count
                self.hazards.write_gate(base + row // part.rows.parts, written, last)
                written += 1

    # --- steps on the vector unit

    def _steps_next(self, works: list[_Work]) -> Iterator[Option]:
        """Every chunk's next step that can begin at a known time; a stream's turns use the vector
        unit in order, of a lone stream those of a frame: what another frame reads is then kept
        until the round after (`IssueOrder`).
        """
        begun: set[int] = set()
        for work in works:
            turn = work.turn.late if self._lone else work.turn.stream
            stage = work.turn.stage if self._lone else -work.turn.stage
            if work.steps_left and turn not in begun:
                begun.add(turn)
                self._open(work)
                for chunk in work.chunks:
                    for number in self._next(work.turn, chunk):
                        start = self._may_begin(self._steps(work.turn)[number], chunk, number)
                        key = (start, 0, work.order, stage, *self._urgency(work, chunk, number))
                        act = partial(self._do_step, work, chunk, number, start)
                        yield key, act

    def _urgency(self, work: _Work, chunk: Chunk, number: int) -> tuple[int, int]:
        """What decides between steps of a stage: lines in order, of a lone stream behind how many
        others follow, or before it where passes take the stage's results as they come."""
        stage = self._stage(work.turn)
        left = -stage.left[number] if self._lone else 0
        in_turn = any(step.signal in self.layout.taken_in_turn for step in stage.steps)
        return (chunk.first, left) if in_turn else (left, chunk.first)

    def _next(self, turn: Turn, chunk: Chunk) -> Iterator[int]:
        """A chunk's next step if it can begin at a known time; of a lone stream all that may be
        next."""
        stage = self._stage(turn)
        for number in chunk.left if self._lone else chunk.left[:1]:
            if stage.follows[number].isdisjoint(chunk.left):
                if number not in chunk.ready and self._in_order(stage.steps[number], chunk):
                    self._find_ready(turn, chunk, number)
                if number in chunk.ready:
                    yield number

    def _open(self, work: _Work) -> None:
        """Begin further chunks while there are slots: those of a stage are taken in turns."""
        design, taken = self.layout.design, self._slots[work.turn.stage]
        while work.begun < work.lines and len(taken) < design.overlap and self._may_send(work):
            lines = min(design.chunk, work.lines - work.begun)
            slot = self._opened[work.turn.stage] % design.overlap
            if slot in taken:
                return
            taken.add(slot)
            self._opened[work.turn.stage] += 1
            steps = list(range(len(self._steps(work.turn))))
            work.chunks.append(Chunk(work.begun, lines, slot, steps))
            work.begun += lines
            self._note_opened(work)

    def _may_send(self, work: _Work) -> bool:
        """Whether it sends nothing, or no other stream is at its outputs: frames do not mix."""
        free = self._sender in (None, work.turn.stream)
        return work.turn.stage not in self.layout.output_stages or free

    def _note_opened(self, work: _Work) -> None:
        """Outputs leave in the order in which their chunks are begun."""
        outputs = self.layout.output_stages
        if work.turn.stage in outputs:
            self._to_send.append(work.chunks[-1])
            ends = work.turn.stage == outputs[-1] and work.begun == work.lines
            self._sender = None if ends else work.turn.stream

    def _in_order(self, step: Step, chunk: Chunk) -> bool:
        return not step.output or self._to_send[0] is chunk

    def _do_step(self, work: _Work, chunk: Chunk, number: int, start: int) -> None:
        step = self._steps(work.turn)[number]
        self._run_step(step, work.turn, chunk, start)
        if step.output:
            self._to_send.pop(0)
        chunk.left.remove(number)
        if not chunk.left:
            work.chunks.remove(chunk)
            self._slots[work.turn.stage].remove(chunk.slot)

    def _stage(self, turn: Turn) -> LayerStage:
        return self.layout.stages[turn.stage]

    def _steps(self, turn: Turn) -> tuple[Step, ...]:
        return self._stage(turn).steps

    def _find_ready(self, turn: Turn, chunk: Chunk, number: int) -> None:
        """Earliest start of a chunk's step, if everything that it reads is known."""
        if number in chunk.waits_for:
            times, place = chunk.waits_for[number]
            if place not in times:
                return
        step = self._steps(turn)[number]
        terms, ready = len(step.terms), 0
        for index, term in enumerate(step.terms):
            for read, times, places in self._read(term, turn, chunk):
                if missing := [place for place in places if place not in times]:
                    chunk.waits_for[number] = times, missing[0]
                    return
                found = [times[place] - beat * terms - index for beat, place in enumerate(places)]
                ready = max(ready, self._forwarding.earliest(read, found))
        chunk.ready[number] = ready

    def _run_step(self, step: Step, turn: Turn, chunk: Chunk, start: int) -> None:
        """A chunk's next step, beat by beat."""
        terms, beats = len(step.terms), chunk.lines * self.layout.beats
        for index, term in enumerate(step.terms):
            self._note_reads(term, turn, chunk, start + index, terms)
        soon = [self._soon(term, turn, chunk, start + n) for n, term in enumerate(step.terms)]
        results, late = self._results(step, start, chunk)
        gap = start - self.vector_free
        tabled = late is not None
        self.vector += self._vector_tape.rows(step, turn, chunk, gap, tabled, soon)
        row = len(self.vector) - 1
        self.edges[row] = (step, turn.stream, chunk.first)
        if late is None or step.then is not None:
            self._note_writes(step, turn, chunk, results)
        if late is not None:
            self._note_writes(step.then or step, turn, chunk, late)
        if step.then is not None:
            self.edges[-1 - row] = (step.then, turn.stream, chunk.first)
        self.vector_free = start + beats * terms
        self._bar("vector unit", start, self.vector_free, step.name, turn)

    def _may_begin(self, step: Step, chunk: Chunk, number: int) -> int:
        """Earliest start of a step whose operands are `ready`: with forwarding and a lone stream,
        one that needs no table waits until the shorter way is free, as long as that is sooner than
        the longer one."""
        start = max(self.vector_free, chunk.ready[number])
        shorter = self.layout.design.forwarding and self._lone and self._needs_no_table(step)
        starts = range(start, start + self.timing.pipeline.activation) if shorter else ()
        return next((one for one in starts if self._passes_by(step, one, chunk)), start)

    def _needs_no_table(self, step: Step) -> bool:
        return step.then is None and self.layout.model.table(step.activation) is None

    def _passes_by(self, step: Step, start: int, chunk: Chunk) -> bool:
        """Whether none of the results before is in the way of sums that pass the tables by: at no
        time are there two, those of a line stay together, and outputs leave in order.

        At the tape's beginning results of the round before may still be on the longer way.
        """
        begun = self.vector_from + self.vector[0]["gap"] if self.vector else start
        times = self._sums(step, start, chunk)
        under_way = (one for one in self._tabled if one[0][-1] >= times.start)
        whole = self.layout.beats > 1
        return start >= begun + self.timing.pipeline.activation and not any(
            whole or (step.output and leave) or any(time in others for time in times)
            for others, leave in under_way
        )

    def _sums(self, step: Step, start: int, chunk: Chunk) -> range:
        """When a step's sums are there, beat by beat."""
        terms = len(step.terms)
        first = start + terms - 1 + self.timing.pipeline.values
        return range(first, first + chunk.lines * self.layout.beats * terms, terms)

    def _results(self, step: Step, start: int, chunk: Chunk) -> tuple[range, range | None]:
        """When a step's sums are there, and when what comes through the tables is: those that need
        none pass them by where they can."""
        times, longer = self._sums(step, start, chunk), self.timing.pipeline.activation
        if self._needs_no_table(step) and self._passes_by(step, start, chunk):
            return times, None
        later = range(times.start + longer, times.stop + longer, len(step.terms))
        self._tabled = [one for one in self._tabled if one[0][-1] >= times.start]
        self._tabled.append((later, step.output))
        return times, later

    def _read(
        self, term: Term, turn: Turn, chunk: Chunk
    ) -> Iterator[tuple[Kept | Gate, Mapping[int, int], Sequence[int]]]:
        """Everything that a term reads of this round's results: what it is, times by place, and
        each beat's place.
        """
        beats = range(chunk.lines * self.layout.beats)
        for kept in term.reads:
            if not self.order.age_of(kept, turn):
                base = self._vector_tape.value(kept.value, turn, chunk)
                yield kept, self.hazards.value_ready, range(base, base + len(beats))
        if isinstance(term.addend, Gate):
            base, stride = self._vector_tape.gate(term.addend, turn, chunk)
            lines = [base + i // self.layout.beats * stride for i in beats]
            yield term.addend, self.hazards.gate_ready, lines

    def _soon(self, term: Term, turn: Turn, chunk: Chunk, issue: int) -> dict[str, int]:
        """What a term issued then takes on its way; nothing is said where nothing may be."""
        if not self.layout.design.forwarding:
            return {}
        found = dict.fromkeys((f"{way}_soon" for way in WAYS), 0)
        for read, times, places in self._read(term, turn, chunk):
            way = "line" if isinstance(read, Gate) else "b" if read is term.b else "a"
            found[f"{way}_soon"] = self._forwarding.soon(read, times[places[0]], issue)
        return found

    def _note_reads(self, term: Term, turn: Turn, chunk: Chunk, start: int, stride: int) -> None:
        beats = range(chunk.lines * self.layout.beats)
        for kept in term.reads:
            age = self.order.age_of(kept, turn)
            if age:
                base = self._vector_tape.value(kept.value, turn, chunk)
                for i in beats:
                    self.hazards.read_old_value(base + i, age, start + i * stride)
        if isinstance(term.addend, Gate):
            base, step = self._vector_tape.gate(term.addend, turn, chunk)
            for i in beats:
                self.hazards.read_gate(base + i // self.layout.beats * step, start + i * stride)

    def _note_writes(self, step: Step, turn: Turn, chunk: Chunk, results: range) -> None:
        """What each beat of the result makes ready; a line goes on to the transforms or the output
        with its last beat.
        """
        for i, time in enumerate(results):
            if step.keep is not None:
                address = self._vector_tape.value(step.keep, turn, chunk) + i
                self.hazards.value_ready[address] = time + self.timing.pipeline.far
            if step.signal is not None:
                line = chunk.first + i // self.layout.beats
                self._note_spectra(step.signal, turn, line, time + self.timing.forward)
            if step.output:
                self.outputs.append((turn.late, time))
        if step.signal is not None:
            self._bar("forward transform", results.start, results.stop, step.signal, turn)

    def _note_spectra(self, signal: str, turn: Turn, line: int, time: int) -> None:
        base, design = self.layout.spectra.place(signal, turn.stream), self.layout.design
        for place in range(line * design.words, (line + 1) * design.words):
            word = place % design.splits, base + place // design.splits
            self.hazards.spectrum_ready[word] = time

    def _bar(self, unit: str, start: int, end: int, label: str, turn: Turn) -> None:
        self.bars.append(Bar(unit, start, end, label, turn.stream))

    # --- from one round to the next

    @property
    def vector_start(self) -> int:
        """When the vector unit's tape begins."""
        return self.vector_from + self.vector[0]["gap"]

    def bounds(self) -> dict[str, int]:
        """Lower bounds on the cycles between two rounds, by cause."""
        first_end = self.array[0]["gap"] + self._first_pass_columns() - 1
        return {
            "array's tape": self.array_free,  # with what it waits for
            "results leaving": self.drain_free - first_end,
            "vector unit": self.vector_free - self.vector_start,
            "vector unit's start": self.vector_start + 1,
            "recurrence": max(self.hazards.recurrence(), self._sums_kept.recurrence),
            "gates overwritten": self.hazards.gates_overwritten(),
            "spectra overwritten": self.hazards.spectra_overwritten(),
            "start": 4,
        }

    def _first_pass_columns(self) -> int:
        columns = 0
        for row in self.array:
            columns += row["count"]
            if row["drain"]:
                return columns
        return columns

    def written_before(self, interval: int) -> dict[Place, int]:
        """When the round before has written a place: `expected` of a schedule after this one."""
        return {place: time - interval for place, time in self.hazards.spectrum_ready.items()}

    def length(self, interval: int) -> int:
        """When the last result leaves, rounds `interval` cycles apart."""
        return max(late * interval + time for late, time in self.outputs)
