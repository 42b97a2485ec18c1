"""A tape player: walks a tape row by row, group by group, once for every start pulse.

The row is on `row` in every cycle in which `active` is high; the first active cycle is 3 + gap cycles after `start`.
What decides the next row (gap, count, last, end) is read from logic, so that the loop around the row counter is short;
all else comes from a memory and a register behind it, and everything outside is two cycles later than the counter.
"""

from amaranth import Const, Module, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ernn.layout import address_bits
from ernn.rtl.arith import delayed, delayed_flag
from ernn.tape import Tape

CONTROL = ("gap", "count", "last", "end")
BEHIND = 2


class Player(wiring.Component):
    """Plays `tape`. Outputs: `active`; `index`, how often the current group has been played; `final`, last time."""

    def __init__(self, tape: Tape, name: str) -> None:
        self.tape, self.name = tape, name
        self.row: dict[str, Value] = {key: Const(value) for key, value in tape.constants.items()}
        self.row |= {key: Signal(width, name=f"{name}_{key}") for key, width in tape.widths.items()}
        super().__init__(
            {
                "start": In(1),
                "active": Out(1),
                "index": Out(tape.index_bits),
                "final": Out(1),
                "pc": Out(address_bits(len(tape.rows))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pc, base, index = Signal.like(self.pc), Signal.like(self.pc), Signal.like(self.index)
        running = Signal()
        waited = Signal(max(1, max(row["gap"] for row in self.tape.rows).bit_length()))
        control = self._control(m, pc)
        active, final = Signal(), Signal()
        m.d.comb += [active.eq(running & (waited == control["gap"])), final.eq(index + 1 == control["count"])]
        with m.If(active):
            with m.If(~control["last"]):
                m.d.sync += pc.eq(pc + 1)
            with m.Elif(~final):
                m.d.sync += [pc.eq(base), index.eq(index + 1)]
            with m.Else():
                m.d.sync += [pc.eq(pc + 1), base.eq(pc + 1), index.eq(0), waited.eq(0)]
                with m.If(control["end"]):
                    m.d.sync += [pc.eq(0), base.eq(0), running.eq(0)]
        with m.Elif(running):
            m.d.sync += waited.eq(waited + 1)
        with m.If(self.start):
            m.d.sync += running.eq(1)
        self._rows(m, pc)
        m.d.comb += [
            self.active.eq(delayed_flag(m, active, BEHIND, "active")),
            self.index.eq(delayed(m, index, BEHIND, "index")),
            self.final.eq(delayed(m, final, BEHIND, "final")),
            self.pc.eq(delayed(m, pc, BEHIND, "pc")),
        ]
        return m

    def _control(self, m: Module, pc: Signal) -> dict[str, Value]:
        """What decides the next row, at once."""
        control: dict[str, Value] = {"last": Const(1)} | {
            name: Const(value) for name, value in self.tape.constants.items() if name in CONTROL
        }
        for name in CONTROL:
            if name in self.tape.widths:
                column = [row[name] for row in self.tape.rows]
                logic = memory.Memory(shape=self.tape.widths[name], depth=len(column), init=column)
                m.submodules[f"control_{name}"] = logic
                port = logic.read_port(domain="comb")
                m.d.comb += port.addr.eq(pc)
                control[name] = port.data
        return control

    def _rows(self, m: Module, pc: Signal) -> None:
        """The row memory and the register behind it."""
        if not self.tape.width:
            return
        rows = memory.Memory(shape=self.tape.width, depth=len(self.tape.rows), init=self.tape.words)
        m.submodules.rows = rows
        port = rows.read_port()
        word = delayed(m, port.data, BEHIND - 1, "row")
        m.d.comb += port.addr.eq(pc)
        position = 0
        for name, width in self.tape.widths.items():
            m.d.comb += Value.cast(self.row[name]).eq(word[position : position + width])
            position += width
