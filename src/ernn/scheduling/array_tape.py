"""Passes as rows of the array's tape."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from ernn.ir.integer_parts import Product
from ernn.scheduling.hazards import SpectrumRead
from ernn.scheduling.issue_order import IssueOrder, Turn
from ernn.scheduling.shift_tables import ShiftTables
from ernn.scheduling.weight_banks import Part, Pass


@dataclass(frozen=True)
class Read:
    """What a group reads in a stretch of a pass: `count` words of its bank from `address` on, of
    the frame `delay` frames before, or, before a sequence's first, from `initial` on (None: zeros).
    """

    signal: str
    bank: int
    address: int
    count: int
    delay: int
    age: int
    ring: int
    copies: int
    initial: int | None

    @cached_property
    def words(self) -> SpectrumRead:
        """The words that must be there, and may not be written again before."""
        return SpectrumRead((self.bank, self.address), self.count, self.age, self.copies)


@dataclass(frozen=True)
class Stretch:
    """Columns of a pass for which no group goes on to another operand; what each group reads."""

    count: int
    reads: tuple[Read | None, ...]


@dataclass(frozen=True, eq=False)
class ArrayTape:
    """The rows of every pass. `_cut`: of passes that read the same, which are cut alike."""

    order: IssueOrder
    shifts: ShiftTables
    _cut: dict[tuple[object, ...], tuple[Stretch, ...]] = field(default_factory=dict)

    @cached_property
    def _shared(self) -> bool:
        """Whether rows of several products share a pass."""
        return any(len(one.parts) > 1 for stage in self.order.layout.passes for one in stage)

    def stretches(self, one: Pass, turn: Turn) -> tuple[Stretch, ...]:
        """Cut a pass where a group goes on to another operand, and a column for the tags of each
        further part.
        """
        key = (one.parts[0].rows.keys, one.columns, len(one.leaving), turn)
        if key not in self._cut:
            self._cut[key] = tuple(self._cuts(one, turn))
        return self._cut[key]

    def _cuts(self, one: Pass, turn: Turn) -> Iterator[Stretch]:
        cuts = {0, one.length, *(one.length - number for number in range(1, len(one.leaving)))}
        for columns in one.columns:
            operands = [operand for operand, _ in columns]
            cuts |= {i for i in range(1, len(operands)) if operands[i] != operands[i - 1]}
            cuts.add(len(operands))
        for first, last in pairwise(sorted(cuts)):
            banks = range(len(one.columns))
            reads = (self._read(one, bank, first, last - first, turn) for bank in banks)
            yield Stretch(last - first, tuple(reads))

    def _read(self, one: Pass, bank: int, first: int, count: int, turn: Turn) -> Read | None:
        """What a group reads from column `first` on; None where it has no more columns."""
        if first >= len(one.columns[bank]):
            return None
        spectra = self.order.layout.spectra
        number, column = one.columns[bank][first]
        operand = one.product.operands[number]
        signal, delay = operand.signal, operand.delay + min(0, turn.late)
        further = (column + spectra.shift(signal)) // spectra.splits
        begins = one.parts[0].rows.begins[number]
        return Read(
            signal,
            bank,
            spectra.place(signal, turn.stream) + further,
            count,
            delay,
            self.order.age(signal, operand.delay, turn),
            spectra.ring_of[signal],
            spectra.copies(signal),
            spectra.initial(begins) + further if begins else None,
        )

    def rows(self, one: Pass, turn: Turn, gap: int) -> list[dict[str, int]]:
        """A pass's rows, after so many idle cycles."""
        rows, column = [], 0
        stretches = self.stretches(one, turn)
        for number, stretch in enumerate(stretches):
            part = one.parts[max(0, number + len(one.leaving) - len(stretches))]
            rows.append(self._row(part, stretch, turn) | {"weights": one.weights[column]})
            column += stretch.count
        rows[0] |= {"gap": gap, "clear": 1}
        layout = self.order.layout
        leaves = len(one.leaving) or int(layout.sums_leave)
        rows[-1]["drain"] = int(leaves > 0)
        if self._shared:
            for number, row in enumerate(reversed(rows)):
                row["tag"] = int(number < leaves)
                row["more"] = int(0 < number < leaves)
        if layout.in_parts:
            whole = self._kept_rows if layout.sums_leave else self._kept_sums
            rows = [row | kept for row, kept in zip(rows, whole(one, len(rows)), strict=True)]
        return rows

    def _kept_sums(self, one: Pass, count: int) -> Iterator[dict[str, int]]:
        """What so many rows of a pass say of the sums that elements keep: its first row goes on
        with them, its last one keeps them."""
        for number in range(count):
            yield {
                "keep": int(one.keeps is not None and number == count - 1),
                "resume": int(one.resumes is not None and not number),
                "sum": self._sum(one),
            }

    def _kept_rows(self, one: Pass, count: int) -> Iterator[dict[str, int]]:
        """The same of sums that leave: of each part where its first row's are kept; of what only
        keeps them, how many rows leave."""
        words, parts = self.order.layout.design.words, one.parts
        first = self._sum(one) * self.order.layout.design.pes // words
        for number in range(count):
            part = max(0, number + len(one.leaving) - count)
            before = sum(other.count for other in parts[:part]) // words
            kept = {"keep": int(one.keeps is not None), "resume": int(one.resumes is not None)}
            if self.order.layout.design.beforehand:
                kept["fresh"] = int(self._made_before(one))
            rows = {} if one.keeps is None else {"rows": one.count // words}
            yield kept | rows | {"sum": first + before}

    def _made_before(self, one: Pass) -> bool:
        """Whether it goes on with what the round before has made."""
        every = (other for stage in self.order.layout.passes for other in stage if other.before)
        return any(other.keeps == one.resumes for other in every)

    def _sum(self, one: Pass) -> int:
        """Where its sums are kept."""
        return (one.keeps if one.resumes is None else one.resumes) or 0

    def _row(self, part: Part, stretch: Stretch, turn: Turn) -> dict[str, int]:
        """A row with the tags of a part of the pass."""
        product, words = part.product, self.order.layout.design.words
        row = {"gap": 0, "count": stretch.count, "end": 0}
        for bank, read in enumerate(stretch.reads):
            row |= _bank_fields(str(bank or ""), read)
        row |= {
            "weights": 0,
            "clear": 0,
            "drain": 0,
            "stream": turn.stream,
            "row": self._row_address(part, turn),
            "rows": part.count // words,
            "kept": self.order.layout.kept.index(product.kept),
            **self._rows_shift(product),
            "rows_width": self.shifts.widths.index(product.rows.width),
            "output_shift": self.shifts.output.index(self.shifts.output_shift(product)),
            "output_width": self.shifts.outputs.index(product.output.width),
        }
        return row | {"late": turn.late} if self.order.rounds else row

    def _rows_shift(self, product: Product) -> dict[str, int]:
        """What its rows' sums are shifted by, where none has a shift of its own."""
        if self.shifts.of_rows is not None:
            return {}
        return {"rows_shift": self.shifts.rows.index(self.shifts.rows_shift(product))}

    def _row_address(self, part: Part, turn: Turn) -> int:
        """Where the first row's result goes in each bank, counted in single numbers."""
        layout = self.order.layout
        first = layout.gates(part.product, turn.stream) * layout.model.block
        return first + part.first // layout.design.words * part.product.kept


def _bank_fields(name: str, read: Read | None) -> dict[str, int]:
    """What a row says of one group's bank."""
    if read is None:
        return dict.fromkeys((f"{field}{name}" for field in _BANK), 0)
    given = int(read.initial is not None)
    fields = (read.address, read.delay, read.ring, read.initial or 0, given)
    return {f"{field}{name}": value for field, value in zip(_BANK, fields, strict=True)}


_BANK = ("spectrum", "delay", "ring", "initial", "given")
