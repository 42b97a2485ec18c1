"""Steps as rows of the vector unit's tape."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ernn.scheduling.issue_order import IssueOrder, Turn
from ernn.scheduling.shift_tables import ShiftTables
from ernn.scheduling.vector_program import Arrived, Gate, Kept, Step, Term, Value


@dataclass
class Chunk:
    """Lines under way in the vector unit.  `left`: numbers of the steps to come; `ready`: from when
    on one of them can begin, where that is known; `waits_for`: times, of which a step lacks that of
    a place.
    """

    first: int
    lines: int
    slot: int
    left: list[int] = field(default_factory=list)
    ready: dict[int, int] = field(default_factory=dict)
    waits_for: dict[int, tuple[Mapping[int, int], int]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class VectorTape:
    """The rows of every step."""

    order: IssueOrder
    shifts: ShiftTables

    def value(self, value: Value, turn: Turn, chunk: Chunk) -> int:
        """A value's first beat of a chunk."""
        return self.order.layout.values.place(value, turn.stream, chunk.first, chunk.slot)

    def gate(self, gate: Gate, turn: Turn, chunk: Chunk) -> tuple[int, int]:
        """A gate's first line of a chunk, and the distance to the next."""
        base, distance = self._gates[gate.product, gate.gate, turn.stream]
        return base + chunk.first * distance, distance

    @cached_property
    def _gates(self) -> dict[tuple[str, int, int], tuple[int, int]]:
        """Each stream's first line of every gate, and the distance to the next."""
        layout = self.order.layout
        return {
            (product.name, gate, stream): layout.gate(product, gate, stream, 0)
            for product in layout.products
            for gate in range(product.gates)
            for stream in range(layout.design.streams)
        }

    def rows(
        self,
        step: Step,
        turn: Turn,
        chunk: Chunk,
        gap: int,
        tabled: bool,
        soon: Sequence[Mapping[str, int]] = (),
    ) -> list[dict[str, int]]:
        """A step's rows on a chunk's lines, a term each, after so many idle cycles; `tabled`: its
        results take the way through the tables; `soon`: what each term takes on its way
        (`ernn.scheduling.forwarding`)."""
        return [
            {"gap": gap, "count": chunk.lines * self.order.layout.beats, "last": 0, "end": 0}
            | {"tabled": int(tabled)}
            | self._operands(term, turn, chunk)
            | (dict(soon[index]) if soon else {})
            | self._sum(step, index)
            | self._result(step, turn, chunk, index == len(step.terms) - 1)
            for index, term in enumerate(step.terms)
        ]

    def _operands(self, term: Term, turn: Turn, chunk: Chunk) -> dict[str, int]:
        a = term.addend if isinstance(term.addend, Kept) else term.a
        b = term.b if isinstance(term.b, Kept) else None
        line, stride = self._line(term, turn, chunk)
        constant = self.order.layout.constant(term.bias, term.factor)
        if term.bias or term.factor:
            constant += chunk.first * self.order.layout.beats
        return {
            **self._kept("a", a, turn, chunk),
            **self._kept("b", b, turn, chunk),
            "factor": int(term.factor is not None),
            "multiply": int(term.product_frac is not None),
            "negative": int(term.negative),
            "add_line": int(isinstance(term.addend, Gate | Arrived)),
            "add_value": int(isinstance(term.addend, Kept)),
            "add_input": int(isinstance(term.addend, Arrived)),
            "line": line,
            "line_stride": stride,
            "bias": int(term.bias is not None),
            "constant": constant,
        }

    def _line(self, term: Term, turn: Turn, chunk: Chunk) -> tuple[int, int]:
        """First line of an addend that has come from outside the vector unit, and the distance to
        the next.
        """
        if isinstance(term.addend, Gate):
            return self.gate(term.addend, turn, chunk)
        if isinstance(term.addend, Arrived):
            layout = self.order.layout
            lines = layout.lines(layout.model.input.length)
            return turn.stream * lines + chunk.first, 1
        return 0, 0

    def _kept(self, name: str, kept: Kept | None, turn: Turn, chunk: Chunk) -> dict[str, int]:
        """Where a value is; `before`: the frame before's; `twice`: it is one of two copies; where
        its initial numbers are, if there are any (`given`); `aside`: all others are in the other
        memory.
        """
        if kept is None:
            return dict.fromkeys((name, *(f"{name}_{field}" for field in _KEPT)), 0)
        values = self.order.layout.values
        return {
            name: self.value(kept.value, turn, chunk),
            f"{name}_before": int(kept.before),
            f"{name}_twice": int(kept.value.copies == 2),
            f"{name}_initial": values.initial(kept.initial, chunk.first) if kept.initial else 0,
            f"{name}_given": int(bool(kept.initial)),
            f"{name}_aside": int(kept.value in values.aside),
        }

    def _sum(self, step: Step, index: int) -> dict[str, int]:
        """What a term is shifted by, and what the sum becomes."""
        shifts, term, model = self.shifts, step.terms[index], self.order.layout.model
        looked_up = step if step.then is None else step.then
        table = model.table(looked_up.activation)
        return {
            "first_term": int(index == 0),
            "product_shift": shifts.product.index(shifts.product_shift(step, term)),
            "addend_shift": shifts.addend.index(shifts.addend_shift(step, term)),
            "bias_shift": shifts.bias.index(shifts.bias_shift(step, term)),
            "round_shift": shifts.round.index(step.frac - step.target.frac),
            "value_width": shifts.values.index(step.target.width),
            "activate": int(table is not None),
            "table": 0 if table is None else model.tables.index(table),
            "positive": int(step.activation == "relu"),
        }

    def _result(self, step: Step, turn: Turn, chunk: Chunk, last: bool) -> dict[str, int]:
        """Where a result goes with a step's last term."""
        layout, shifts = self.order.layout, self.shifts
        ends = chunk.first + chunk.lines == layout.lines(step.length)
        spectra, signal = layout.spectra, step.signal
        row = {
            "last": int(last),
            "keep": int(last and step.keep is not None),
            "value": self.value(step.keep, turn, chunk) if step.keep else 0,
            "value_twice": int(step.keep is not None and step.keep.copies == 2),
            "send": int(last and signal is not None),
            "spectrum": spectra.place(signal, turn.stream) * spectra.turns + chunk.first
            if signal
            else 0,
            "ring": spectra.ring_of[signal] if signal else 0,
            "parts": spectra.parts.index(layout.model.parts[signal]) if signal else 0,
            "spectrum_shift": shifts.spectrum.index(shifts.spectrum_shift(signal)) if signal else 0,
            "spectrum_width": shifts.spectra.index(shifts.spectrum_width(signal)) if signal else 0,
            "output": int(last and step.output),
            "final": int(step.final and ends),
            "tail": step.length % layout.line if ends else 0,
            "stream": turn.stream,
        }
        if found := layout.looked_up:
            row |= {"then": 0, "then_value": 0}
            if step.then is not None and step.then.keep is not None and last:
                row["then"] = 1 + found.index((step.finer, step.then.target.width))
                row["then_value"] = self.value(step.then.keep, turn, chunk)
        return row | {"late": turn.late} if self.order.rounds else row


_KEPT = ("before", "twice", "initial", "given", "aside")
