"""Piecewise-linear activations: one lane's tables, five cycles from value to result (see `ActivationTable`)."""

from amaranth import Const, Module, Mux, Signal, signed
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ernn.banks import pack
from ernn.integer_model import ActivationTable
from ernn.rtl.arith import delayed, lanes_of, register, round_shift, saturate

LATENCY = 5


class Activation(wiring.Component):
    """`result` = sigmoid or tanh of `value`, or `value` itself where `activate` is low."""

    def __init__(self, sigmoid: ActivationTable, tanh: ActivationTable) -> None:
        assert sigmoid.input == tanh.input and sigmoid.segment_bits == tanh.segment_bits
        self.tables = (sigmoid, tanh)
        self.width = sigmoid.input.width
        largest = max(int(abs(table.slope).max()) for table in self.tables)
        self.slope_bits = largest.bit_length() + 1
        super().__init__(
            {
                "value": In(signed(self.width)),
                "activate": In(1),
                "tanh": In(1),
                "result": Out(signed(self.width)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        low_bits = self.width - self.tables[0].segment_bits
        offset = Signal(self.width)
        m.d.comb += offset.eq(self.value ^ (1 << (self.width - 1)))
        base, slope = self._lookup(m, offset[low_bits:])
        low = delayed(m, offset[:low_bits] if low_bits else Const(0, 1), 2, "low")
        tanh = delayed(m, self.tanh, 3, "tanh")
        product = register(m, slope * low, "product")
        start = register(m, base, "base_later")
        exact = [round_shift((start << table.slope_shift) + product, table.slope_shift) for table in self.tables]
        interpolated = register(m, Mux(tanh, exact[1], exact[0]), "interpolated")
        plain, activate = delayed(m, self.value, 4, "plain"), delayed(m, self.activate, 4, "activate")
        m.d.sync += self.result.eq(Mux(activate, saturate(interpolated, self.width), plain.as_signed()))
        return m

    def _lookup(self, m: Module, segment: Signal) -> list[Signal]:
        words = []
        for table in self.tables:
            pairs = zip(pack(table.base[:, None], self.width), pack(table.slope[:, None], self.slope_bits), strict=True)
            words += [base | slope << self.width for base, slope in pairs]
        table = memory.Memory(shape=self.width + self.slope_bits, depth=len(words), init=words)
        m.submodules.table = table
        port = table.read_port()
        m.d.comb += port.addr.eq(self.tanh << len(segment) | segment)
        word = register(m, port.data, "word")
        base = lanes_of(word, self.width, 1)[0]
        slope = word[self.width :].as_signed()
        return [base, slope]
