"""A tape player: walks a tape row by row, group by group, once for every start pulse.

The row is on `row` in every cycle in which `active` is high; the first active cycle is 4 + gap
cycles after `start`. What decides the next row (gap, count, end of the group) is kept in registers,
the next group's too, so that the loop around the row counter is short; all else comes from a
memory, its output register and a register apart from it, and everything outside is three cycles
later than the counter.
"""

from amaranth import Const, Module, Mux, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ernn.rtl.arith import delayed, delayed_flag
from ernn.scheduling.lines import address_bits
from ernn.scheduling.tape import Tape

BEHIND = 3


class Player(wiring.Component):
    """Plays `tape`, one that may end early only so far unless `whole` is high. Outputs: `active`;
    `index`, how often the current group has been played; `final`, last time.
    """

    def __init__(self, tape: Tape, name: str) -> None:
        self.tape, self.name = tape, name
        self.row: dict[str, Value] = {key: Const(value) for key, value in tape.constants.items()}
        self.row |= {key: Signal(width, name=f"{name}_{key}") for key, width in tape.widths.items()}
        super().__init__(
            {
                "start": In(1),
                "whole": In(1),
                "active": Out(1),
                "index": Out(tape.index_bits),
                "final": Out(1),
                "pc": Out(address_bits(len(tape.rows))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pc, base, index = Signal.like(self.pc), Signal.like(self.pc), Signal.like(self.index)
        idle, waiting, active = Signal(init=1), Signal(), Signal()
        last, final = Signal(), Signal()  # row of the group, time that it is played
        done, pop, rewind = Signal(), Signal(), Signal()
        following = self._groups(m, pop, rewind)
        held = {name: Signal(len(value), name=f"group_{name}") for name, value in following.items()}
        rows_left, ends = Signal(len(held["rows"])), held["ends"]
        if self.tape.early:
            early = held["early"] & ~self.whole
            m.d.comb += rewind.eq(done & early)
            ends = ends | early
        m.d.comb += [
            done.eq(active & final & last),
            pop.eq((done & (~ends | self.start)) | (idle & self.start)),
        ]
        with m.If(active):
            m.d.sync += [rows_left.eq(rows_left - 1), last.eq(rows_left == 1), pc.eq(pc + 1)]
            with m.If(last):
                m.d.sync += [rows_left.eq(held["rows"]), last.eq(held["single"])]
                m.d.sync += [
                    index.eq(index + 1),
                    held["count"].eq(held["count"] - 1),
                    final.eq(held["count"] == 2),
                ]
                with m.If(final):
                    m.d.sync += [
                        pc.eq(Mux(ends, 0, pc + 1)),
                        base.eq(Mux(ends, 0, pc + 1)),
                    ]
                with m.Else():
                    m.d.sync += pc.eq(base)
        with m.If(waiting):
            m.d.sync += held["gap"].eq(held["gap"] - 1)
            with m.If(held["gap"] == 1):
                m.d.sync += [waiting.eq(0), active.eq(1)]
        with m.If(done):
            m.d.sync += [idle.eq(1), active.eq(0)]
        with m.If(pop):
            m.d.sync += [held[name].eq(value) for name, value in following.items()]
            m.d.sync += [
                rows_left.eq(following["rows"]),
                last.eq(following["single"]),
                final.eq(following["once"]),
            ]
            m.d.sync += [
                index.eq(0),
                idle.eq(0),
                waiting.eq(~following["now"]),
                active.eq(following["now"]),
            ]
        self._rows(m, pc)
        m.d.comb += [
            self.active.eq(delayed_flag(m, active, BEHIND, "active")),
            self.index.eq(delayed(m, index, BEHIND, "index")),
            self.final.eq(delayed(m, final, BEHIND, "final")),
            self.pc.eq(delayed(m, pc, BEHIND, "pc")),
        ]
        return m

    def _groups(self, m: Module, pop: Value, rewind: Value) -> dict[str, Value]:
        """The group to be played next, in registers: its gap, count, rows after the first, whether
        it `ends` the tape.

        And what would otherwise be compared in the loop: `now`, no gap; `once`, a count of one;
        `single`, one row; and `early`, where the tape may end early: after a `rewind` the first is
        looked up again (`ernn.scheduling.timing.REWIND`).

        A group may last one cycle, so that the one behind it is looked up (in logic) while it is
        taken.
        """
        groups = self.tape.groups
        columns = {
            "gap": [group[0]["gap"] for group in groups],
            "count": [group[0]["count"] for group in groups],
            "rows": [len(group) - 1 for group in groups],
            "now": [int(not group[0]["gap"]) for group in groups],
            "once": [int(group[0]["count"] == 1) for group in groups],
            "single": [int(len(group) == 1) for group in groups],
            "ends": [int(number == len(groups) - 1) for number in range(len(groups))],
        }
        take = pop
        if self.tape.early:
            last = self.tape.early_groups - 1
            columns["early"] = [int(number == last) for number in range(len(groups))]
            take = pop | delayed_flag(m, rewind, 1, "rewound")
        number = Signal(range(len(groups)), init=1 % len(groups))
        following: dict[str, Value] = {}
        for name, column in columns.items():
            width = max(1, max(column).bit_length())
            logic = memory.Memory(shape=width, depth=len(groups), init=column)
            m.submodules[f"group_{name}"] = logic
            port = logic.read_port(domain="comb")
            m.d.comb += port.addr.eq(number)
            following[name] = Signal(width, name=f"following_{name}", init=column[0])
            with m.If(take):
                m.d.sync += following[name].eq(port.data)
        with m.If(take):
            m.d.sync += number.eq(Mux(number == len(groups) - 1, 0, number + 1))
        if self.tape.early:
            with m.If(rewind):
                m.d.sync += number.eq(0)
        return following

    def _rows(self, m: Module, pc: Signal) -> None:
        """The row memory and the registers behind it."""
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
