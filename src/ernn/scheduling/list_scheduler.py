"""A walk through one round that writes both tapes and keeps the time at which everything is there.

Always the pass or step that can begin first is next; of several, one of the first turn, and of
turns side by side the one that is least far.  Times are issue cycles: `*_ready[place]` is the first
cycle in which an item that reads it may issue.  What an item reads of this round's results delays
it.  What it reads of an earlier round's, and what it must have read before a later round overwrites
it, are lower bounds on the interval.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil

from ernn.ir.integer_model import IntegerModel
from ernn.scheduling.issue_order import IssueOrder, Turn
from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.shift_tables import ShiftTables
from ernn.scheduling.timing import Timing
from ernn.scheduling.vector_program import Constant, Gate, Step, Term, Value
from ernn.scheduling.weight_banks import Part, Pass

Place = tuple[int, int]  # bank, address
AHEAD = 0.75  # of a later stage's passes beside a first stage's: so its results are there for the next frame


@dataclass(frozen=True)
class Bar:
    """A stretch of time in which a unit is busy, for people to look at."""

    unit: str
    start: int
    end: int
    label: str
    stream: int


@dataclass
class _Span:
    """First and last time something is used in a round."""

    first: int | None = None
    last: int = 0

    def add(self, first: int, last: int) -> None:
        self.first = first if self.first is None else min(self.first, first)
        self.last = max(self.last, last)


@dataclass(frozen=True)
class _Read:
    """What a group reads in a stretch of a pass: `count` words from `address` on in its bank."""

    signal: str
    address: int
    count: int
    age: int
    previous: int


@dataclass
class _Chunk:
    """Lines under way in the vector unit: its next step, and from when on that can begin (None: not
    known).
    """

    first: int
    lines: int
    slot: int
    step: int = 0
    ready: int | None = None


@dataclass
class _Work:
    """What is left to do of a turn."""

    turn: Turn
    order: int  # turns side by side have the same
    passes: list[Pass]
    lines: int  # of the vector unit's steps, those already begun among them
    begun: int = 0
    chunks: list[_Chunk] = field(default_factory=list)
    ready: int | None = None  # from when on the next pass can begin

    @property
    def steps_left(self) -> bool:
        return self.begun < self.lines or bool(self.chunks)


Option = tuple[
    tuple[float, ...], Callable[[], None]
]  # when it begins, what decides between equals; what to do


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
    edges: dict[int, tuple[str, int, int]] = field(default_factory=dict)
    bars: list[Bar] = field(default_factory=list)
    outputs: list[tuple[int, int]] = field(
        default_factory=list
    )  # (rounds late, when a result leaves)
    array_free: int = 0
    drain_free: int = 0
    vector_free: int = field(init=False, default=0)
    spectrum_ready: dict[Place, int] = field(default_factory=dict)  # written in this round
    spectrum_reads: dict[tuple[Place, int], _Span] = field(
        default_factory=lambda: defaultdict(_Span)
    )  # by place, age
    gate_first: dict[int, int] = field(default_factory=dict)  # a line's first row is written
    gate_ready: dict[int, int] = field(default_factory=dict)
    gate_read: dict[int, int] = field(default_factory=dict)
    value_ready: dict[int, int] = field(default_factory=dict)
    old_reads: dict[tuple[int, int], int] = field(
        default_factory=dict
    )  # first read of an old value, by address, age

    def __post_init__(self) -> None:
        self.turns = IssueOrder(self.layout)
        self.vector_free = self.vector_from
        self._shared = any(len(one.parts) > 1 for stage in self.layout.passes for one in stage)
        self._cut: dict[
            tuple[object, ...], list[tuple[int, list[_Read | None]]]
        ] = {}  # of passes that read the same
        self._opened: dict[int, int] = defaultdict(int)  # chunks by stage
        self._slots: dict[int, set[int]] = defaultdict(set)  # in use, by stage

    @property
    def model(self) -> IntegerModel:
        return self.layout.model

    def run(self) -> None:
        works = [self._work(turn) for turn in self.turns]
        while options := [*self._passes_next(works), *self._steps_next(works)]:
            _, act = min(options, key=lambda option: option[0])
            act()
        assert not any(work.passes or work.steps_left for work in works), (
            "turns wait for each other"
        )
        self.array[-1]["end"] = 1
        self.vector[-1]["end"] = 1

    def _work(self, turn: Turn) -> _Work:
        passes, steps = self.layout.passes[turn.stage], self.layout.stages[turn.stage].steps
        lines = self.layout.lines(steps[0].length) if steps else 0
        order = self.turns.order(turn)
        return _Work(turn, order, sorted(passes, key=lambda one: one.progress), lines)

    # --- products on the processing elements

    def _passes_next(self, works: list[_Work]) -> Iterator[Option]:
        """Every turn's next pass whose operands are known."""
        for work in works:
            if work.passes:
                one = work.passes[0]
                if work.ready is None:
                    work.ready = self._pass_ready(one, work.turn)
                if work.ready is not None:
                    start = max(self.array_free, self.drain_free - one.length + 1, work.ready)
                    key = (start, 1, work.order, self._left(work))
                    yield key, lambda w=work, s=start: self._do_pass(w, s)

    def _left(self, work: _Work) -> float:
        """How urgent a turn's next pass is, the smaller the more: by its share done, later stages a
        bit ahead.
        """
        share = 1 - len(work.passes) / len(self.layout.passes[work.turn.stage])
        return share if work.turn.stage == 0 else share * AHEAD

    def _do_pass(self, work: _Work, start: int) -> None:
        one, work.ready = work.passes.pop(0), None
        self._issue(one, self._stretches(one, work.turn), start, work.turn)

    def _pass_ready(self, one: Pass, turn: Turn) -> int | None:
        """Earliest start of a pass: every column's word must be there when its turn comes."""
        ready, offset = 0, 0
        for count, reads in self._stretches(one, turn):
            for bank, read in enumerate(reads):
                if read is not None and read.signal != self.model.input.name:
                    times = self.expected if read.age else self.spectrum_ready
                    for i in range(read.count):
                        time = times.get((bank, read.address + i), 0 if read.age else None)
                        if time is None:
                            return None
                        ready = max(ready, time - offset - i)
            offset += count
        return ready

    def _stretches(self, one: Pass, turn: Turn) -> list[tuple[int, list[_Read | None]]]:
        """Cut a pass where a group goes on to another operand, and a column for the tags of each
        further part.
        """
        signals = tuple(
            operand.signal for operand in one.product.operands
        )  # equal columns of another signal differ
        key = (signals, one.columns, len(one.parts), turn)
        if key not in self._cut:
            self._cut[key] = self._cuts(one, turn)
        return self._cut[key]

    def _cuts(self, one: Pass, turn: Turn) -> list[tuple[int, list[_Read | None]]]:
        cuts = {0, one.length, *(one.length - number for number in range(1, len(one.parts)))}
        for columns in one.columns:
            operands = [operand for operand, _ in columns]
            cuts |= {i for i in range(1, len(operands)) if operands[i] != operands[i - 1]} | {
                len(operands)
            }
        ordered = sorted(cuts)
        return [
            (
                last - first,
                [
                    self._read(one, bank, first, last - first, turn)
                    for bank in range(len(one.columns))
                ],
            )
            for first, last in pairwise(ordered)
        ]

    def _read(self, one: Pass, bank: int, first: int, count: int, turn: Turn) -> _Read | None:
        """What a group reads from column `first` on; None where it has no more columns."""
        if first >= len(one.columns[bank]):
            return None
        operand, column = one.columns[bank][first]
        signal = one.product.operands[operand].signal
        address = self.layout.spectrum(signal, turn.stream)
        address += (column + self.layout.shift(signal)) // self.layout.design.splits
        previous = int(self.turns.before(signal, turn.stage))
        return _Read(signal, address, count, self.turns.age(signal, turn), previous)

    def _issue(
        self, one: Pass, stretches: list[tuple[int, list[_Read | None]]], start: int, turn: Turn
    ) -> None:
        cycle, rows = start, []
        for number, (count, reads) in enumerate(stretches):
            for bank, read in enumerate(reads):
                if read is not None:
                    for i in range(read.count):
                        self.spectrum_reads[(bank, read.address + i), read.age].add(
                            cycle + i, cycle + i
                        )
            part = max(0, number + len(one.parts) - len(stretches))
            rows.append(self._array_row(one, part, count, reads, turn))
            rows[-1]["weights"] = one.weights + cycle - start
            cycle += count
        rows[0] |= {"gap": start - self.array_free, "clear": 1}
        rows[-1]["drain"] = 1
        if self._shared:
            for number, row in enumerate(reversed(rows)):
                row |= {
                    "tag": int(number < len(one.parts)),
                    "more": int(0 < number < len(one.parts)),
                }
        self.array += rows
        self.array_free = cycle
        chain = self.layout.design.pes // self.layout.design.words
        self.drain_free = cycle - 1 + chain
        self._note_rows(one, cycle - 1 + self.timing.product, turn)
        self.bars.append(Bar("processing elements", start, cycle, one.product.name, turn.stream))
        leave = cycle - 1 + self.timing.exit
        last = leave + one.count // self.layout.design.words
        self.bars.append(Bar("inverse transform", leave, last, one.product.name, turn.stream))

    def _array_row(
        self, one: Pass, number: int, count: int, reads: list[_Read | None], turn: Turn
    ) -> dict[str, int]:
        """A tape row with the tags of part `number` of the pass."""
        part = one.parts[number]
        product = part.product
        row = {"gap": 0, "count": count, "end": 0}
        for bank, read in enumerate(reads):
            name = str(bank or "")
            row |= {
                f"spectrum{name}": read.address if read else 0,
                f"previous{name}": read.previous if read else 0,
            }
        row |= {
            "weights": 0,
            "clear": 0,
            "drain": 0,
            "stream": turn.stream,
            "row": self._row_address(part, turn),
            "rows": part.count // self.layout.design.words,
            "dense": int(part.rows.dense),
            "rows_shift": self.shifts.rows.index(
                self.model.product_frac(product) - product.rows.frac
            ),
            "rows_width": self.shifts.widths.index(product.rows.width),
            "output_shift": self.shifts.output.index(self.shifts.output_shift(product)),
        }
        return row | {"late": turn.late} if self.turns.rounds else row

    def _row_address(self, part: Part, turn: Turn) -> int:
        """Where the first row's result goes in each bank, counted in single numbers."""
        per_row = 1 if part.rows.dense else self.model.block
        return self.layout.gates(part.product, turn.stream) * self.model.block + (
            part.first // self.layout.design.words * per_row
        )

    def _note_rows(self, one: Pass, written: int, turn: Turn) -> None:
        """When each line of results is there: rows leave one a bus and cycle, a dense line's
        perhaps in many passes.
        """
        words = self.layout.design.words
        for part in one.parts:
            base = self.layout.gates(part.product, turn.stream)
            for row in range(part.first // words, (part.first + part.count) // words):
                line = base + row // part.rows.lanes
                self.gate_first.setdefault(line, written)
                if (row + 1) % part.rows.lanes == 0 or (row + 1) * words == part.rows.count:
                    self.gate_ready[line] = written
                written += 1

    # --- steps on the vector unit

    def _steps_next(self, works: list[_Work]) -> Iterator[Option]:
        """Every chunk's next step that can begin at a known time; a stream's turns use the vector
        unit in order.
        """
        begun: set[int] = set()
        for work in works:
            if work.steps_left and work.turn.stream not in begun:
                begun.add(work.turn.stream)
                self._open(work)
                for chunk in work.chunks:
                    if chunk.ready is None:
                        chunk.ready = self._step_ready(work.turn, chunk)
                    if chunk.ready is not None:
                        start = max(self.vector_free, chunk.ready)
                        key = (start, 0, work.order, -work.turn.stage, chunk.first)
                        yield key, lambda w=work, c=chunk, s=start: self._do_step(w, c, s)

    def _open(self, work: _Work) -> None:
        """Begin further chunks while there are slots: those of a stage are taken in turns."""
        design, taken = self.layout.design, self._slots[work.turn.stage]
        while work.begun < work.lines and len(taken) < design.overlap:
            lines = min(design.chunk, work.lines - work.begun)
            slot = self._opened[work.turn.stage] % design.overlap
            if slot in taken:
                return
            taken.add(slot)
            self._opened[work.turn.stage] += 1
            work.chunks.append(_Chunk(work.begun, lines, slot))
            work.begun += lines

    def _do_step(self, work: _Work, chunk: _Chunk, start: int) -> None:
        self._run_step(work.turn, chunk, start)
        chunk.step, chunk.ready = chunk.step + 1, None
        if chunk.step == len(self.layout.stages[work.turn.stage].steps):
            work.chunks.remove(chunk)
            self._slots[work.turn.stage].remove(chunk.slot)

    def _step_ready(self, turn: Turn, chunk: _Chunk) -> int | None:
        """Earliest start of a chunk's next step; None where something it reads is not known yet."""
        step = self.layout.stages[turn.stage].steps[chunk.step]
        terms, ready = len(step.terms), 0
        for index, term in enumerate(step.terms):
            for times in self._ready(term, turn, chunk):
                for beat, time in enumerate(times):
                    if time is None:
                        return None
                    ready = max(ready, time - beat * terms - index)
        return ready

    def _run_step(self, turn: Turn, chunk: _Chunk, start: int) -> None:
        """A chunk's next step, beat by beat."""
        step = self.layout.stages[turn.stage].steps[chunk.step]
        terms, beats = len(step.terms), chunk.lines * self.layout.beats
        for index, term in enumerate(step.terms):
            self._note_term_reads(term, turn, chunk, start + index, terms)
            row = self._vector_row(step, index, turn, chunk)
            row["gap"] = start - self.vector_free
            self.vector.append(row)
        self.edges[len(self.vector) - 1] = (step.name, turn.stream, chunk.first)
        self._note_writes(step, turn, chunk, start + terms - 1, terms)
        self.vector_free = start + beats * terms
        self.bars.append(Bar("vector unit", start, self.vector_free, step.name, turn.stream))

    def _value(self, value: Value, turn: Turn, chunk: _Chunk) -> int:
        return self.layout.value(value, turn.stream, chunk.first, chunk.slot)

    def _ready(self, term: Term, turn: Turn, chunk: _Chunk) -> list[list[int | None]]:
        """For everything a term reads of this round's results, when each beat can."""
        ready, beats = [], range(chunk.lines * self.layout.beats)
        for value in _values(term):
            if not self.turns.age_of_value(value, turn, chunk.step):
                base = self._value(value, turn, chunk)
                ready.append([self.value_ready.get(base + i) for i in beats])
        if isinstance(term.addend, Gate):
            base, stride = self._gate_address(term.addend, turn.stream, chunk.first)
            ready.append(
                [self.gate_ready.get(base + i // self.layout.beats * stride) for i in beats]
            )
        return ready

    def _gate_address(self, gate: Gate, stream: int, first: int) -> tuple[int, int]:
        product = next(p for p in self.layout.products if p.name == gate.product)
        return self.layout.gate(product, gate.gate, stream, first)

    def _note_term_reads(
        self, term: Term, turn: Turn, chunk: _Chunk, start: int, stride: int
    ) -> None:
        beats = range(chunk.lines * self.layout.beats)
        for value in _values(term):
            age = self.turns.age_of_value(value, turn, chunk.step)
            if age:
                base = self._value(value, turn, chunk)
                for i in beats:
                    self.old_reads.setdefault((base + i, age), start + i * stride)
        if isinstance(term.addend, Gate):
            base, step = self._gate_address(term.addend, turn.stream, chunk.first)
            for i in beats:
                self.gate_read[base + i // self.layout.beats * step] = start + i * stride

    def _note_writes(self, step: Step, turn: Turn, chunk: _Chunk, start: int, stride: int) -> None:
        """When each beat of the result is there; a line goes on to the transforms or the output
        with its last beat.
        """
        sent, beats = (
            step.signal is not None and self._has_spectrum(step.signal),
            chunk.lines * self.layout.beats,
        )
        for i in range(beats):
            issue = start + i * stride
            if step.keep is not None:
                self.value_ready[self._value(step.keep, turn, chunk) + i] = (
                    issue + self.timing.pipeline.value
                )
            if sent:
                line = chunk.first + i // self.layout.beats
                self._note_spectra(
                    str(step.signal), turn.stream, line, issue + self.timing.spectrum
                )
            if step.output:
                self.outputs.append((turn.late, issue + self.timing.pipeline.vector))
        if sent:
            done = start + self.timing.pipeline.vector
            self.bars.append(
                Bar("forward transform", done, done + beats * stride, str(step.signal), turn.stream)
            )

    def _note_spectra(self, signal: str, stream: int, line: int, time: int) -> None:
        base, words, splits = (
            self.layout.spectrum(signal, stream),
            self.layout.design.words,
            self.layout.design.splits,
        )
        for place in range(line * words, (line + 1) * words):
            self.spectrum_ready[place % splits, base + place // splits] = time

    def _has_spectrum(self, name: str) -> bool:
        return any(signal.name == name for signal in self.layout.signals)

    def _vector_row(self, step: Step, index: int, turn: Turn, chunk: _Chunk) -> dict[str, int]:
        """A tape row: term `index` of a step on a chunk's lines."""
        stream, first, lines = turn.stream, chunk.first, chunk.lines
        term = step.terms[index]
        a = term.addend if isinstance(term.addend, Value) else term.a
        b = term.b if isinstance(term.b, Value) else None
        peephole = term.b if isinstance(term.b, Constant) else None
        gate, stride = (
            self._gate_address(term.addend, stream, first)
            if isinstance(term.addend, Gate)
            else (0, 0)
        )
        last = index == len(step.terms) - 1
        ends = first + lines == self.layout.lines(step.length)
        constant = self.layout.constant(term.bias, peephole)
        sent = step.signal is not None and self._has_spectrum(step.signal)
        row = {
            "gap": 0,
            "count": lines * self.layout.beats,
            "last": int(last),
            "end": 0,
            "a": self._value(a, turn, chunk) if a else 0,
            "a_before": self._before(a, turn, chunk.step),
            "b": self._value(b, turn, chunk) if b else 0,
            "b_before": self._before(b, turn, chunk.step),
            "peephole": int(peephole is not None),
            "multiply": int(term.product_frac is not None),
            "negative": int(term.negative),
            "add_gate": int(isinstance(term.addend, Gate)),
            "add_value": int(isinstance(term.addend, Value)),
            "gate": gate,
            "gate_stride": stride,
            "bias": int(term.bias is not None),
            "constant": constant + (first * self.layout.beats if term.bias or peephole else 0),
            "first_term": int(index == 0),
            "product_shift": self.shifts.product.index(self.shifts.product_shift(step, term)),
            "addend_shift": self.shifts.addend.index(self.shifts.addend_shift(step, term)),
            "bias_shift": self.shifts.bias.index(self.shifts.bias_shift(step, term)),
            "round_shift": self.shifts.round.index(step.frac - step.target.frac),
            "activate": int(step.activation in ("sigmoid", "tanh")),
            "tanh": int(step.activation == "tanh"),
            "positive": int(step.activation == "relu"),
            "keep": int(last and step.keep is not None),
            "value": self._value(step.keep, turn, chunk) if step.keep else 0,
            "send": int(last and sent),
            "spectrum": self.layout.spectrum(step.signal, stream) * self.layout.turns + first
            if sent and step.signal
            else 0,
            "spectrum_shift": self.shifts.spectrum.index(self.shifts.spectrum_shift(step.signal))
            if sent
            else 0,
            "output": int(last and step.output),
            "final": int(step.output and ends),
            "tail": step.length % self.layout.line if ends else 0,
            "stream": stream,
        }
        return row | {"late": turn.late} if self.turns.rounds else row

    def _before(self, value: Value | None, turn: Turn, step: int) -> int:
        """Whether a state is still the frame before's, and so zero in a sequence's first frame."""
        return int(
            value is not None and value.state and self.turns.before(value.name, turn.stage, step)
        )

    # --- from one round to the next

    @property
    def vector_start(self) -> int:
        """When the vector unit's tape begins."""
        return self.vector_from + self.vector[0]["gap"]

    def bounds(self) -> dict[str, int]:
        """Lower bounds on the cycles between two rounds, by cause."""
        array_start, vector_start = self.array[0]["gap"], self.vector_start
        first_end = array_start + self._first_pass_columns() - 1
        bounds = {
            "processing elements": self.array_free,  # its player is busy from the round's start on, waiting too
            "results leaving": self.drain_free - first_end,
            "vector unit": self.vector_free - vector_start,
            "vector unit's start": vector_start + 1,
        }
        written = [
            (place, age, span)
            for (place, age), span in self.spectrum_reads.items()
            if place in self.spectrum_ready
        ]
        recurrence = [
            ceil((self.spectrum_ready[place] - span.first) / age)
            for place, age, span in written
            if age and span.first is not None
        ]
        recurrence += [
            ceil((self.value_ready[a] - first) / age) for (a, age), first in self.old_reads.items()
        ]
        bounds["recurrence"] = max(recurrence, default=0)
        gates = [last + 2 - self.gate_first[line] for line, last in self.gate_read.items()]
        bounds["gates overwritten"] = max(gates, default=0)
        overwritten = [
            ceil((span.last + 2 - self.spectrum_ready[place]) / (2 - age))
            for place, age, span in written
        ]
        bounds["spectra overwritten"] = max(overwritten, default=0)
        bounds["start"] = 4
        return bounds

    def _first_pass_columns(self) -> int:
        columns = 0
        for row in self.array:
            columns += row["count"]
            if row["drain"]:
                return columns
        return columns

    def written_before(self, interval: int) -> dict[Place, int]:
        """When the round before has written a place: `expected` of a walk after this one."""
        return {place: time - interval for place, time in self.spectrum_ready.items()}

    def length(self, interval: int) -> int:
        """When the last result leaves, rounds `interval` cycles apart."""
        return max(late * interval + time for late, time in self.outputs)


def _values(term: Term) -> list[Value]:
    return [value for value in (term.a, term.b, term.addend) if isinstance(value, Value)]
