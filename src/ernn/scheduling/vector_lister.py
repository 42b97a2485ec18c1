"""A round's steps on the vector unit, one after the other: which may be next, and what it makes
ready."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from ernn.scheduling.forwarding import WAYS, Forwarding
from ernn.scheduling.issue_order import Turn
from ernn.scheduling.round import Option, Round, Work
from ernn.scheduling.vector_program import Gate, Kept, LayerStage, Step, Term
from ernn.scheduling.vector_tape import Chunk, VectorTape


@dataclass
class VectorLister:
    """`begin`: it begins no earlier, which only places steps well.  `rows`: of the tape; `edges`:
    what each row's results are; `free`: when the next step may begin."""

    round: Round
    begin: int
    rows: list[dict[str, int]] = field(default_factory=list)
    edges: dict[int, tuple[Step, int, int]] = field(default_factory=dict)
    outputs: list[tuple[int, int]] = field(default_factory=list)
    """(rounds late, when a result leaves)"""
    free: int = field(init=False)

    def __post_init__(self) -> None:
        self._layout, self._timing = self.round.layout, self.round.timing
        self._hazards = self.round.hazards
        self.free = self.begin
        self._tape = VectorTape(self.round.order, self.round.shifts)
        self._forwarding = Forwarding(self._layout, self._timing.pipeline)
        self._opened: dict[int, int] = defaultdict(int)  # chunks by stage
        self._slots: dict[int, set[int]] = defaultdict(set)  # in use, by stage
        self._tabled: list[tuple[range, bool]] = []  # results on that way, and whether they leave
        self._sender: int | None = None  # the stream that begins the lines of its outputs
        self._to_send: list[Chunk] = []  # whose output steps are still to come, in order

    @property
    def start(self) -> int:
        """When the tape begins."""
        return self.begin + self.rows[0]["gap"]

    def options(self, works: list[Work]) -> Iterator[Option]:
        """Every chunk's next step that can begin at a known time; a stream's turns use the vector
        unit in order, of a lone stream those of a frame: what another frame reads is then kept
        until the round after (`IssueOrder`).
        """
        begun: set[int] = set()
        for work in works:
            turn = work.turn.late if self.round.lone else work.turn.stream
            stage = work.turn.stage if self.round.lone else -work.turn.stage
            if work.steps_left and turn not in begun:
                begun.add(turn)
                self._open(work)
                for chunk in work.chunks:
                    for number in self._next(work.turn, chunk):
                        start = self._may_begin(self._steps(work.turn)[number], chunk, number)
                        key = (start, 0, work.order, stage, *self._urgency(work, chunk, number))
                        act = partial(self._do_step, work, chunk, number, start)
                        yield key, act

    def _urgency(self, work: Work, chunk: Chunk, number: int) -> tuple[int, int]:
        """What decides between steps of a stage: lines in order, of a lone stream behind how many
        others follow, or before it where passes take the stage's results as they come."""
        stage = self._stage(work.turn)
        left = -stage.left[number] if self.round.lone else 0
        in_turn = any(step.signal in self._layout.taken_in_turn for step in stage.steps)
        return (chunk.first, left) if in_turn else (left, chunk.first)

    def _next(self, turn: Turn, chunk: Chunk) -> Iterator[int]:
        """A chunk's next step if it can begin at a known time; of a lone stream all that may be
        next."""
        stage = self._stage(turn)
        for number in chunk.left if self.round.lone else chunk.left[:1]:
            if stage.follows[number].isdisjoint(chunk.left):
                if number not in chunk.ready and self._in_order(stage.steps[number], chunk):
                    self._find_ready(turn, chunk, number)
                if number in chunk.ready:
                    yield number

    def _open(self, work: Work) -> None:
        """Begin further chunks while there are slots: those of a stage are taken in turns."""
        design, taken = self._layout.design, self._slots[work.turn.stage]
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

    def _may_send(self, work: Work) -> bool:
        """Whether it sends nothing, or no other stream is at its outputs: frames do not mix."""
        free = self._sender in (None, work.turn.stream)
        return work.turn.stage not in self._layout.output_stages or free

    def _note_opened(self, work: Work) -> None:
        """Outputs leave in the order in which their chunks are begun."""
        outputs = self._layout.output_stages
        if work.turn.stage in outputs:
            self._to_send.append(work.chunks[-1])
            ends = work.turn.stage == outputs[-1] and work.begun == work.lines
            self._sender = None if ends else work.turn.stream

    def _in_order(self, step: Step, chunk: Chunk) -> bool:
        return not step.output or self._to_send[0] is chunk

    def _do_step(self, work: Work, chunk: Chunk, number: int, start: int) -> None:
        step = self._steps(work.turn)[number]
        self._run_step(step, work.turn, chunk, start)
        if step.output:
            self._to_send.pop(0)
        chunk.left.remove(number)
        if not chunk.left:
            work.chunks.remove(chunk)
            self._slots[work.turn.stage].remove(chunk.slot)

    def _stage(self, turn: Turn) -> LayerStage:
        return self._layout.stages[turn.stage]

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
        terms, beats = len(step.terms), chunk.lines * self._layout.beats
        for index, term in enumerate(step.terms):
            self._note_reads(term, turn, chunk, start + index, terms)
        soon = [self._soon(term, turn, chunk, start + n) for n, term in enumerate(step.terms)]
        results, late = self._results(step, start, chunk)
        gap = start - self.free
        tabled = late is not None
        self.rows += self._tape.rows(step, turn, chunk, gap, tabled, soon)
        row = len(self.rows) - 1
        self.edges[row] = (step, turn.stream, chunk.first)
        if late is None or step.then is not None:
            self._note_writes(step, turn, chunk, results)
        if late is not None:
            self._note_writes(step.then or step, turn, chunk, late)
        if step.then is not None:
            self.edges[-1 - row] = (step.then, turn.stream, chunk.first)
        self.free = start + beats * terms
        self.round.bar("vector unit", start, self.free, step.name, turn)

    def _may_begin(self, step: Step, chunk: Chunk, number: int) -> int:
        """Earliest start of a step whose operands are `ready`: with forwarding and a lone stream,
        one that needs no table waits until the shorter way is free, as long as that is sooner than
        the longer one."""
        start = max(self.free, chunk.ready[number])
        shorter = self._layout.design.forwarding and self.round.lone and self._needs_no_table(step)
        starts = range(start, start + self._timing.pipeline.activation) if shorter else ()
        return next((one for one in starts if self._passes_by(step, one, chunk)), start)

    def _needs_no_table(self, step: Step) -> bool:
        return step.then is None and self._layout.model.table(step.activation) is None

    def _passes_by(self, step: Step, start: int, chunk: Chunk) -> bool:
        """Whether none of the results before is in the way of sums that pass the tables by: at no
        time are there two, those of a line stay together, and outputs leave in order.

        At the tape's beginning results of the round before may still be on the longer way.
        """
        begun = self.begin + self.rows[0]["gap"] if self.rows else start
        times = self._sums(step, start, chunk)
        under_way = (one for one in self._tabled if one[0][-1] >= times.start)
        whole = self._layout.beats > 1
        return start >= begun + self._timing.pipeline.activation and not any(
            whole or (step.output and leave) or any(time in others for time in times)
            for others, leave in under_way
        )

    def _sums(self, step: Step, start: int, chunk: Chunk) -> range:
        """When a step's sums are there, beat by beat."""
        terms = len(step.terms)
        first = start + terms - 1 + self._timing.pipeline.values
        return range(first, first + chunk.lines * self._layout.beats * terms, terms)

    def _results(self, step: Step, start: int, chunk: Chunk) -> tuple[range, range | None]:
        """When a step's sums are there, and when what comes through the tables is: those that need
        none pass them by where they can."""
        times, longer = self._sums(step, start, chunk), self._timing.pipeline.activation
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
        beats = range(chunk.lines * self._layout.beats)
        for kept in term.reads:
            if not self.round.order.age_of(kept, turn):
                base = self._tape.value(kept.value, turn, chunk)
                yield kept, self._hazards.value_ready, range(base, base + len(beats))
        if isinstance(term.addend, Gate):
            base, stride = self._tape.gate(term.addend, turn, chunk)
            lines = [base + i // self._layout.beats * stride for i in beats]
            yield term.addend, self._hazards.gate_ready, lines

    def _soon(self, term: Term, turn: Turn, chunk: Chunk, issue: int) -> dict[str, int]:
        """What a term issued then takes on its way; nothing is said where nothing may be."""
        if not self._layout.design.forwarding:
            return {}
        found = dict.fromkeys((f"{way}_soon" for way in WAYS), 0)
        for read, times, places in self._read(term, turn, chunk):
            way = "line" if isinstance(read, Gate) else "b" if read is term.b else "a"
            found[f"{way}_soon"] = self._forwarding.soon(read, times[places[0]], issue)
        return found

    def _note_reads(self, term: Term, turn: Turn, chunk: Chunk, start: int, stride: int) -> None:
        beats = range(chunk.lines * self._layout.beats)
        for kept in term.reads:
            age = self.round.order.age_of(kept, turn)
            if age:
                base = self._tape.value(kept.value, turn, chunk)
                for i in beats:
                    self._hazards.read_old_value(base + i, age, start + i * stride)
        if isinstance(term.addend, Gate):
            base, step = self._tape.gate(term.addend, turn, chunk)
            for i in beats:
                self._hazards.read_gate(base + i // self._layout.beats * step, start + i * stride)

    def _note_writes(self, step: Step, turn: Turn, chunk: Chunk, results: range) -> None:
        """What each beat of the result makes ready; a line goes on to the transforms or the output
        with its last beat.
        """
        for i, time in enumerate(results):
            if step.keep is not None:
                address = self._tape.value(step.keep, turn, chunk) + i
                self._hazards.value_ready[address] = time + self._timing.pipeline.far
            if step.signal is not None:
                line = chunk.first + i // self._layout.beats
                self._note_spectra(step.signal, turn, line, time + self._timing.forward)
            if step.output:
                self.outputs.append((turn.late, time))
        if step.signal is not None:
            self.round.bar("forward transform", results.start, results.stop, step.signal, turn)

    def _note_spectra(self, signal: str, turn: Turn, line: int, time: int) -> None:
        base, design = (
            self._layout.spectra.place(signal, turn.stream),
            self._layout.design,
        )
        for place in range(line * design.words, (line + 1) * design.words):
            word = place % design.splits, base + place // design.splits
            self._hazards.spectrum_ready[word] = time

    # --- from one round to the next

    def bounds(self) -> dict[str, int]:
        """Lower bounds on the cycles between two rounds, by cause."""
        return {"vector unit": self.free - self.start, "vector unit's start": self.start + 1}
