"""A pipeline of the engine by itself: a word in and a word out every cycle,
between ports that simulation drives.
"""

from collections.abc import Callable

import numpy as np
from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ernn.flow.beats import Beats
from ernn.flow.cache import Cache
from ernn.flow.simulate import build
from ernn.flow.verilog import to_verilog
from tests.flow.designs import axis_ports

Unit = Callable[[Module, Value], Value]


class Pipe(wiring.Component):
    """`unit` makes `width_out` bits of `width_in` in `depth` cycles. It
    never stalls: give it no pauses.
    """

    def __init__(self, unit: Unit, width_in: int, width_out: int, depth: int) -> None:
        self.unit, self.depth = unit, depth
        ports = axis_ports(width_in, 1) | {"m_axis_tdata": Out(width_out)}
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        valid = Signal(self.depth + 1)
        m.d.comb += [
            self.s_axis_tready.eq(1),
            valid[0].eq(self.s_axis_tvalid),
            self.m_axis_tvalid.eq(valid[-1]),
            self.m_axis_tdata.eq(self.unit(m, self.s_axis_tdata)),
        ]
        m.d.sync += valid[1:].eq(valid)
        return m


class Circuit(wiring.Component):
    """`unit` by itself, for a proof."""

    def __init__(self, unit: Unit, width_in: int, width_out: int) -> None:
        self.unit = unit
        super().__init__({"given": In(width_in), "made": Out(width_out)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.made.eq(self.unit(m, self.given))
        return m


def answers(pipe: Pipe, words: np.ndarray, lanes_out: int) -> np.ndarray:
    """What the pipe makes of words (count, lanes), one a cycle, as (count,
    lanes_out); 32 bits a lane on both sides.
    """
    beats = Beats.of(np.ascontiguousarray(words.astype("<i4")).view(np.uint8))
    cycles = len(words) + 200
    simulator = build(to_verilog(pipe), Cache.default(), cycles=cycles)
    result = simulator.run(beats, expected_beats=len(words), max_cycles=cycles)
    assert (result.output_cycle - result.input_cycle == pipe.depth).all(), (
        "one result a cycle, as late as said"
    )
    made = result.outputs.data.reshape(len(words), lanes_out, 4)
    return np.ascontiguousarray(made).view("<i4")[..., 0].astype(np.int64)


def extended(values: list[Value], width: int) -> Value:
    """Signed values side by side, each of exactly `width` bits."""
    assert all(len(value) <= width for value in values)
    return Cat(Cat(value, value[-1].replicate(width - len(value))) for value in values)
