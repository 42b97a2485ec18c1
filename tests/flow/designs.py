"""Small designs with an engine's ports, to try the tools on; what they compute, in NumPy."""

from collections.abc import Sequence

import numpy as np
from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ernn.flow.beats import Beats, unpack


def axis_ports(width: int, tid_bits: int) -> dict[str, wiring.Member]:
    """Ports of an engine with `width` data bits on both sides."""
    ports: dict[str, wiring.Member] = {}
    for side, towards, back in (("s_axis", In, Out), ("m_axis", Out, In)):
        for name, bits in (
            ("tdata", width),
            ("tvalid", 1),
            ("tlast", 1),
            ("tuser", 1),
            ("tid", tid_bits),
        ):
            ports[f"{side}_{name}"] = towards(bits)
        ports[f"{side}_tready"] = back(1)
    return ports


class Scaler(wiring.Component):
    """Each beat of a frame is `lanes` numbers; lane i of beat number n
    leaves as lane i times table[n].

    Sums of the lanes of a frame appear on the probe `sum`, one write per beat, addressed by the
    beat's number; `event_frame` is high when a frame's last beat goes in.  `fault` breaks the
    output handshake in a chosen way.
    """

    def __init__(
        self, lanes: int, bits: int, table: Sequence[int], *, tid_bits: int = 2, fault: str = ""
    ) -> None:
        self.lanes, self.bits, self.table, self.fault = lanes, bits, tuple(table), fault
        probes = {
            "probe_sum_en": Out(1),
            "probe_sum_addr": Out(8),
            "probe_sum_data": Out(2 * bits + 8),
        }
        super().__init__({**axis_ports(lanes * bits, tid_bits), **probes, "event_frame": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.table = table = memory.Memory(
            shape=unsigned(self.bits), depth=len(self.table), init=list(self.table)
        )
        read = table.read_port(domain="sync")
        number, following, total = (
            Signal(range(len(self.table))),
            Signal(range(len(self.table))),
            Signal(2 * self.bits + 8),
        )
        accepted, valid = Signal(), Signal()
        parts = [self.s_axis_tdata.word_select(i, self.bits) for i in range(self.lanes)]
        m.d.comb += [
            self.s_axis_tready.eq(~valid | self.m_axis_tready),
            accepted.eq(self.s_axis_tvalid & self.s_axis_tready),
            following.eq(number),
            read.addr.eq(following),
            read.en.eq(1),
            self.probe_sum_en.eq(accepted),
            self.probe_sum_addr.eq(number),
            self.probe_sum_data.eq(total + sum(parts)),
            self.event_frame.eq(accepted & self.s_axis_tlast),
            self.m_axis_tvalid.eq(valid),
        ]
        m.d.sync += number.eq(following)
        with m.If(self.m_axis_tready):
            m.d.sync += valid.eq(0)
        with m.If(accepted):
            m.d.comb += following.eq(0 if len(self.table) == 1 else number + 1)
            m.d.sync += [valid.eq(1), total.eq(self.probe_sum_data)]
            m.d.sync += [
                self.m_axis_tdata.word_select(i, self.bits).eq(p * read.data)
                for i, p in enumerate(parts)
            ]
            for name in ("tid", "tuser", "tlast"):
                m.d.sync += getattr(self, f"m_axis_{name}").eq(getattr(self, f"s_axis_{name}"))
            with m.If(self.s_axis_tlast):
                m.d.comb += following.eq(0)
                m.d.sync += total.eq(0)
        if self.fault == "drops valid":
            tick = Signal()
            m.d.sync += tick.eq(~tick)
            m.d.comb += self.m_axis_tvalid.eq(valid & (self.m_axis_tready | tick))
        if self.fault == "changes data":
            with m.If(valid & ~self.m_axis_tready):
                m.d.sync += self.m_axis_tdata.eq(self.m_axis_tdata + 1)
        if self.fault == "sends twice":
            again = Signal()
            with m.If(valid & self.m_axis_tready & self.m_axis_tlast):
                m.d.sync += again.eq(~again)
                with m.If(~again):
                    m.d.sync += valid.eq(1)
                    m.d.comb += self.s_axis_tready.eq(0)
        return m


def scaled(values: np.ndarray, last: np.ndarray, bits: int, table: Sequence[int]) -> np.ndarray:
    """What `Scaler` sends for `values` [beats, lanes]."""
    number, result = 0, np.zeros_like(values)
    for beat, row in enumerate(values):
        result[beat] = row * table[number] % (1 << bits)
        number = 0 if last[beat] else number + 1
    return result


def lanes_of(beats: Beats, bits: int, lanes: int) -> np.ndarray:
    """Unsigned lanes of a series of beats."""
    return unpack(beats.data, bits, lanes, signed=False)
