"""Piecewise-linear activations: one lane's tables, `Pipeline.activation` cycles from value to
result (see `ActivationTable`).

In deep pipelines: 1 memory; 2 its output register; 3 the multiplier's operands; 4 its product; 5 a
register apart from it; 6 base plus product, or the value itself; 7, 8 saturated.  Shallow ones have
no 3, 5 and 7.
"""

from collections.abc import Mapping, Sequence

from amaranth import Array as Choice
from amaranth import Cat, Const, Module, Mux, Value, signed
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ernn.ir.integer_parts import ActivationTable
from ernn.rtl.arith import chosen, delayed, lanes_of, register, saturating
from ernn.scheduling.lines import address_bits
from ernn.scheduling.timing import Pipeline
from ernn.scheduling.weight_banks import pack


class Activation(wiring.Component):
    """`result` = the function of `tables[table]` of `value`, or `value` itself where `activate` is
    low, or there are no tables.

    0 where `zero` is high, one cycle before `result`; `coming` is what `result` will be in the next
    cycle. `width`: of the widest numbers.
    """

    def __init__(self, tables: Sequence[ActivationTable], width: int, pipeline: Pipeline) -> None:
        self.tables, self.width, self.pipeline = tables, width, pipeline
        self.slope_bits = max((table.slope_bits for table in tables), default=1)
        super().__init__(
            {
                "value": In(signed(width)),
                "activate": In(1),
                "table": In(address_bits(len(tables))),
                "zero": In(1),
                "coming": Out(signed(width)),
                "result": Out(signed(width)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        later = 3 + 2 * self.pipeline.apart
        plain = delayed(m, self.value, later, "plain")
        value = plain
        if self.tables:
            activate = delayed(m, self.activate, later, "activate")
            value = Mux(activate, self._function(m), plain)
        shape = signed(max(len(value), self.width))
        result = register(m, value, "chosen", shape)
        widths, which = self._widths(m, later + 1)
        fit, name = self.pipeline.fit, "clamped"
        m.d.comb += [
            self.coming.eq(saturating(m, result, widths, which, name, fit, self.zero, self.width)),
            self.result.eq(register(m, self.coming, name)),
        ]
        return m

    def _widths(self, m: Module, later: int) -> tuple[list[int], Value]:
        """What results are saturated to, and which of it: of a table its output's width."""
        widths = sorted({self.width, *(table.output.width for table in self.tables)})
        if len(widths) == 1:
            return widths, Const(0)
        own = Choice(Const(widths.index(table.output.width)) for table in self.tables)[self.table]
        which = Mux(self.activate, own, len(widths) - 1)
        return widths, delayed(m, which, later, "width")

    def _function(self, m: Module) -> Value:
        """base + slope * (the value's distance from the segment's beginning), not yet saturated."""
        base, slope = self._lookup(m)
        apart = self.pipeline.apart
        low = delayed(m, self._low(), 2 + apart, "low")
        product = delayed(m, delayed(m, slope, apart, "slope") * low, 1 + apart, "product")
        return self._interpolated(m, delayed(m, base, 1 + 2 * apart, "base"), product)

    @property
    def _low_bits(self) -> list[int]:
        """Bits of a value below its segment's number, by table."""
        return [table.input.width - table.segment_bits for table in self.tables]

    @property
    def _offsets(self) -> list[Value]:
        """The value's distance from the lowest that a table reads, by table."""
        tops = [table.input.width - 1 for table in self.tables]
        return [Cat(self.value[:top], ~self.value[top]) for top in tops]

    def _low(self) -> Value:
        """The value's distance from its segment's beginning."""
        pairs = zip(self._offsets, self._low_bits, strict=True)
        lows = [offset[:bits] if bits else Const(0, 1) for offset, bits in pairs]
        return lows[0] if len(set(self._low_bits)) == 1 else Choice(lows)[self.table]

    def _interpolated(self, m: Module, base: Value, product: Value) -> Value:
        """(base * 2**shift + product) * 2**-shift, rounded half up, for each table's shift."""
        which = delayed(m, self.table, 3 + 2 * self.pipeline.apart, "table")
        shifts = [table.slope_shift for table in self.tables]

        def whole(shift: int) -> Value:
            half = Const(1 << (shift - 1), shift) if shift else Const(0, 0)
            return (Cat(half, base).as_signed() + product) >> shift

        same = len(set(shifts)) == 1
        return chosen(m, which, shifts[:1] if same else shifts, whole, "interpolated")

    def _lookup(self, m: Module) -> list[Value]:
        """Base and slope of the value's segment."""
        words, bases = [], dict[int, int]()
        # the largest first: so each begins at a multiple of its size
        for number in sorted(range(len(self.tables)), key=lambda n: -self.tables[n].segment_bits):
            table, bases[number] = self.tables[number], len(words)
            pairs = zip(
                pack(table.base[:, None], self.width),
                pack(table.slope[:, None], self.slope_bits),
                strict=True,
            )
            words += [base | slope << self.width for base, slope in pairs]
        table = memory.Memory(shape=self.width + self.slope_bits, depth=len(words), init=words)
        m.submodules.table = table
        port = table.read_port()
        m.d.comb += port.addr.eq(self._place(bases))
        word = register(m, port.data, "word")
        return [lanes_of(word, self.width, 1)[0], word[self.width :].as_signed()]

    def _place(self, bases: Mapping[int, int]) -> Value:
        """Where the value's segment is in the memory of all tables."""
        pairs = zip(self._offsets, self._low_bits, strict=True)
        segments = [offset[bits:] for offset, bits in pairs]
        if len(segments) == 1:
            return segments[0]
        if len(set(map(len, segments))) == 1:
            return Cat(segments[0], self.table)
        return Choice(bases[n] | segment for n, segment in enumerate(segments))[self.table]
