"""An engine behind a serial line: bytes in, bytes out, 8 bits, no parity, one stop bit.

Either way a frame is one header byte and then its beats, the lowest byte of a beat first:

    header: bit 7 the frame begins a sequence; bit 6 (from the board) something was lost or
    malformed since reset; bits 3..0 the stream

How many bytes a frame has is fixed by the network.  There is no flow control on the line: whoever
sends keeps at most two frames of a stream unanswered, which is what the engine can hold.  A break
(the line low for twelve bits or more) resets the engine and both directions.
`ernn.flow.serial_link` is the other end.
"""

from amaranth.hdl import (
    Cat,
    ClockSignal,
    Const,
    Instance,
    Module,
    Mux,
    ResetInserter,
    ResetSignal,
    Signal,
    Value,
)
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

BEGINS, LOST, STREAM_BITS = 7, 6, 4
BITS = 10  # start, eight of data, stop
BREAK_BITS = 12


class Receiver(wiring.Component):
    """`byte` with `valid` for one cycle a byte; `broken` while the line has been low for
    `BREAK_BITS` bits.
    """

    def __init__(self, clocks_per_bit: int) -> None:
        self.clocks = clocks_per_bit
        super().__init__({"line": In(1), "byte": Out(8), "valid": Out(1), "broken": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        line = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.line, line, init=1)
        timer, left = Signal(range(2 * self.clocks)), Signal(range(BITS + 1))
        low = Signal(range(BREAK_BITS * self.clocks + 1))
        m.d.comb += self.broken.eq(low == BREAK_BITS * self.clocks)
        m.d.sync += [self.valid.eq(0), low.eq(Mux(line, 0, low + ~self.broken))]
        with m.If(self.broken):
            m.d.sync += left.eq(0)
        with m.Elif(
            (left == 0) & ~line
        ):  # the first sample is the middle of bit 0, one and a half bits from here
            m.d.sync += [left.eq(BITS - 1), timer.eq(self.clocks + self.clocks // 2 - 1)]
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Elif(left != 0):
            m.d.sync += [timer.eq(self.clocks - 1), left.eq(left - 1)]
            with m.If(left == 1):
                m.d.sync += self.valid.eq(line)  # a byte without its stop bit is none
            with m.Else():
                m.d.sync += self.byte.eq(Cat(self.byte[1:], line))
        return m


class Transmitter(wiring.Component):
    """Sends `byte` when `valid` and `ready`."""

    def __init__(self, clocks_per_bit: int) -> None:
        self.clocks = clocks_per_bit
        super().__init__({"line": Out(1, init=1), "byte": In(8), "valid": In(1), "ready": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        timer, left = Signal(range(self.clocks)), Signal(range(BITS + 1))
        bits = Signal(BITS - 1)
        m.d.comb += self.ready.eq(left == 0)
        with m.If(self.ready & self.valid):
            m.d.sync += [self.line.eq(0), bits.eq(Cat(self.byte, Const(1, 1)))]
            m.d.sync += [left.eq(BITS), timer.eq(self.clocks - 1)]
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Elif(left != 0):
            m.d.sync += [self.line.eq(bits[0]), bits.eq(Cat(bits[1:], Const(1, 1)))]
            m.d.sync += [left.eq(left - 1), timer.eq(self.clocks - 1)]
        return m


class SerialEngine(wiring.Component):
    """The engine `top` between `received` and `sent` lines; `beats_in`: beats of a frame.

    `lost` stays high after a byte that came while the engine could not take it, and after the
    engine's own error.
    """

    def __init__(
        self, top: str, beat_bytes: int, tid_bits: int, beats_in: int, clocks_per_bit: int
    ) -> None:
        self.top, self.bytes, self.tid_bits, self.clocks = top, beat_bytes, tid_bits, clocks_per_bit
        self.beats_in = beats_in
        super().__init__({"received": In(1), "sent": Out(1, init=1), "lost": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.receiver = receiver = Receiver(self.clocks)
        m.d.comb += receiver.line.eq(self.received)
        inner = Module()
        ports = self._engine(inner)
        transmitter = Transmitter(self.clocks)
        inner.submodules.transmitter = transmitter
        inner.d.comb += self.sent.eq(transmitter.line)
        self._take(inner, receiver, ports)
        self._give(inner, transmitter, ports)
        with inner.If(ports["error"]):
            inner.d.sync += self.lost.eq(1)
        m.submodules.inner = ResetInserter(receiver.broken)(inner)
        m.d.comb += ports["rst"].eq(receiver.broken)
        return m

    def _engine(self, m: Module) -> dict[str, Signal]:
        ports = {"rst": Signal(name="engine_broken"), "error": Signal(name="engine_error")}
        for side in ("s_axis", "m_axis"):
            widths = {
                "tdata": 8 * self.bytes,
                "tvalid": 1,
                "tready": 1,
                "tlast": 1,
                "tuser": 1,
                "tid": self.tid_bits,
            }
            ports |= {
                f"{side}_{name}": Signal(width, name=f"{side}_{name}")
                for name, width in widths.items()
            }
        inputs = {
            name for name in ports if name.startswith("s_axis") or name == "m_axis_tready"
        } - {"s_axis_tready"}
        connected: dict[str, Value] = {
            "i_clk": ClockSignal(),
            "i_rst": ResetSignal() | ports["rst"],
        }
        connected |= {
            f"{'i' if name in inputs else 'o'}_{name}": ports[name]
            for name in ports
            if name != "rst"
        }
        m.submodules.engine = Instance(self.top, **connected)
        return ports

    def _take(self, m: Module, receiver: Receiver, ports: dict[str, Signal]) -> None:
        """Header, then bytes gathered to beats."""
        inside, beat, byte = Signal(), _counter(self.beats_in), _counter(self.bytes)
        begins = Signal()
        data, valid = ports["s_axis_tdata"], ports["s_axis_tvalid"]
        with m.If(ports["s_axis_tready"]):
            m.d.sync += valid.eq(0)
        with m.If(
            receiver.valid & valid & ~ports["s_axis_tready"]
        ):  # what waits is spoilt by what comes
            m.d.sync += self.lost.eq(1)
        with m.If(receiver.valid & ~inside & receiver.byte[self.tid_bits : STREAM_BITS].any()):
            m.d.sync += self.lost.eq(1)
        with m.If(receiver.valid & ~inside):
            m.d.sync += [
                inside.eq(1),
                begins.eq(receiver.byte[BEGINS]),
                ports["s_axis_tid"].eq(receiver.byte[:STREAM_BITS]),
            ]
        with m.If(receiver.valid & inside):
            m.d.sync += [data.eq(Cat(data[8:], receiver.byte)), byte.eq(byte + 1)]
            with m.If(byte == self.bytes - 1):
                final = beat == self.beats_in - 1
                m.d.sync += [
                    valid.eq(1),
                    byte.eq(0),
                    beat.eq(Mux(final, 0, beat + 1)),
                    inside.eq(~final),
                ]
                m.d.sync += [
                    ports["s_axis_tlast"].eq(final),
                    ports["s_axis_tuser"].eq(begins & (beat == 0)),
                ]

    def _give(self, m: Module, transmitter: Transmitter, ports: dict[str, Signal]) -> None:
        """A header before a frame's first beat, then the beat byte by byte."""
        inside, byte = Signal(), _counter(self.bytes)
        header = Cat(
            _sized(ports["m_axis_tid"], STREAM_BITS),
            Const(0, LOST - STREAM_BITS),
            self.lost,
            ports["m_axis_tuser"],
        )
        sends = transmitter.ready & ports["m_axis_tvalid"]
        m.d.comb += [
            transmitter.valid.eq(ports["m_axis_tvalid"]),
            transmitter.byte.eq(Mux(inside, ports["m_axis_tdata"].word_select(byte, 8), header)),
            ports["m_axis_tready"].eq(sends & inside & (byte == self.bytes - 1)),
        ]
        with m.If(sends):
            m.d.sync += [inside.eq(1), byte.eq(Mux(inside & (byte != self.bytes - 1), byte + 1, 0))]
            with m.If(inside & (byte == self.bytes - 1) & ports["m_axis_tlast"]):
                m.d.sync += inside.eq(0)


def _counter(count: int) -> Signal:
    """Counts to `count`; never of no bits, which Verilog does not know."""
    return Signal(range(max(2, count)))


def _sized(value: Value, width: int) -> Value:
    """Exactly `width` bits."""
    return value[:width] if len(value) >= width else Cat(value, Const(0, width - len(value)))
