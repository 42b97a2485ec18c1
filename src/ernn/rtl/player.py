"""A tape player: walks a tape row by row, group by group, once for every start pulse.

The row is on `row` in every cycle in which `active` is high; the first active cycle is 1 + gap cycles after `start`.
"""

from amaranth import Const, Module, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ernn.tape import Tape


class Player(wiring.Component):
    """Plays `tape`. Outputs: `active`; `index`, how often the current group has been played; `final`, last time."""

    def __init__(self, tape: Tape, name: str) -> None:
        self.tape, self.name = tape, name
        self.groups = "last" in tape.rows[0]
        count_bits = max(1, max(row["count"] for row in tape.rows).bit_length())
        self.row: dict[str, Value] = {key: Const(value) for key, value in tape.constants.items()}
        self.row |= {key: Signal(width, name=f"{name}_{key}") for key, width in tape.widths.items()}
        super().__init__(
            {
                "start": In(1),
                "active": Out(1),
                "index": Out(count_bits),
                "final": Out(1),
                "pc": Out(max(1, (len(tape.rows) - 1).bit_length())),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pc, base, running, row = self.pc, Signal.like(self.pc), Signal(), self.row
        waited = Signal(max(1, max(r["gap"] for r in self.tape.rows).bit_length()))
        next_pc = Signal.like(pc)
        self._connect_rows(m, next_pc)
        last = row.get("last", Const(1))
        m.d.comb += [
            self.active.eq(running & (waited == row["gap"])),
            self.final.eq(self.index + 1 == row["count"]),
            next_pc.eq(pc),
        ]
        m.d.sync += pc.eq(next_pc)
        with m.If(self.active):
            with m.If(~last):
                m.d.comb += next_pc.eq(pc + 1)
            with m.Elif(~self.final):
                m.d.comb += next_pc.eq(base)
                m.d.sync += self.index.eq(self.index + 1)
            with m.Else():
                m.d.comb += next_pc.eq(pc + 1)
                m.d.sync += [self.index.eq(0), waited.eq(0), base.eq(pc + 1)]
                with m.If(row["end"]):
                    m.d.comb += next_pc.eq(0)
                    m.d.sync += [running.eq(0), base.eq(0)]
        with m.Elif(running):
            m.d.sync += waited.eq(waited + 1)
        with m.If(self.start):
            m.d.sync += running.eq(1)
        return m

    def _connect_rows(self, m: Module, next_pc: Signal) -> None:
        """The row memory, read one cycle ahead."""
        if not self.tape.width:
            return
        rows = memory.Memory(shape=self.tape.width, depth=len(self.tape.rows), init=self.tape.words)
        m.submodules.rows = rows
        port = rows.read_port()
        m.d.comb += port.addr.eq(next_pc)
        position = 0
        for name, width in self.tape.widths.items():
            m.d.comb += Value.cast(self.row[name]).eq(port.data[position : position + width])
            position += width
