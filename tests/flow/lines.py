"""A serial line as samples, one a clock cycle, written apart from the hardware's;
and a simulated board on its end.
"""

from collections.abc import Sequence

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring

from ernn.flow.beats import Beats
from ernn.flow.bitstream import serial_engine, with_engine
from ernn.flow.cache import Cache
from ernn.flow.simulate import Simulator, build
from ernn.flow.verilog import to_verilog
from ernn.rtl.serial import SerialEngine
from ernn.scheduling.schedule import Schedule
from tests.flow.designs import axis_ports

IDLE = 1


def waveform(data: bytes, clocks: float, gap: int = 0) -> np.ndarray:
    """Line levels of bytes, `clocks` cycles a bit on average, `gap` idle bits after each."""
    bits: list[int] = []
    for byte in data:
        bits += [0, *(byte >> place & 1 for place in range(8)), 1] + [IDLE] * gap
    edges = np.round(np.arange(len(bits) + 1) * clocks).astype(int)
    return np.repeat(np.array(bits, np.uint8), np.diff(edges))


def pause(bits: float, clocks: int, level: int = IDLE) -> np.ndarray:
    return np.full(round(bits * clocks), level, np.uint8)


def heard(levels: np.ndarray, clocks: int) -> bytes:
    """Bytes on a line: a falling edge, then the middle of each bit."""
    data, at = bytearray(), 0
    while True:
        low = np.flatnonzero(levels[at:] == 0)
        if not len(low) or at + low[0] + 10 * clocks > len(levels):
            return bytes(data)
        start = at + int(low[0])
        middle = [int(levels[start + clocks * place + clocks // 2]) for place in range(10)]
        assert middle[0] == 0 and middle[9] == 1, f"a byte without its frame at cycle {start}"
        data.append(sum(bit << place for place, bit in enumerate(middle[1:9])))
        at = start + 9 * clocks + clocks // 2


class Samples(wiring.Component):
    """The lines of a serial engine as streams of one sample a cycle: bit
    0 the line, bit 1 (out) `lost`.
    """

    def __init__(self, engine: SerialEngine) -> None:
        self.engine = engine
        super().__init__(axis_ports(8, 1))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.serial = serial = self.engine
        m.d.comb += [
            serial.received.eq(self.s_axis_tdata[0] | ~self.s_axis_tvalid),
            self.s_axis_tready.eq(1),
            self.m_axis_tvalid.eq(self.s_axis_tvalid),
            self.m_axis_tdata.eq(serial.sent | serial.lost << 1),
        ]
        return m


class SimulatedBoard:
    """What a board would send back, byte for byte, for all that has been written
    since `reset`: a port for a `Link`.

    The whole exchange is simulated again whenever an answer is waited for;
    time passes only while bytes move.
    """

    def __init__(self, schedule: Schedule, clocks: int, patience: int) -> None:
        self.clocks, self.patience = clocks, patience
        self.simulator: Simulator = board_simulator(schedule, clocks)
        self.levels: list[np.ndarray] = [pause(2, clocks)]
        self.taken, self.lost = 0, False

    def write(self, data: bytes) -> None:
        self.levels.append(waveform(data, self.clocks))

    def send_break(self, duration: float = 0.0) -> None:
        self.levels += [pause(14, self.clocks, 0), pause(2, self.clocks)]

    def read(self, size: int = 1) -> bytes:
        for _ in range(3):
            sent, self.lost = exchange(self.simulator, self.levels, self.clocks)
            if len(sent) >= self.taken + size:
                self.taken += size
                return sent[self.taken - size : self.taken]
            self.levels.append(pause(self.patience, self.clocks))
        return b""


def board_simulator(schedule: Schedule, clocks: int) -> Simulator:
    """The serial engine, compiled."""
    outer = to_verilog(Samples(serial_engine(schedule, clocks)), "samples")
    return build(with_engine(outer, schedule), Cache.default(), cycles=100_000)


def exchange(simulator: Simulator, levels: Sequence[np.ndarray], clocks: int) -> tuple[bytes, bool]:
    """Bytes that came back while these levels were on the line, and
    whether something was lost at the end.
    """
    line = np.concatenate(levels)
    result = simulator.run(
        Beats.of(line[:, None]), expected_beats=len(line), max_cycles=len(line) + 10
    )
    sampled = result.outputs.data[:, 0]
    return heard(sampled & 1, clocks), bool(sampled[-1] >> 1)
