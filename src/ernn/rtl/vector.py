"""The vector unit: steps of `ernn.scheduling.vector_program`, one term of a beat of `lanes` numbers
a cycle.

What happens after issue, and when, is in `ernn.scheduling.timing.Pipeline`: addresses, memories,
their registers, operands, product, scaled, term, sum, rounded, saturated, activation or bypass;
then the result is written.
"""

from collections.abc import Mapping

import numpy as np
from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ernn.rtl.activation import Activation
from ernn.rtl.arith import (
    chosen,
    clamped,
    delayed,
    delayed_flag,
    lanes_of,
    register,
    saturating,
)
from ernn.rtl.forwarding import Forwarded
from ernn.rtl.player import Player
from ernn.rtl.rounding import rounded
from ernn.rtl.shifter import Shifter
from ernn.rtl.sizes import Sizes, sized
from ernn.rtl.ways import Ways, beat_of
from ernn.scheduling.forwarding import WAYS
from ernn.scheduling.lines import address_bits
from ernn.scheduling.memory_map import ARRIVALS
from ernn.scheduling.schedule import Schedule
from ernn.scheduling.weight_banks import pack


class VectorUnit(wiring.Component):
    """Plays the vector tape.

    `valid`, `first`: which streams have a frame this round and which begin a sequence; `copy`: by
    which number each one's copy is told from the frame before's, where that is kept
    (`sees_copies`); stable while the tape plays.  `gate_address` asks for a line of gates,
    `gate_word` brings it two cycles after issue; so do `arrival_address` and `arrival_word` with
    the input's numbers, where a step reads them.  `beat` is a step's result (when:
    `ernn.rtl.ways`), marked by `done` and named by `label`; with a line's last beat the whole
    line is on `result`, with `send` (to the forward transforms), `output`, and their tags; `sends`
    is `send`, `Pipeline.far` cycles before and one more.
    `whole`: whether the frame has a head (`Design.once`); stable like `valid`.
    `valid` and `first` hold the flags of this round's frames, then those of the round before, where
    frames may be late; `turn` selects among them.
    """

    def __init__(self, schedule: Schedule) -> None:
        layout, sizes = schedule.layout, Sizes(schedule)
        self.schedule, self.layout = schedule, layout
        self.block, self.width, self.pipeline = sizes.block, sizes.width, sizes.pipeline
        self.lanes, self.beats, self.words = layout.lanes, layout.beats, layout.design.words
        streams = layout.design.streams
        self.copy_bits = sizes.copy
        frames = streams * (schedule.rounds_late + 1)
        self.player = Player(schedule.vector, "vector")
        line, index = sizes.line, address_bits(streams)
        arrivals = ARRIVALS << address_bits(layout.arrival_lines)
        super().__init__(
            {
                "start": In(1),
                "valid": In(frames),
                "first": In(frames),
                "gate_address": Out(address_bits(layout.gates_total)),
                "gate_word": In(line),
                "beat": Out(layout.beat * self.width),
                "result": Out(line),
                "send": Out(1),
                "sends": Out(1),
                "spectrum": Out(sizes.slot),
                "ring": Out(address_bits(len(layout.spectra.rings))),
                "spectrum_shift": Out(address_bits(len(schedule.shifts.spectrum))),
                "spectrum_width": Out(address_bits(len(schedule.shifts.spectra))),
                "stream": Out(index),
                "turn": Out(address_bits(frames)),
                "output": Out(1),
                "final": Out(1),
                "done": Out(1),
                "label": Out(len(self.player.pc) + len(self.player.index) + bool(layout.looked_up)),
            }
            | ({"copy": In(frames * sizes.copy)} if self.sees_copies else {})
            | ({"parts": Out(address_bits(self.orders))} if self.orders > 1 else {})
            | (
                {
                    "aside": Out(layout.beat * self.width),
                    "aside_done": Out(1),
                    "aside_label": Out(len(self.player.pc) + len(self.player.index)),
                }
                if layout.values.aside
                else {}
            )
            | ({"whole": In(1)} if layout.design.once else {})
            | ({"gate_written": In(line)} if self.takes_gates else {})
            | (
                {"arrival_address": Out(address_bits(arrivals)), "arrival_word": In(line)}
                if layout.arrival_lines
                else {}
            )
        )

    @property
    def orders(self) -> int:
        """In how many orders the numbers of words are transformed."""
        return len(self.layout.spectra.parts)

    @property
    def sees_copies(self) -> bool:
        """Whether it reads anything of which there is more than one copy."""
        return self.layout.values.distance > 0 or self.layout.arrival_lines > 0

    @property
    def takes_gates(self) -> bool:
        """Whether a step takes a line of gates on its way to memory."""
        return bool(self._taken("line"))

    def _taken(self, name: str) -> frozenset[int]:
        """In which cycles after issue something is taken on its way."""
        return frozenset(row.get(f"{name}_soon", 0) for row in self.schedule.vector.rows) - {0}

    @property
    def _chosen(self) -> int:
        """Cycles after issue until operands are chosen among what memories give: the last before
        they are used, or with forwarding that before a register behind memories."""
        later = self.pipeline.apart if self.layout.design.forwarding else 0
        return self.pipeline.memories - later

    def _forwarded(self, m: Module, name: str) -> Forwarded:
        row, taken = self.player.row, self._taken(name)
        return Forwarded(m, self.pipeline, row, name, taken, self._chosen)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.player = player = self.player
        m.d.comb += player.start.eq(self.start)
        if self.layout.design.once:
            m.d.comb += player.whole.eq(self.whole)
        beyond = self._beyond(m, self.pipeline.values - 1)
        coming = self._sums(m, self._operands(m), beyond)
        values = [register(m, value, f"value{lane}") for lane, value in enumerate(coming)]
        units = self._activated(m, values, beyond)
        ways = self._ways(m)
        if self.layout.design.forwarding:  # then a beat is an operand, and comes out of registers
            later = (unit.coming for unit in units)
            beat = register(m, beat_of(ways.through_soon, coming, later), "beat")
        else:
            beat = beat_of(ways.through, values, (unit.result for unit in units))
        m.d.comb += self.beat.eq(beat)
        self._results(m, ways)
        if self.layout.values.aside:
            self._aside(m, Cat(*values))
        return m

    def _activated(self, m: Module, values: list[Signal], beyond: list[Value]) -> list[Activation]:
        """What the tables make of values, and of those that need none themselves,
        `Pipeline.activation` cycles later.
        """
        activate, table = (
            delayed(m, self.player.row[name], self.pipeline.values, name)
            for name in ("activate", "table")
        )
        units = []
        for lane, (value, outside) in enumerate(zip(values, beyond, strict=True)):
            unit = Activation(self.layout.model.tables, self.width, self.pipeline)
            m.submodules[f"activation{lane}"] = unit
            looked_up = self._looked_up(m, value)
            zero = delayed(m, outside, self.pipeline.activation, f"beyond{lane}_activated")
            m.d.comb += [
                unit.value.eq(looked_up),
                unit.activate.eq(activate),
                unit.table.eq(table),
                unit.zero.eq(zero),
            ]
            units.append(unit)
        return units

    def _looked_up(self, m: Module, value: Value) -> Value:
        """A value as the tables read it: that of a step made with another has more fraction
        bits."""
        if "then" not in self.player.row:
            return value
        found, then = value, delayed(m, self.player.row["then"], self.pipeline.values, "then")
        for number, (finer, width) in enumerate(self.layout.looked_up, 1):
            found = Mux(then == number, clamped(value << finer, width), found)
        return found

    def _below_zero(self, m: Module, value: Value, beyond: Value, lane: int) -> Value:
        """Whether a value is to be zero, in the cycle in which it is saturated: past a vector's
        end, or what a ReLU turns to zero of `value`, which is one rounding's `fit` earlier.
        """
        if all(step.activation != "relu" for step in self.layout.steps):
            return beyond
        cycles = self.pipeline.values - 1 - self.pipeline.fit
        positive = delayed(m, self.player.row["positive"], cycles, "positive")
        return beyond | delayed(m, positive & value[-1], self.pipeline.fit, f"below{lane}")

    def _operands(self, m: Module) -> list[dict[str, Value]]:
        """Every lane's a, b, addend and bias, `Pipeline.operands` cycles after issue."""
        row, later = self.player.row, self.pipeline.memories - self._chosen
        line = self._line(m)
        first = self._of_turn(self.first)
        early = {
            name: delayed(m, row[name], self._chosen, name)
            for name in ("factor", "add_line", "add_value", "bias")
        }
        biases, factors = self._constants(m)
        self.value_writes: list[memory.WritePort] = []
        self.aside_writes: list[memory.WritePort] = []
        words = {name: self._value(m, name, first) for name in ("a", "b")}
        words["b"] = Mux(early["factor"], factors, words["b"])
        words["addend"] = Mux(early["add_line"], line, Mux(early["add_value"], words["a"], 0))
        words["bias"] = Mux(early["bias"], biases, 0)
        words = {name: delayed(m, word, later, f"{name}_kept") for name, word in words.items()}
        a, b, lines = (self._forwarded(m, name) for name in WAYS)
        words["a"], words["b"] = a.last(words["a"], self.beat), b.last(words["b"], self.beat)
        words["addend"] = a.last(words["addend"], self.beat, row["add_value"])
        if self.takes_gates:
            words["addend"] = lines.last(words["addend"], self.gate_written)
        registered = {name: register(m, word, f"{name}_word") for name, word in words.items()}
        lanes = self.lanes * self.words
        split = {name: lanes_of(word, self.width, lanes) for name, word in registered.items()}
        return [{name: split[name][lane] for name in split} for lane in range(lanes)]

    def _line(self, m: Module) -> Value:
        """A beat of a gate's line, or of the input's, `_chosen` cycles after issue."""
        row, index, beat_bits = self.player.row, self.player.index, self.beats.bit_length() - 1
        place = row["line"] + self._strided(m, row["line_stride"], index[beat_bits:])
        m.d.sync += self.gate_address.eq(place)
        line = self.gate_word
        if self.layout.arrival_lines:
            own = sized(place, address_bits(self.layout.arrival_lines))
            copy = self._of_turn(self.copy)[: address_bits(ARRIVALS)]
            m.d.sync += self.arrival_address.eq(Cat(own, copy))
            line = Mux(delayed(m, row["add_input"], 2, "add_input"), self.arrival_word, line)
        later = self._chosen - 1
        beat = delayed(m, index[:beat_bits], later, "line_beat") if beat_bits else Const(0, 1)
        line = delayed(m, line, later - 2, "line_later")
        words = lanes_of(line, self.block * self.width, self.words)
        part = Cat(word.as_unsigned().word_select(beat, self.lanes * self.width) for word in words)
        read = register(m, part, "line_read")
        if not self.takes_gates:
            return read
        return self._forwarded(m, "line").early(read, self.gate_written)

    def _value(self, m: Module, name: str, first: Value) -> Value:
        """What a term reads of the values, as `_line`; before a sequence's first frame that is what
        it begins with, or zero.
        """
        row, layout = self.player.row, self.layout.values
        before, given = row[f"{name}_before"], row[f"{name}_given"]
        place = self._copy_of(row[name] + self.player.index, row[f"{name}_twice"], before)
        begins = first & before & given
        place = Mux(begins, row[f"{name}_initial"] + self.player.index, place)
        address = register(m, place, f"{name}_address")
        init = pack(layout.contents(), self.width)
        word = self._value_memory(
            m, f"values_{name}", layout.beats, init, self.value_writes, address
        )
        read = register(m, word, f"{name}_read")
        if layout.aside:
            writes, depth = self.aside_writes, layout.aside_beats
            word = self._value_memory(m, f"aside_{name}", depth, [], writes, address)
            there = delayed(m, row[f"{name}_aside"] & ~begins, 3, f"{name}_there")
            read = Mux(there, register(m, word, f"{name}_read_aside"), read)
        cleared = delayed(m, first & before & ~given, 3, f"{name}_cleared")
        read = Mux(cleared, 0, read)
        kept = delayed(m, read, self._chosen - 3, f"{name}_later")
        return self._forwarded(m, name).early(kept, self.beat)

    def _copy_of(self, place: Value, twice: Value, before: Value | int) -> Value:
        """Where a value is: of what is kept twice, in this frame's copy or the frame before's."""
        distance = self.layout.values.distance
        if not distance:
            return place
        second = twice & (self._of_turn(self.copy)[0] ^ before)
        return place | second << distance.bit_length() - 1

    def _of_turn(self, values: Value) -> Value:
        """Of a value a frame, that of the frame that the row is about."""
        frames = self.layout.design.streams * (self.schedule.rounds_late + 1)
        return values.word_select(self._turn, len(values) // frames) if frames > 1 else values

    @property
    def _turn(self) -> Value:
        return turn_of(self.player.row, self.layout.design.streams)

    def _strided(self, m: Module, stride: Value, index: Value) -> Value:
        """index * stride without a multiplier."""
        choices = sorted({row["line_stride"] for row in self.schedule.vector.rows})
        bits = range(max(choices).bit_length())
        result = Signal(len(index) + len(bits))
        with m.Switch(stride):
            for choice in choices:
                with m.Case(choice):
                    parts = [index << bit for bit in bits if choice >> bit & 1]
                    m.d.comb += result.eq(sum(parts[1:], parts[0]) if parts else 0)
        return result

    def _value_memory(
        self,
        m: Module,
        name: str,
        depth: int,
        init: list[int],
        writes: list[memory.WritePort],
        address: Value,
    ) -> Value:
        """One of two copies of the values, for one read a cycle each; what it gives."""
        values = memory.Memory(shape=self.width * self.layout.beat, depth=depth, init=init)
        m.submodules[name] = values
        writes.append(values.write_port())
        read = values.read_port()
        m.d.comb += read.addr.eq(address[: len(read.addr)])
        return read.data

    def _constants(self, m: Module) -> tuple[Value, Value]:
        """Biases and factors, as `_line`."""
        address = self.player.row["constant"] + self.player.index
        nothing = np.zeros(self.layout.beat, np.int64)
        words = self.layout.constants[1] or ((nothing, nothing),)
        half = self.width * self.layout.beat
        biases, factors = (pack(np.array(words)[:, i], self.width) for i in (0, 1))
        init = [bias | factor << half for bias, factor in zip(biases, factors, strict=True)]
        constants = memory.Memory(shape=2 * half, depth=len(init), init=init)
        m.submodules.constants = constants
        port = constants.read_port()
        m.d.comb += port.addr.eq(register(m, address, "constant_address"))
        word = delayed(m, port.data, self._chosen - 2, "constants_read")
        return word[:half], word[half:]

    def _sums(self, m: Module, lanes: list[dict[str, Value]], beyond: list[Value]) -> list[Value]:
        """What the saturated sums of every lane will be in the next cycle, which is
        `Pipeline.values` after issue; 0 past a vector's end.
        """
        row, shifts, pipeline = self.player.row, self.schedule.shifts, self.pipeline
        addend_shift, bias_shift = (
            delayed(m, row[f"{x}_shift"], pipeline.operands, f"{x}_shift")
            for x in ("addend", "bias")
        )
        product_shift, multiply, negative = (
            delayed(m, row[name], pipeline.products, name)
            for name in ("product_shift", "multiply", "negative")
        )
        negated = delayed(m, row["multiply"] & row["negative"], pipeline.products, "negated")
        first_term = delayed(m, row["first_term"], pipeline.terms, "first_term")
        round_by = delayed(m, row["round_shift"], pipeline.sums, "round_shift")
        which = delayed(m, row["value_width"], pipeline.sums + 1 + pipeline.shift, "value_width")
        shifter = Shifter(m, round_by, shifts.round, pipeline.shift, "sums")
        exact = self.schedule.sum_bits
        results = []
        for number, lane in enumerate(lanes):
            product = delayed(m, lane["a"] * lane["b"], 1 + pipeline.apart, f"product{number}")
            addend = chosen(
                m, addend_shift, shifts.addend, lambda s, x=lane["addend"]: x << s, "addend"
            )
            bias = chosen(m, bias_shift, shifts.bias, lambda s, x=lane["bias"]: x << s, "bias")
            parts = (register(m, addend, f"addend{number}"), register(m, bias, f"bias{number}"))
            both = delayed(m, parts[0] + parts[1], pipeline.apart, f"both{number}")
            added = register(m, both + negated, f"added{number}")
            scaled = chosen(m, product_shift, shifts.product, lambda s, x=product: x << s, "scaled")
            # -x = ~x + 1; `added` has the 1
            signed_product = register(
                m, Mux(multiply, Mux(negative, ~scaled, scaled), 0), f"signed{number}"
            )
            term = delayed(
                m, (added + signed_product)[:exact].as_signed(), pipeline.term, f"term{number}"
            )
            total = Signal(signed(exact), name=f"sum{number}", reset_less=True)
            m.d.sync += total.eq(term + Mux(first_term, 0, total))
            exact_result = rounded(m, total, shifter, f"sum{number}")
            zero = self._below_zero(m, exact_result, beyond[number], number)
            name, bits, fit = f"value{number}", self.width, pipeline.fit
            results.append(
                saturating(m, exact_result, shifts.values, which, name, fit, zero, width=bits)
            )
        return results

    def _ways(self, m: Module) -> Ways:
        row = self.player.row
        return Ways(m, self.pipeline, self.player.active & row["last"], row["tabled"])

    @property
    def _then(self) -> Value | None:
        """Whether a table makes another result of a step's."""
        return self.player.row["then"] != 0 if "then" in self.player.row else None

    def _results(self, m: Module, ways: Ways) -> None:
        """Write beats, gather whole lines and hand them on."""
        row, player, far, then = self.player.row, self.player, self.pipeline.far, self._then
        beat_bits = self.beats.bit_length() - 1
        label = Cat(player.index, player.pc, *(() if then is None else (then,)))
        go = player.active & self._of_turn(self.valid)
        whole = go & (player.index[:beat_bits] == self.beats - 1) if beat_bits else go

        def flag(name: str, when: Value, sooner: int = 0) -> Value:
            return ways.flag(when & row[name], name, sooner)

        done, sends = flag("last", go), flag("send", whole, sooner=far + 1)
        place = self._copy_of(row["value"] + player.index, row["value_twice"], 0)
        made = place if then is None else Mux(then, row["then_value"] + player.index, place)
        self._write(
            m, self.value_writes, ways.value(made, "value_address"), self.beat, flag("keep", go)
        )
        spectrum = row["spectrum"] + player.index[beat_bits:]
        m.d.comb += [
            self.result.eq(self._gathered(m, done)),
            self.sends.eq(sends),
            self.send.eq(delayed_flag(m, sends, far + 1, "send_later")),
            self.spectrum.eq(ways.value(spectrum, "spectrum")),
            self.ring.eq(ways.value(row["ring"], "ring")),
            self.spectrum_shift.eq(ways.value(row["spectrum_shift"], "spectrum_shift")),
            self.spectrum_width.eq(ways.value(row["spectrum_width"], "spectrum_width")),
            self.stream.eq(ways.value(row["stream"], "stream")),
            self.turn.eq(ways.value(self._turn, "turn") if "late" in row else self.stream),
            self.output.eq(flag("output", whole)),
            self.final.eq(flag("final", whole & player.final)),
            self.done.eq(done),
            self.label.eq(ways.value(label, "label")),
        ]
        if self.orders > 1:
            m.d.comb += self.parts.eq(ways.value(row["parts"], "parts"))

    def _aside(self, m: Module, values: Value) -> None:
        """Write what lies aside, as soon as sums are there."""
        row, player, cycles = self.player.row, self.player, self.pipeline.values
        made = player.active & self._of_turn(self.valid) & row["last"] & (row["then"] != 0)
        place = self._copy_of(row["value"] + player.index, row["value_twice"], 0)
        done = delayed_flag(m, made, cycles, "aside_done")
        address = delayed(m, place, cycles, "aside_address")
        self._write(m, self.aside_writes, address, values, done)
        label = delayed(m, Cat(player.index, player.pc), cycles, "aside_label")
        m.d.comb += [self.aside.eq(values), self.aside_done.eq(done), self.aside_label.eq(label)]

    def _write(
        self, m: Module, ports: list[memory.WritePort], address: Value, beat: Value, keep: Value
    ) -> None:
        """A beat into both copies of a memory of values, `Pipeline.far` cycles later."""
        far = self.pipeline.far
        address, value = (
            delayed(m, address, far, "value_address_later"),
            delayed(m, beat, far, "value"),
        )
        keep = delayed_flag(m, keep, far, "keep_later")
        for port in ports:
            addressed = port.addr.eq(address[: len(port.addr)])
            m.d.comb += [addressed, port.data.eq(value), port.en.eq(keep)]

    def _beyond(self, m: Module, cycles: int) -> list[Value]:
        """Which numbers of a beat lie at or past number `tail` of the line that ends a vector,
        `cycles` after issue.

        None where `tail` is 0, which stands for a whole line.
        """
        row, player, beat_bits = self.player.row, self.player, self.beats.bit_length() - 1
        number = delayed(m, player.index[:beat_bits], 1, "beat") if beat_bits else Const(0, 1)
        ends = player.index[beat_bits:] == (row["count"] - 1)[beat_bits:]
        tail = register(m, Mux(ends, row["tail"], 0), "tail")
        beyond = []
        for index in range(self.lanes * self.words):
            word, lane = divmod(index, self.lanes)
            place = Cat(Const(lane, self.lanes.bit_length() - 1), number)
            if self.words > 1:
                place = Cat(place[: self.block.bit_length() - 1], Const(word, range(self.words)))
            beyond.append(delayed(m, (tail != 0) & (tail <= place), cycles - 1, f"beyond{index}"))
        return beyond

    def _gathered(self, m: Module, done: Value) -> Value:
        """The beats before, and this one."""
        if self.beats == 1:
            return self.beat
        lines = []
        for word in range(self.words):
            size = self.lanes * self.width
            beat = self.beat[word * size : (word + 1) * size]
            before = Signal((self.beats - 1) * size, name=f"before{word or ''}", reset_less=True)
            with m.If(done):
                m.d.sync += before.eq(Cat(before, beat)[size:])
            lines.append(Cat(before, beat))
        return Cat(*lines)


def turn_of(row: Mapping[str, Value], streams: int) -> Value:
    """Which frame a tape row is about: its stream, counted on through the rounds before where it is
    late.
    """
    return row["stream"] + row["late"] * streams if "late" in row else row["stream"]
