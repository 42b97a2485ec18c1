"""Piecewise-linear activations: one lane's tables, `Pipeline.activation` cycles from value to
result (see `ActivationTable`).

In deep pipelines: 1 memory; 2 its output register; 3 the multiplier's operands; 4 its product; 5 a
register apart from it; 6 base plus product, or the value itself; 7, 8 saturated.  Shallow ones have
no 3, 5 and 7.
"""

from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ernn.ir.integer_parts import ActivationTable
from ernn.rtl.arith import delayed, lanes_of, register, saturated
from ernn.scheduling.timing import Pipeline
from ernn.scheduling.weight_banks import pack


class Activation(wiring.Component):
    """`result` = sigmoid or tanh of `value`, or `value` itself where `activate` is low.

    0 where `zero` is high, one cycle before `result`.
    """

    def __init__(self, sigmoid: ActivationTable, tanh: ActivationTable, pipeline: Pipeline) -> None:
        assert sigmoid.input == tanh.input and sigmoid.segment_bits == tanh.segment_bits
        self.tables, self.pipeline = (sigmoid, tanh), pipeline
        self.width = sigmoid.input.width
        self.slope_bits = max(table.slope_bits for table in self.tables)
        super().__init__(
            {
                "value": In(signed(self.width)),
                "activate": In(1),
                "tanh": In(1),
                "zero": In(1),
                "result": Out(signed(self.width)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        low_bits = self.width - self.tables[0].segment_bits
        offset = Signal(self.width)
        m.d.comb += offset.eq(self.value ^ (1 << (self.width - 1)))
        base, slope = self._lookup(m, offset[low_bits:])
        apart = self.pipeline.apart
        low = delayed(m, offset[:low_bits] if low_bits else Const(0, 1), 2 + apart, "low")
        product = delayed(m, delayed(m, slope, apart, "slope") * low, 1 + apart, "product")
        interpolated = self._interpolated(m, delayed(m, base, 1 + 2 * apart, "base"), product)
        plain, activate = (
            delayed(m, value, 3 + 2 * apart, name)
            for value, name in ((self.value, "plain"), (self.activate, "activate"))
        )
        shape = signed(max(len(interpolated), self.width))
        chosen = register(m, Mux(activate, interpolated, plain), "chosen", shape)
        m.d.comb += self.result.eq(
            saturated(m, chosen, (self.width,), Const(0), "clamped", self.pipeline.fit, self.zero)
        )
        return m

    def _interpolated(self, m: Module, base: Value, product: Value) -> Value:
        """(base * 2**shift + product) * 2**-shift, rounded half up, for either table's shift."""
        tanh = delayed(m, self.tanh, 3 + 2 * self.pipeline.apart, "tanh")
        shifts = [table.slope_shift for table in self.tables]
        sums = []
        for shift in sorted(set(shifts)):
            half = Const(1 << (shift - 1), shift) if shift else Const(0, 0)
            sums.append((Cat(half, base).as_signed() + product) >> shift)
        return Mux(
            tanh, sums[-1 if shifts[1] > shifts[0] else 0], sums[-1 if shifts[0] > shifts[1] else 0]
        )

    def _lookup(self, m: Module, segment: Signal) -> list[Signal]:
        words = []
        for table in self.tables:
            pairs = zip(
                pack(table.base[:, None], self.width),
                pack(table.slope[:, None], self.slope_bits),
                strict=True,
            )
            words += [base | slope << self.width for base, slope in pairs]
        table = memory.Memory(shape=self.width + self.slope_bits, depth=len(words), init=words)
        m.submodules.table = table
        port = table.read_port()
        m.d.comb += port.addr.eq(self.tanh << len(segment) | segment)
        word = register(m, port.data, "word")
        base = lanes_of(word, self.width, 1)[0]
        slope = word[self.width :].as_signed()
        return [base, slope]
