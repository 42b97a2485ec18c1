"""The static schedule: which row of which product on the processing elements at which cycle, and what follows.

A *round* is one frame of every stream.  Each unit plays its tape once a round.  Rounds start `interval` cycles apart in
the steady state; every hazard between a round and the next is a lower bound on that interval, so a round that starts
later is safe too.  Cycle 0 is the first in which the processing elements' tape can issue.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil

from ernn.banks import Rows
from ernn.design import Design, multipliers_per_pe
from ernn.integer_model import IntegerModel, Product
from ernn.layout import Layout
from ernn.program import Constant, Gate, Step, Term, Value
from ernn.shifts import Shifts
from ernn.tape import Tape
from ernn.timing import VECTOR, Timing


@dataclass(frozen=True)
class Bar:
    """A stretch of time in which a unit is busy, for people to look at."""

    unit: str
    start: int
    end: int
    label: str
    stream: int


@dataclass(frozen=True, eq=False)
class Schedule:
    """Tapes and what they take.

    `interval`: cycles between rounds; `length`: from cycle 0 until the round's last word is handed to the output;
    `bounds`: the lower bounds on the interval, by cause; `edges`: for each row of the vector tape that ends a step,
    (edge, stream, first word).
    """

    layout: Layout
    timing: Timing
    shifts: Shifts
    array: Tape
    vector: Tape
    vector_start: int
    interval: int
    length: int
    bounds: dict[str, int]
    bars: tuple[Bar, ...]
    edges: dict[int, tuple[str, int, int]]

    @property
    def cycles_per_frame(self) -> float:
        """Steady state, all streams busy."""
        return self.interval / self.layout.design.streams

    @property
    def latency(self) -> int:
        """Cycles from a frame's last word in to its last word out, idle engine, the stream that is served last."""
        return self.length + self.timing.input

    @cached_property
    def array_multipliers(self) -> int:
        return self.layout.design.pes * multipliers_per_pe(self.layout.model.block)

    @cached_property
    def multipliers(self) -> int:
        """All multipliers: the array's, and in every vector lane one for products and one for interpolation."""
        return self.array_multipliers + 2 * self.layout.lanes

    @cached_property
    def useful_array(self) -> int:
        """Multiplications a frame needs in its products; a dense row counts one a weight."""
        return sum(_useful(product, self.layout.model.block) for product in self.layout.products)

    @cached_property
    def useful_vector(self) -> int:
        """Multiplications a frame needs in its element-wise steps, interpolation included."""
        products = (
            step.length * sum(term.product_frac is not None for term in step.terms) for step in self.layout.steps
        )
        return sum(products) + sum(step.length for step in self.layout.steps if step.activation)

    @property
    def array_utilisation(self) -> float:
        """Useful multiplier-cycles over all multiplier-cycles of the processing elements, steady state."""
        return self.useful_array / (self.array_multipliers * self.cycles_per_frame)

    @property
    def utilisation(self) -> float:
        """Useful multiplier-cycles over all multiplier-cycles of the whole engine, steady state."""
        return (self.useful_array + self.useful_vector) / (self.multipliers * self.cycles_per_frame)


def _useful(product: Product, block: int) -> int:
    total = 0
    for operand in product.operands:
        gates, block_rows, columns, _ = operand.matrix.weights.shape
        if product.kept == block:
            total += gates * block_rows * columns * multipliers_per_pe(block)
        else:
            total += gates * operand.matrix.rows * operand.matrix.columns
    return total


def bank_bases(layout: Layout) -> dict[str, int]:
    """First word of each product's weights, the same in every bank."""
    bases, total = {}, 0
    for product in layout.products:
        bases[product.name] = total
        total += ceil(Rows(product, layout.model.block).count / layout.design.pes) * product.block_columns
    return bases


@dataclass(frozen=True)
class _Pass:
    """`count` rows of a product from row `first` on; `progress`: share of the product done after it."""

    product: Product
    first: int
    count: int
    progress: float
    weights: int


def _passes(products: tuple[Product, ...], layout: Layout, bank: dict[str, int]) -> list[_Pass]:
    """Passes of a stage's products, those that finish the same words side by side."""
    pes, passes = layout.design.pes, []
    for product in products:
        total = Rows(product, layout.model.block).count
        for number, first in enumerate(range(0, total, pes)):
            count = min(pes, total - first)
            weights = bank[product.name] + number * product.block_columns
            passes.append(_Pass(product, first, count, (first + count) / total, weights))
    return sorted(passes, key=lambda one: one.progress)


@dataclass
class _Span:
    """First and last time something is used in a round."""

    first: int | None = None
    last: int = 0

    def add(self, first: int, last: int) -> None:
        self.first = first if self.first is None else min(self.first, first)
        self.last = max(self.last, last)


@dataclass
class _Scheduler:
    """Walks the stages of a round in order, keeping the time at which every word is there.

    Times are issue cycles: `*_ready[word]` is the first cycle in which an item that reads the word may issue.
    """

    layout: Layout
    timing: Timing
    shifts: Shifts
    array: list[dict[str, int]] = field(default_factory=list)
    vector: list[dict[str, int]] = field(default_factory=list)
    edges: dict[int, tuple[str, int, int]] = field(default_factory=dict)
    bars: list[Bar] = field(default_factory=list)
    array_free: int = 0
    drain_free: int = 0
    vector_free: int = 0
    spectrum_ready: dict[int, int] = field(default_factory=dict)  # by address; written in this round
    spectrum_read: dict[int, int] = field(default_factory=dict)  # last read of this round's copy
    previous_read: dict[int, _Span] = field(default_factory=lambda: defaultdict(_Span))
    gate_ready: dict[int, int] = field(default_factory=dict)
    gate_read: dict[int, int] = field(default_factory=dict)
    value_ready: dict[int, int] = field(default_factory=dict)
    state_read: dict[int, int] = field(default_factory=dict)  # states read before this round writes them
    output_done: int = 0
    recurrent: set[str] = field(default_factory=set)  # signals whose frame-before copy the current stage reads

    @property
    def model(self) -> IntegerModel:
        return self.layout.model

    # --- products on the processing elements

    def run_passes(self, passes: list[_Pass], stream: int) -> None:
        """Issue passes back to back, each as soon as its operands are there and its results can leave."""
        for one in passes:
            segments = self._segments(one, stream)
            columns = sum(segment["count"] for segment in segments)
            start = max(self.array_free, self.drain_free - columns + 1)
            offset = 0
            for segment in segments:
                start = max(start, self._spectra_ready(segment) - offset)
                offset += segment["count"]
            self._issue(one, segments, start, stream)

    def _segments(self, one: _Pass, stream: int) -> list[dict[str, int]]:
        segments, weights = [], one.weights
        for index, operand in enumerate(one.product.operands):
            columns = operand.matrix.weights.shape[2]
            own = operand.signal in self.recurrent
            segments.append(
                {
                    "gap": 0,
                    "count": columns,
                    "end": 0,
                    "spectrum": self.layout.spectrum(operand.signal, stream),
                    "previous": int(own),
                    "weights": weights,
                    "clear": int(index == 0),
                    "drain": int(index == len(one.product.operands) - 1),
                    "stream": stream,
                    "row": self._row_address(one, stream),
                    "rows": one.count,
                    "dense": int(one.product.kept != self.model.block),
                    "rows_shift": self.shifts.rows.index(self.model.product_frac(one.product) - one.product.rows.frac),
                    "rows_width": self.shifts.widths.index(one.product.rows.width),
                    "output_shift": self.shifts.output.index(self.shifts.output_shift(one.product)),
                }
            )
            weights += columns
        return segments

    def _row_address(self, one: _Pass, stream: int) -> int:
        """Where the first row's result goes, counted in single numbers."""
        rows = Rows(one.product, self.model.block)
        per_row = 1 if rows.dense else self.model.block
        return self.layout.gates(one.product, stream) * self.model.block + one.first * per_row

    def _spectra_ready(self, segment: dict[str, int]) -> int:
        """Earliest start of a segment: every column's word must be there when its turn comes."""
        if segment["previous"]:
            return 0
        times = [self.spectrum_ready.get(segment["spectrum"] + i, 0) - i for i in range(segment["count"])]
        return max(times)

    def _issue(self, one: _Pass, segments: list[dict[str, int]], start: int, stream: int) -> None:
        segments[0]["gap"] = start - self.array_free
        cycle = start
        for segment in segments:
            for column in range(segment["count"]):
                self._note_read(segment["spectrum"] + column, cycle + column, bool(segment["previous"]))
            cycle += segment["count"]
        self.array += segments
        self.array_free = cycle
        self.drain_free = cycle - 1 + self.layout.design.pes
        written = cycle - 1 + self.timing.product
        for row in range(one.count):
            word = (segments[0]["row"] + row * (1 if segments[0]["dense"] else self.model.block)) // self.model.block
            self.gate_ready[word] = max(self.gate_ready.get(word, 0), written + row)
        self.bars.append(Bar("processing elements", start, cycle, one.product.name, stream))
        leave = start + (cycle - start) - 1 + self.timing.exit
        self.bars.append(Bar("inverse transform", leave, leave + one.count, one.product.name, stream))

    def _note_read(self, address: int, cycle: int, previous: bool) -> None:
        if previous:
            self.previous_read[address].add(cycle, cycle)
        else:
            self.spectrum_read[address] = max(self.spectrum_read.get(address, 0), cycle)

    # --- steps on the vector unit

    def run_steps(self, steps: tuple[Step, ...], stream: int) -> None:
        """Chunk by chunk, step by step."""
        if not steps:
            return
        words = self.layout.words(steps[0].length)
        for first in range(0, words, self.layout.design.chunk):
            count = min(self.layout.design.chunk, words - first)
            for step in steps:
                self._run_step(step, stream, first, count)

    def _run_step(self, step: Step, stream: int, first: int, words: int) -> None:
        """Words `first` to `first + words - 1` of a step, beat by beat."""
        terms, beats = len(step.terms), words * self.layout.beats
        start = self.vector_free
        for number, term in enumerate(step.terms):
            for ready in self._ready(term, stream, first, beats):
                start = max(start, *(time - i * terms - number for i, time in enumerate(ready)))
        for number, term in enumerate(step.terms):
            self._note_term_reads(term, stream, first, beats, start + number, terms)
            row = self._row(step, term, number, stream, first, words)
            row["gap"] = start - self.vector_free
            self.vector.append(row)
        self.edges[len(self.vector) - 1] = (step.name, stream, first)
        self._note_writes(step, stream, first, beats, start + terms - 1, terms)
        self.vector_free = start + beats * terms
        self.bars.append(Bar("vector unit", start, self.vector_free, step.name, stream))

    def _ready(self, term: Term, stream: int, first: int, beats: int) -> list[list[int]]:
        """For everything a term reads, when each beat can."""
        ready = []
        for value in (term.a, term.b, term.addend):
            if isinstance(value, Value):
                base = self.layout.value(value, stream, first)
                ready.append([self.value_ready.get(base + i, 0) for i in range(beats)])
        if isinstance(term.addend, Gate):
            base, stride = self._gate_address(term.addend, stream, first)
            ready.append([self.gate_ready[base + i // self.layout.beats * stride] for i in range(beats)])
        return ready

    def _gate_address(self, gate: Gate, stream: int, first: int) -> tuple[int, int]:
        product = next(p for p in self.layout.products if p.name == gate.product)
        return self.layout.gates(product, stream) + first * product.gates + gate.gate, product.gates

    def _note_term_reads(self, term: Term, stream: int, first: int, beats: int, start: int, stride: int) -> None:
        for value in (term.a, term.b, term.addend):
            if isinstance(value, Value) and value.state:
                base = self.layout.value(value, stream, first)
                for i in range(beats):
                    if base + i not in self.value_ready:
                        self.state_read.setdefault(base + i, start + i * stride)
        if isinstance(term.addend, Gate):
            base, step = self._gate_address(term.addend, stream, first)
            for i in range(beats):
                self.gate_read[base + i // self.layout.beats * step] = start + i * stride

    def _note_writes(self, step: Step, stream: int, first: int, beats: int, start: int, stride: int) -> None:
        """When each beat of the result is there; a word goes on to the transform or the output with its last beat."""
        for i in range(beats):
            issue = start + i * stride
            if step.keep is not None:
                self.value_ready[self.layout.value(step.keep, stream, first) + i] = issue + VECTOR
            if step.signal is not None and self._has_spectrum(step.signal):
                address = self.layout.spectrum(step.signal, stream) + first + i // self.layout.beats
                self.spectrum_ready[address] = issue + self.timing.spectrum
            if step.output:
                self.output_done = max(self.output_done, issue + VECTOR)
        if step.signal is not None and self._has_spectrum(step.signal):
            done = start + VECTOR
            self.bars.append(Bar("forward transform", done, done + beats * stride, step.signal, stream))

    def _has_spectrum(self, name: str) -> bool:
        return any(signal.name == name for signal in self.layout.signals)

    def _row(self, step: Step, term: Term, number: int, stream: int, first: int, words: int) -> dict[str, int]:
        a = term.addend if isinstance(term.addend, Value) else term.a
        b = term.b if isinstance(term.b, Value) else None
        peephole = term.b if isinstance(term.b, Constant) else None
        gate, stride = self._gate_address(term.addend, stream, first) if isinstance(term.addend, Gate) else (0, 0)
        last = number == len(step.terms) - 1
        ends = first + words == self.layout.words(step.length)
        constant = self.layout.constant(term.bias, peephole)
        sent = step.signal is not None and self._has_spectrum(step.signal)
        return {
            "gap": 0,
            "count": words * self.layout.beats,
            "last": int(last),
            "end": 0,
            "a": self.layout.value(a, stream, first) if a else 0,
            "a_before": self._from_before(a, stream, first),
            "b": self.layout.value(b, stream, first) if b else 0,
            "b_before": self._from_before(b, stream, first),
            "peephole": int(peephole is not None),
            "multiply": int(term.product_frac is not None),
            "negative": int(term.negative),
            "add_gate": int(isinstance(term.addend, Gate)),
            "add_value": int(isinstance(term.addend, Value)),
            "gate": gate,
            "gate_stride": stride,
            "bias": int(term.bias is not None),
            "constant": constant + (first * self.layout.beats if term.bias or peephole else 0),
            "first_term": int(number == 0),
            "product_shift": self.shifts.product.index(self.shifts.product_shift(step, term)),
            "addend_shift": self.shifts.addend.index(self.shifts.addend_shift(step, term)),
            "bias_shift": self.shifts.bias.index(self.shifts.bias_shift(step, term)),
            "round_shift": self.shifts.round.index(step.frac - step.target.frac),
            "activate": int(step.activation is not None),
            "tanh": int(step.activation == "tanh"),
            "keep": int(last and step.keep is not None),
            "value": self.layout.value(step.keep, stream, first) if step.keep else 0,
            "send": int(last and sent),
            "spectrum": self.layout.spectrum(step.signal, stream) + first if sent and step.signal else 0,
            "spectrum_shift": self.shifts.spectrum.index(self.shifts.spectrum_shift(step.signal)) if sent else 0,
            "output": int(last and step.output),
            "final": int(step.output and ends),
            "tail": step.length % self.model.block if ends else 0,
            "stream": stream,
        }

    def _from_before(self, value: Value | None, stream: int, first: int) -> int:
        """Whether a state is still the frame before's, and so zero in a sequence's first frame."""
        return int(
            value is not None and value.state and self.layout.value(value, stream, first) not in self.value_ready
        )

    # --- a whole round

    def run(self) -> None:
        """Every stage for every stream, so that one stream's products hide another's steps."""
        bank = bank_bases(self.layout)
        done: set[str] = {self.model.input.name}
        for stage in self.layout.stages:
            passes = _passes(stage.products, self.layout, bank)
            read = {operand.signal for product in stage.products for operand in product.operands}
            self.recurrent = read - done
            for stream in range(self.layout.design.streams):
                self.run_passes(passes, stream)
                self.run_steps(stage.steps, stream)
            done |= {step.signal for step in stage.steps if step.signal}
        self.array[-1]["end"] = 1
        self.vector[-1]["end"] = 1

    def bounds(self) -> dict[str, int]:
        """Lower bounds on the cycles between two rounds, by cause."""
        array_start, vector_start = self.array[0]["gap"], self.vector[0]["gap"]
        first_end = array_start + self._first_pass_columns() - 1
        bounds = {
            "processing elements": self.array_free - array_start,
            "results leaving": self.drain_free - first_end,
            "vector unit": self.vector_free - vector_start,
            "vector unit's start": vector_start + 1,
        }
        recurrence = [
            self.spectrum_ready[address] - span.first
            for address, span in self.previous_read.items()
            if span.first is not None
        ]
        recurrence += [self.value_ready[address] - first for address, first in self.state_read.items()]
        bounds["recurrence"] = max(recurrence, default=0)
        gates = [last + 1 - self.gate_ready[address] for address, last in self.gate_read.items()]
        bounds["gates overwritten"] = max(gates, default=0)
        reads = [(a, last) for a, last in self.spectrum_read.items() if a in self.spectrum_ready]
        overwritten = [ceil((last + 1 - self.spectrum_ready[a]) / 2) for a, last in reads]
        overwritten += [span.last + 1 - self.spectrum_ready[a] for a, span in self.previous_read.items()]
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


def schedule(model: IntegerModel, design: Design) -> Schedule:
    """The schedule of a model on a design. Raises UserError for what the hardware refuses."""
    layout, timing = Layout(model, design), Timing.of(model, design)
    walk = _Scheduler(layout, timing, Shifts.of(layout))
    walk.run()
    bounds = walk.bounds()
    start = walk.vector[0]["gap"]
    for row in walk.vector[: len(layout.steps[0].terms)]:
        row["gap"] = 0
    return Schedule(
        layout=layout,
        timing=timing,
        shifts=walk.shifts,
        array=Tape(tuple(walk.array)),
        vector=Tape(tuple(walk.vector)),
        vector_start=start,
        interval=max(bounds.values()),
        length=walk.output_done,
        bounds=bounds,
        bars=tuple(walk.bars),
        edges=walk.edges,
    )
