"""The engine: one statically scheduled accelerator for one network.

How it works as a whole: docs/explanation/engine.md.

A round begins when at least one stream has a whole frame, there is room for its results, and
`Schedule.interval` cycles have passed since the last.  Both tapes then play: the arrays'
multiplies, the vector unit's does the rest.  Nothing stalls inside a round.  Streams without a
frame keep their state.  Where a frame's later stages fall into the next round
(`Schedule.rounds_late`), that starts too, with or without new frames.
"""

from amaranth import Array as Choice
from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import Out

from ernn.rtl.arith import (
    added_in_pairs,
    delayed,
    delayed_flag,
    divided,
    lanes_of,
    register,
    rounded,
    saturated,
)
from ernn.rtl.array import Array, combine
from ernn.rtl.player import BEHIND, Player
from ernn.rtl.stream import FrameInput, FrameOutput, stream_signature
from ernn.rtl.transform import transform_pipe
from ernn.rtl.vector import VectorUnit, turn_of
from ernn.scheduling.design import multipliers_per_pe
from ernn.scheduling.memory_map import address_bits
from ernn.scheduling.probes import probe_names
from ernn.scheduling.schedule import Schedule
from ernn.scheduling.timing import COMBINE
from ernn.scheduling.weight_banks import element_words, pack

Context = tuple[
    Value, Value, Value
]  # streams that take part, the copy each uses, those that begin a sequence
Contexts = list[Context]  # of this round, of the round before, ...


class Engine(wiring.Component):
    """Ports: AXI4-Stream `s_axis_*` and `m_axis_*`, `error` (sticky: a frame of the wrong length or
    an unknown stream); with `Design.parity` also `weight_fault` (sticky: a word of weights was read
    that has changed).

    With `probes`, every intermediate result comes out too: `probe_spectrum`, `probe_product`,
    `probe_vector`, each with `_en`, `_addr`, `_data`, and where a line has several words one of
    each a word (`probe_spectrum0`, ...); `event_round` at every round's start; `event_error` as
    long as `error` is high.
    """

    def __init__(self, schedule: Schedule, probes: bool = False) -> None:
        layout = schedule.layout
        self.schedule, self.probes = schedule, probes
        self.model, self.design = layout.model, layout.design
        self.block, self.width = self.model.block, self.model.input.format.width
        self.word = self.block * self.width
        self.words, self.splits, self.pipeline = (
            self.design.words,
            self.design.splits,
            schedule.timing.pipeline,
        )
        self.vector = VectorUnit(schedule)
        self.player = Player(schedule.array, "array")
        self.spectrum_bits = address_bits(layout.spectrum_words)
        self.slot_bits = address_bits(layout.spectrum_words * layout.turns)
        self.row_bits = address_bits(layout.gates_total * self.block)
        self.lane_bits = self.block.bit_length() - 1
        axi = stream_signature(self.model, self.design)
        ports = {f"s_axis_{name}": member for name, member in axi.flip().members.items()}
        ports |= {f"m_axis_{name}": member for name, member in axi.members.items()}
        ports["error"] = Out(1)
        if self.design.parity:
            ports["weight_fault"] = Out(1)
        if probes:
            ports |= {"event_round": Out(1), "event_error": Out(1)}
            for name, bits in self.probe_addresses.items():
                data = self.vector.lanes * self.width if name == "vector" else self.word
                for one in probe_names(name, self.words):
                    ports |= {
                        f"probe_{one}_en": Out(1),
                        f"probe_{one}_addr": Out(bits),
                        f"probe_{one}_data": Out(data),
                    }
        super().__init__(ports)

    @property
    def probe_addresses(self) -> dict[str, int]:
        """Address bits of each probe: spectrum {phase, slot}; product {dense, first number}; vector
        {row, index}.
        """
        return {
            "spectrum": self.slot_bits + 1,
            "product": self.row_bits + 1,
            "vector": len(self.vector.player.pc) + len(self.vector.player.index),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.vector, m.submodules.player = self.vector, self.player
        m.submodules.input = self.input = FrameInput(self.model, self.design)
        rounds = self.schedule.rounds_under_way
        m.submodules.output = self.output = FrameOutput(self.model, self.design, rounds)
        for name, member in stream_signature(self.model, self.design).members.items():
            ours, taken = getattr(self, f"s_axis_{name}"), getattr(self.input.axi, name)
            given, theirs = getattr(self.output.axi, name), getattr(self, f"m_axis_{name}")
            forward = member.flow == Out
            m.d.comb += (
                [taken.eq(ours), theirs.eq(given)]
                if forward
                else [ours.eq(taken), given.eq(theirs)]
            )
        m.d.comb += self.error.eq(self.input.error)
        self._rounds(m)
        self._spectra(m)
        self._products(m)
        self._outputs(m)
        return m

    # --- rounds

    def _rounds(self, m: Module) -> None:
        """When a round starts, and what each unit knows of it."""
        streams = self.design.streams
        start, self.arrived, room = Signal(), Signal(streams), Signal()
        waiting = [Signal(2, name=f"waiting{s}") for s in range(streams)]
        phase = Signal(streams)
        ready = Signal(streams)
        timer = Signal(range(-1, self.schedule.interval), init=-1)  # counts down to -1
        m.d.comb += ready.eq(Cat(count != 0 for count in waiting))
        contexts = self._contexts(m, start, (ready, phase, self._firsts(phase)), "array")
        unfinished = [valid for valid, _, _ in contexts[:-1]]
        due = Cat(ready, *unfinished).any() if unfinished else ready.any()
        m.d.sync += [room.eq(self.output.room), start.eq(~start & (timer < 0) & due & room)]
        with m.If(start | (timer >= 0)):
            m.d.sync += timer.eq(Mux(start, self.schedule.interval - 3, timer - 1))
        taken = Signal(streams)
        m.d.comb += taken.eq(Mux(start, ready, 0))
        for stream, count in enumerate(waiting):
            m.d.sync += count.eq(count + self.arrived[stream] - taken[stream])
        m.d.sync += phase.eq(phase ^ taken)
        far = self.pipeline.far
        started = delayed_flag(m, start, far, "started")
        self.array_rounds = self._as_played(m, contexts, "array", BEHIND + far)
        begun = sum((taken[s] for s in range(streams)), Const(0))
        m.d.comb += [
            self.player.start.eq(started),
            self.output.begun.eq(delayed_flag(m, begun, far, "begun")),
        ]
        token = self._after(m, started, self.schedule.vector_start)
        pending = contexts[0]
        if self.schedule.vector_start + far == 0:
            pending = (ready, phase, self._firsts(phase))
        self.vector_rounds = self._as_played(
            m, self._contexts(m, token, pending, "vector"), "vector", BEHIND
        )
        m.d.comb += [
            self.vector.start.eq(token),
            self.vector.valid.eq(Cat(valid for valid, _, _ in self.vector_rounds)),
            self.vector.first.eq(Cat(first for _, _, first in self.vector_rounds)),
        ]
        if self.probes:
            m.d.comb += [self.event_round.eq(start), self.event_error.eq(self.error)]

    def _firsts(self, phase: Value) -> Value:
        """Whether the frame that each stream would begin is the first of a sequence."""
        first = self.input.first
        return Cat(
            Mux(phase[s], first[2 * s + 1], first[2 * s]) for s in range(self.design.streams)
        )

    def _as_played(self, m: Module, contexts: Contexts, name: str, behind: int) -> Contexts:
        """The contexts of what a player's outputs show, so many cycles after they are set."""
        played = []
        for late, context in enumerate(contexts):
            names = [f"{name}_round{i}{_late(late)}" for i in range(len(context))]
            valid, phase, first = (
                delayed(m, held, behind, one) for held, one in zip(context, names, strict=True)
            )
            played.append((valid, phase, first))
        return played

    def _contexts(self, m: Module, when: Value, new: Context, name: str) -> Contexts:
        """Which streams take part, which copy each uses, which begin a sequence: held from `when`
        on, then handed on to the rounds in which these frames are late."""
        contexts: Contexts = []
        for late in range(self.schedule.rounds_late + 1):
            names = [f"{name}_{what}{_late(late)}" for what in ("valid", "phase", "first")]
            held = tuple(Signal(self.design.streams, name=one) for one in names)
            with m.If(when):
                m.d.sync += [signal.eq(value) for signal, value in zip(held, new, strict=True)]
            new = (held[0], held[1], held[2])
            contexts.append(new)
        return contexts

    def _after(self, m: Module, pulse: Value, cycles: int) -> Value:
        """The pulse so many cycles later; pulses are further apart than that."""
        if cycles < 2:
            return delayed_flag(m, pulse, cycles, "token")
        left = Signal(range(-1, cycles), init=-1)  # counts down to -1
        with m.If(pulse | (left >= 0)):
            m.d.sync += left.eq(Mux(pulse, cycles - 2, left - 1))
        return delayed_flag(m, left == 0, 1, "token")

    def _of_turn(self, contexts: Contexts, which: int, turn: Value) -> Value:
        """One flag of the contexts, for a frame told by `turn_of`."""
        flags = (
            Cat(context[which] for context in contexts) if len(contexts) > 1 else contexts[0][which]
        )
        return flags.bit_select(turn, 1) if self.design.streams > 1 else flags

    # --- the forward transform and the spectra it fills

    def _spectra(self, m: Module) -> None:
        vector, source, layout, shifts = (
            self.vector,
            self.input,
            self.schedule.layout,
            self.schedule.shifts,
        )
        m.d.comb += source.grant.eq(~delayed_flag(m, vector.sends, self.pipeline.far, "sends"))
        send, index, input = vector.send, source.stream, self.model.input
        bases = Choice(
            Const(layout.spectrum(input.name, s) * layout.turns) for s in range(self.design.streams)
        )
        shift = shifts.spectrum.index(shifts.spectrum_shift(input.name))
        tags = {
            "write": send | source.go,
            "arrived": source.go & source.frame,
            "phase": Mux(send, self._of_sent(m, 1, "vector_phase"), source.phase),
            "shift": Mux(send, vector.spectrum_shift, shift),
            "stream": Mux(send, vector.stream, source.stream),
        }
        depth = self.schedule.timing.forward - self.pipeline.store
        by = delayed(m, tags["shift"], depth - self.pipeline.rounding, "spectrum_shift")
        write = delayed_flag(m, tags["write"], depth, "spectrum_write")
        arrived = delayed_flag(m, tags["arrived"], self.schedule.timing.forward, "arrived")
        stream = delayed(m, tags["stream"], self.schedule.timing.forward, "spectrum_stream")
        m.d.comb += self.arrived.eq(Mux(arrived, 1 << stream, 0))
        slots = {}
        for further in sorted({self._place_of_input(column)[1] for column in range(self.words)}):
            slot = Mux(send, vector.spectrum, bases[index] + source.index + further)
            tag = Cat(_sized(slot, self.slot_bits), tags["phase"])
            slots[further] = delayed(m, tag, depth, f"spectrum_address{further or ''}")
        columns = []
        for column in range(self.words):
            given, further = self._place_of_input(column)
            word = Mux(
                send, _part(vector.result, column, self.word), _part(source.word, given, self.word)
            )
            name = str(column) if self.words > 1 else ""
            entered = delayed(
                m,
                register(m, word, f"forward_word{name}"),
                self.pipeline.far,
                f"forward_word{name}",
            )
            lanes = lanes_of(entered, self.width, self.block)
            label = f"forward{name and name + '_'}"
            moved = transform_pipe(
                m, lanes, 1 << (self.width - 1), self.model.forward, label, self.pipeline
            )
            spectrum = self._rounded(m, moved, by, shifts.spectrum, self.width, f"spectrum{name}")
            columns.append((Cat(*spectrum), slots[further]))
        self.spectrum_reads = self._spectrum_banks(m, write, columns)
        for (word, tag), name in zip(columns, probe_names("spectrum", self.words), strict=True):
            self._probe(m, name, write, tag, word)

    def _of_sent(self, m: Module, which: int, name: str) -> Value:
        """A flag of the frame whose results the vector unit now sends: held while its last words
        are under way.
        """
        later = [
            delayed(m, context[which], self.pipeline.vector, f"{name}{_late(i)}")
            for i, context in enumerate(self.vector_rounds)
        ]
        flags = Cat(later) if len(later) > 1 else later[0]
        return flags.bit_select(self.vector.turn, 1) if self.design.streams > 1 else flags

    def _place_of_input(self, column: int) -> tuple[int, int]:
        """Which word of an input line a forward transform takes, and how many lines further on it
        is put.
        """
        shift = self.schedule.layout.shift(self.model.input.name)
        given = (column - shift) % self.words
        return given, (given + shift) // self.words

    def _spectrum_banks(
        self, m: Module, write: Value, columns: list[tuple[Value, Value]]
    ) -> list[memory.ReadPort]:
        """Bank b takes what transform b mod `words` makes of the lines whose turn it is."""
        reads = []
        for bank in range(self.splits):
            word, tag = columns[bank % self.words]
            slot, phase = tag[: self.slot_bits], tag[self.slot_bits]
            row, turn = divided(
                m, slot, self.schedule.layout.turns, 1 << self.slot_bits, f"bank{bank}"
            )
            spectra = memory.Memory(shape=self.word, depth=2 << self.spectrum_bits, init=[])
            m.submodules[f"spectra{bank or ''}"] = spectra
            port = spectra.write_port()
            mine = write & (turn == bank // self.words) if self.schedule.layout.turns > 1 else write
            address = Cat(_sized(row, self.spectrum_bits), phase)
            m.d.comb += [
                port.addr.eq(delayed(m, address, self.pipeline.store, f"bank{bank}_address")),
                port.data.eq(delayed(m, word, self.pipeline.store, f"bank{bank}_word")),
                port.en.eq(delayed_flag(m, mine, self.pipeline.store, f"bank{bank}_write")),
            ]
            reads.append(spectra.read_port())
        return reads

    def _rounded(
        self,
        m: Module,
        lanes: list[Value],
        by: Value,
        choices: tuple[int, ...],
        width: int,
        name: str,
    ) -> list[Value]:
        """Round by one of the constant shifts, then saturate: `Pipeline.rounding` cycles. Lanes of
        `width` bits.
        """
        shift, fit = self.pipeline.shift, self.pipeline.fit
        exact = [
            rounded(m, lane, by, choices, f"{name}_round{i}", shift) for i, lane in enumerate(lanes)
        ]
        return [
            saturated(m, lane, (width,), Const(0), f"{name}_lane{i}", fit)
            for i, lane in enumerate(exact)
        ]

    # --- products: the array, the inverse transform, the gates memory

    def _products(self, m: Module) -> None:
        row, player = self.player.row, self.player
        turn = turn_of(row, self.design.streams)
        valid, first = (
            self._of_turn(self.array_rounds, 0, turn),
            self._of_turn(self.array_rounds, 2, turn),
        )
        phase = self._of_turn(self.array_rounds, 1, turn)
        clear = delayed(m, row["clear"] & (player.index == 0), self.pipeline.operand, "clear")
        store = player.active & row["drain"] & player.final
        stored = delayed_flag(m, store, self.pipeline.operand, "store")
        buses: list[list[data.View]] = [[] for _ in range(self.words)]
        for group, chains in enumerate(self._arrays(m)):
            name = str(group or "")
            previous, read = row[f"previous{name}"], self.spectrum_reads[group]
            address = _sized(row[f"spectrum{name}"] + player.index, self.spectrum_bits)
            apart = self.pipeline.array
            far = self.pipeline.far
            asked = delayed(
                m, Cat(address, phase ^ previous), 1 + apart + far, f"spectrum_asked{name}"
            )
            m.d.comb += read.addr.eq(asked)
            blank = delayed(
                m, (previous & first) | ~player.active, 3 + 2 * apart + far, f"blank{name}"
            )
            kept = delayed(m, read.data, 1 + apart, f"spectrum_read{name}")
            word = register(m, Mux(blank, 0, kept), f"operand_word{name}")
            for column, array in enumerate(chains):
                place = row["weights"] + player.index
                m.d.sync += array.address.eq(delayed(m, place, far, f"place{name}_{column}"))
                m.d.comb += [array.word.eq(word), array.clear.eq(clear), array.store.eq(stored)]
                buses[column].append(array.bus)
        ended = player.active & player.final & row["end"]
        released = Mux(ended, self.array_rounds[0][0], 0)
        m.d.comb += self.input.release.eq(delayed_flag(m, released, self.pipeline.far, "released"))
        pushed = store if "tag" not in row else player.active & row["tag"] & player.final
        tags = self._leaving(m, store, pushed, valid)
        results = []
        for column, parts in enumerate(buses):
            name = str(column) if self.words > 1 else ""
            sums = [
                added_in_pairs(m, [part[index] for part in parts], f"group{name}_{index}")
                for index in range(multipliers_per_pe(self.block))
            ]
            results.append(self._product(m, combine(sums, self.block), tags, name))
        self._gates(m, results, tags)

    def _arrays(self, m: Module) -> list[list[Array]]:
        """Rows of elements by group and bus: row i of a pass is on bus i mod `words`."""
        layout = self.schedule.layout
        bits, accumulator = self.model.weight_bits, layout.accumulator_bits
        passes = [one for stage in layout.passes for one in stage]
        arrays = []
        for group in range(self.splits):
            banks = [
                pack(list(element_words(passes, group, pe)), bits) for pe in range(self.design.pes)
            ]
            chains = []
            for column in range(self.words):
                rows = banks[column :: self.words]
                sizes = self.block, self.width, bits, accumulator
                array = Array(rows, *sizes, self.pipeline, self.design.tail, self.design.parity)
                m.submodules["array" if self.design.splits == 1 else f"array{group}_{column}"] = (
                    array
                )
                chains.append(array)
            arrays.append(chains)
        if self.design.parity:
            m.d.sync += self.weight_fault.eq(
                self.weight_fault | Cat(one.fault for row in arrays for one in row).any()
            )
        return arrays

    def _leaving(self, m: Module, store: Value, pushed: Value, valid: Value) -> dict[str, Value]:
        """Tags of the rows as they leave the array, first row `timing.exit` cycles after `store`.

        Every part of a pass has tags of its own, `pushed` in order up to `store`; `more` says that
        another follows.
        """
        row = self.player.row
        names = (
            "row",
            "rows",
            "dense",
            "rows_shift",
            "rows_width",
            "output_shift",
            *(["more"] if "more" in row else []),
        )
        fields = {name: row[name] for name in names}
        fields["valid"] = valid
        parts = max(len(one.parts) for stage in self.schedule.layout.passes for one in stage)
        passes = (
            self.schedule.timing.exit // self._least_distance() + 2
        ) * parts  # tags under way at once
        bits = (passes - 1).bit_length()
        slots = {
            name: Choice(
                Signal(max(1, len(value)), name=f"pass{i}_{name}") for i in range(1 << bits)
            )
            for name, value in fields.items()
        }
        write, read = Signal(bits), Signal(bits)
        with m.If(pushed):
            m.d.sync += [
                write.eq(write + 1),
                *(slots[name][write].eq(value) for name, value in fields.items()),
            ]
        token = delayed_flag(m, store, self.schedule.timing.exit - 1, "leaving")
        tags = {
            name: Signal(max(1, len(value)), name=f"leaving_{name}")
            for name, value in fields.items()
        }
        tags["row"] = Signal(self.row_bits, name="leaving_row")
        left = Signal(max(1, len(row["rows"])))
        busy = Signal()
        with m.If(token | (tags["more"] & busy & (left == 0)) if "more" in tags else token):
            m.d.sync += [tags[name].eq(slots[name][read]) for name in tags]
            m.d.sync += [read.eq(read + 1), left.eq(slots["rows"][read] - 1), busy.eq(1)]
        with m.Elif(left != 0):
            step = Mux(tags["dense"], 1, self.block)
            m.d.sync += [tags["row"].eq(tags["row"] + step), left.eq(left - 1)]
        with m.Else():
            m.d.sync += busy.eq(0)
        return tags | {"write": busy & tags["valid"]}

    def _least_distance(self) -> int:
        """Fewest cycles between two passes' last columns: results leave one a cycle, and no pass is
        shorter.
        """
        shortest = min(one.length for stage in self.schedule.layout.passes for one in stage)
        return max(self.design.pes // self.words, shortest)

    def _product(
        self, m: Module, lanes: list[Value], tags: dict[str, Value], name: str
    ) -> list[Value]:
        """Sums of one row to its results, on one of the buses."""
        shifts, inverse, pipeline = (
            self.schedule.shifts,
            self.schedule.timing.inverse,
            self.pipeline,
        )
        combined = [register(m, lane, f"combined{name}_{i}") for i, lane in enumerate(lanes)]
        by = delayed(m, tags["rows_shift"], COMBINE, f"rows_shift{name}")
        exact = [
            rounded(m, lane, by, shifts.rows, f"rows{name}_round{i}", pipeline.shift)
            for i, lane in enumerate(combined)
        ]
        limit = delayed(m, tags["rows_width"], COMBINE + pipeline.shift + 1, f"rows_width{name}")
        rows: list[Value] = [
            saturated(m, lane, shifts.widths, limit, f"rows{name}_lane{i}", pipeline.fit)
            for i, lane in enumerate(exact)
        ]
        largest = 1 << (shifts.widths[-1] - 1)
        moved = transform_pipe(
            m, rows, largest, self.model.inverse, f"inverse{name and name + '_'}", pipeline
        )
        by = delayed(m, tags["output_shift"], pipeline.exit + inverse, f"output_shift{name}")
        return self._rounded(m, moved, by, shifts.output, self.width, f"gates{name}")

    def _gates(self, m: Module, results: list[list[Value]], tags: dict[str, Value]) -> None:
        """A word for a block row, one lane of it for a dense row, of each bus in a bank of its
        own.
        """
        delay = self.pipeline.exit + self.schedule.timing.inverse + self.pipeline.rounding
        write = delayed_flag(m, tags["write"], delay, "gates_write")
        row, dense = (delayed(m, tags[name], delay, f"gates_{name}") for name in ("row", "dense"))
        granular = any(r["dense"] for r in self.schedule.array.rows) and self.block > 1
        lane = Mux(dense, 1 << row[: self.lane_bits], -1) if self.lane_bits else Const(1)
        words = []
        for column, name in enumerate(probe_names("product", self.words)):
            word = Cat(Mux(dense, results[column][0], value) for value in results[column])
            gates = memory.Memory(shape=self.word, depth=self.schedule.layout.gates_total, init=[])
            m.submodules[f"gates{column or ''}"] = gates
            port, read = (
                gates.write_port(granularity=self.width if granular else None),
                gates.read_port(),
            )
            enables, store = (
                Mux(write, lane if len(port.en) > 1 else 1, 0)[: len(port.en)],
                self.pipeline.store,
            )
            m.d.comb += [
                port.addr.eq(
                    delayed(m, row[self.lane_bits :], store, f"gates{column or ''}_address")
                ),
                port.data.eq(delayed(m, word, store, f"gates{column or ''}_word")),
                port.en.eq(delayed_flag(m, enables, store, f"gates{column or ''}_enables")),
                read.addr.eq(self.vector.gate_address),
            ]
            words.append(read.data)
            self._probe(m, name, write, Cat(_sized(row, self.row_bits), dense), word)
        m.d.comb += self.vector.gate_word.eq(Cat(*words))

    # --- results

    def _outputs(self, m: Module) -> None:
        vector, output = self.vector, self.output
        m.d.comb += [
            output.word.eq(vector.result),
            output.write.eq(vector.output),
            output.final.eq(vector.final),
            output.stream.eq(vector.stream),
            output.first.eq(self._of_sent(m, 2, "vector_first")),
        ]
        for column, name in enumerate(probe_names("vector", self.words)):
            self._probe(
                m,
                name,
                vector.done,
                vector.label,
                _part(vector.beat, column, vector.lanes * self.width),
            )

    def _probe(self, m: Module, name: str, enable: Value, address: Value, word: Value) -> None:
        if self.probes:
            for what, value in (("en", enable), ("addr", address), ("data", word)):
                m.d.comb += getattr(self, f"probe_{name}_{what}").eq(value)


def _sized(value: Value, width: int) -> Value:
    """Exactly `width` bits."""
    return value[:width] if len(value) >= width else Cat(value, Const(0, width - len(value)))


def _part(value: Value, number: int, width: int) -> Value:
    """The `number`-th of several parts of `width` bits."""
    return value[number * width : (number + 1) * width]


def _late(rounds: int) -> str:
    """What a name says of how late something is."""
    return f"_late{rounds}" if rounds else ""
