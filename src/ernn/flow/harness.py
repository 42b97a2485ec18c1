"""An engine behind four pins, so that place and route measures it and not the board around it."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ernn.errors import UserError
from ernn.flow.verilog import Port, Verilog, to_verilog

TOP = "ernn_pins"


class Pins(wiring.Component):
    """A design's AXI4-Stream ports on two pins, besides clock and reset.

    Inputs are the bits of a shift register fed by `pin_in`.  Outputs are registered and folded, one
    bit after the other with an exclusive or, into a second shift register that leaves by `pin_out`:
    each can be set and each is seen, so no logic is optimised away.  Every path is from register to
    register, and the registers are all local: the harness adds no wide gate and no enable.  It
    costs a flip-flop per input bit, two and a LUT per output bit. Reset comes straight from its
    pin, as one would constrain it: a path from a pin is not part of the clock.
    """

    def __init__(self, top: str, ports: tuple[Port, ...]) -> None:
        self._top = top
        self._inputs = [p for p in ports if p.direction == "input" and p.name not in ("clk", "rst")]
        self._outputs = [
            p
            for p in ports
            if p.direction == "output" and not p.name.startswith(("probe_", "event_"))
        ]
        super().__init__({"pin_in": In(1), "pin_out": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pin_in, pin_out = (getattr(self, name) for name in ("pin_in", "pin_out"))
        given = Signal(sum(port.width for port in self._inputs), reset_less=True)
        taken = Signal(sum(port.width for port in self._outputs))
        seen, folded = Signal(len(taken), reset_less=True), Signal(len(taken), reset_less=True)
        connected: dict[str, Any] = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
        connected |= {f"i_{name}": part for name, part in _parts(given, self._inputs)}
        connected |= {f"o_{name}": part for name, part in _parts(taken, self._outputs)}
        m.submodules.engine = Instance(self._top, **connected)
        m.d.sync += [
            given.eq(Cat(pin_in, given)),
            seen.eq(taken),
            folded.eq(Cat(Const(0), folded) ^ seen),
        ]
        m.d.comb += pin_out.eq(folded[-1])
        return m


def _parts(bits: Signal, ports: list[Port]) -> Iterator[tuple[str, Any]]:
    """Each port with its share of `bits`, from the lowest up."""
    start = 0
    for port in ports:
        yield port.name, bits[start : start + port.width]
        start += port.width


def with_pins(verilog: Verilog) -> Verilog:
    """`verilog` inside `Pins`, one text with top `ernn_pins`; probes and events are left open."""
    if verilog.port("clk") is None or not any(port.direction == "output" for port in verilog.ports):
        raise UserError(f"{verilog.top} cannot be placed: it needs a port clk and outputs")
    pins = to_verilog(Pins(verilog.top, verilog.ports), TOP)
    return dataclasses.replace(
        pins, text=pins.text + "\n" + verilog.text, memories=verilog.memories
    )
