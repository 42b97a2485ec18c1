"""The engine: one statically scheduled accelerator for one network (DESIGN.md, "The hardware engine").

A round begins when at least one stream has a whole frame, there is room for its results, and `Schedule.interval` cycles
have passed since the last.  Both tapes then play: the array's multiplies, the vector unit's does the rest.  Nothing
stalls inside a round.  Streams without a frame keep their state.
"""

from math import ceil

from amaranth import Array as Choice
from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import Out

from ernn.banks import bank_words, pack
from ernn.integer_model import Product, SpectralMatrix
from ernn.layout import address_bits
from ernn.rtl.arith import chosen, delayed, delayed_flag, lanes_of, register, round_shift, saturate
from ernn.rtl.array import Array, combine
from ernn.rtl.player import BEHIND, Player
from ernn.rtl.stream import FrameInput, FrameOutput, stream_signature
from ernn.rtl.transform import transform_pipe
from ernn.rtl.vector import WRITE, VectorUnit
from ernn.schedule import Schedule
from ernn.timing import EXIT, OPERAND, ROUND

Context = tuple[Value, Value, Value]  # streams that take part, the copy each uses, those that begin a sequence


class Engine(wiring.Component):
    """Ports: AXI4-Stream `s_axis_*` and `m_axis_*`, `error` (sticky: a frame of the wrong length or an unknown stream).

    With `probes`, every intermediate result comes out too: `probe_spectrum`, `probe_product`, `probe_vector`, each with
    `_en`, `_addr`, `_data`; `event_round` at every round's start; `event_error` as long as `error` is high.
    """

    def __init__(self, schedule: Schedule, probes: bool = False) -> None:
        layout = schedule.layout
        self.schedule, self.probes = schedule, probes
        self.model, self.design = layout.model, layout.design
        self.block, self.width = self.model.block, self.model.input.format.width
        self.word = self.block * self.width
        self.vector = VectorUnit(schedule)
        self.player = Player(schedule.array, "array")
        self.spectrum_bits = address_bits(layout.spectrum_words)
        self.row_bits = address_bits(layout.gates_total * self.block)
        self.lane_bits = self.block.bit_length() - 1
        axi = stream_signature(self.model, self.design)
        ports = {f"s_axis_{name}": member for name, member in axi.flip().members.items()}
        ports |= {f"m_axis_{name}": member for name, member in axi.members.items()}
        ports["error"] = Out(1)
        if probes:
            ports |= {"event_round": Out(1), "event_error": Out(1)}
            for name, bits in self.probe_addresses.items():
                ports |= {f"probe_{name}_en": Out(1), f"probe_{name}_addr": Out(bits)}
                ports[f"probe_{name}_data"] = Out(self.vector.lanes * self.width if name == "vector" else self.word)
        super().__init__(ports)

    @property
    def probe_addresses(self) -> dict[str, int]:
        """Address bits of each probe: spectrum {phase, word}; product {dense, first number}; vector {row, index}."""
        return {
            "spectrum": self.spectrum_bits + 1,
            "product": self.row_bits + 1,
            "vector": len(self.vector.player.pc) + len(self.vector.player.index),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.vector, m.submodules.player = self.vector, self.player
        m.submodules.input = self.input = FrameInput(self.model, self.design)
        rounds = ceil(self.schedule.length / self.schedule.interval) + 2
        m.submodules.output = self.output = FrameOutput(self.model, self.design, rounds)
        for name, member in stream_signature(self.model, self.design).members.items():
            ours, taken = getattr(self, f"s_axis_{name}"), getattr(self.input.axi, name)
            given, theirs = getattr(self.output.axi, name), getattr(self, f"m_axis_{name}")
            forward = member.flow == Out
            m.d.comb += [taken.eq(ours), theirs.eq(given)] if forward else [ours.eq(taken), given.eq(theirs)]
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
        start, self.arrived = Signal(), Signal(streams)
        waiting = [Signal(2, name=f"waiting{s}") for s in range(streams)]
        phase = Signal(streams)
        ready = Signal(streams)
        timer = Signal(range(self.schedule.interval + 1))
        m.d.comb += ready.eq(Cat(count != 0 for count in waiting))
        m.d.sync += start.eq(~start & (timer <= 1) & ready.any() & self.output.room)
        m.d.sync += timer.eq(Mux(start, self.schedule.interval - 1, Mux(timer == 0, 0, timer - 1)))
        taken = Signal(streams)
        m.d.comb += taken.eq(Mux(start, ready, 0))
        for stream, count in enumerate(waiting):
            m.d.sync += count.eq(count + self.arrived[stream] - taken[stream])
        m.d.sync += phase.eq(phase ^ taken)
        first = Cat(Mux(phase[s], self.input.first[2 * s + 1], self.input.first[2 * s]) for s in range(streams))
        array_round = self._context(m, start, ready, phase, first, "array")
        self.array_round = self._as_played(m, array_round, "array")
        begun = sum((taken[s] for s in range(streams)), Const(0))
        m.d.comb += [self.player.start.eq(start), self.output.begun.eq(begun)]
        token = self._after(m, start, self.schedule.vector_start)
        pending = array_round
        if self.schedule.vector_start == 0:
            pending = (ready, phase, first)
        self.vector_round = self._as_played(m, self._context(m, token, *pending, "vector"), "vector")
        m.d.comb += [
            self.vector.start.eq(token),
            self.vector.valid.eq(self.vector_round[0]),
            self.vector.first.eq(self.vector_round[2]),
        ]
        if self.probes:
            m.d.comb += [self.event_round.eq(start), self.event_error.eq(self.error)]

    def _as_played(self, m: Module, context: Context, name: str) -> Context:
        """The context of what a player's outputs show, which come `BEHIND` cycles after its row counter."""
        valid, phase, first = (delayed(m, held, BEHIND, f"{name}_round{i}") for i, held in enumerate(context))
        return valid, phase, first

    def _context(self, m: Module, when: Value, valid: Value, phase: Value, first: Value, name: str) -> Context:
        """Which streams take part, which copy each uses, which begin a sequence: held from `when` on."""
        held = tuple(Signal(self.design.streams, name=f"{name}_{what}") for what in ("valid", "phase", "first"))
        with m.If(when):
            m.d.sync += [signal.eq(value) for signal, value in zip(held, (valid, phase, first), strict=True)]
        return held[0], held[1], held[2]

    def _after(self, m: Module, pulse: Value, cycles: int) -> Value:
        """The pulse so many cycles later; pulses are further apart than that."""
        if not cycles:
            return pulse
        left = Signal(range(cycles + 1))
        with m.If(pulse):
            m.d.sync += left.eq(cycles)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        return left == 1

    def _of_stream(self, flags: Value, stream: Value) -> Value:
        return flags.bit_select(stream, 1) if self.design.streams > 1 else flags

    # --- the forward transform and the spectra it fills

    def _spectra(self, m: Module) -> None:
        vector, source, layout = self.vector, self.input, self.schedule.layout
        m.d.comb += source.grant.eq(~vector.send)
        send, index = vector.send, source.stream
        words = layout.words(self.model.input.length)
        bases = Choice(Const(layout.spectrum(self.model.input.name, s)) for s in range(self.design.streams))
        shift = self.schedule.shifts.spectrum.index(self.schedule.shifts.spectrum_shift(self.model.input.name))
        tags = {
            "write": send | source.go,
            "arrived": source.go & source.frame,
            "address": Mux(send, vector.spectrum, bases[index] + source.index),
            "phase": Mux(send, self._of_stream(self._vector_phase(m), vector.stream), source.phase),
            "shift": Mux(send, vector.spectrum_shift, shift),
            "stream": Mux(send, vector.stream, source.stream),
        }
        assert words == source.words
        lanes = lanes_of(Mux(send, vector.result, source.word), self.width, self.block)
        depth = self.schedule.timing.forward
        moved = transform_pipe(m, lanes, 1 << (self.width - 1), self.model.forward, "forward")
        by = delayed(m, tags["shift"], depth - ROUND, "spectrum_shift")
        word = Cat(*self._rounded(m, moved, by, self.schedule.shifts.spectrum, self.width, "spectrum"))
        write = delayed_flag(m, tags["write"], depth, "spectrum_write")
        arrived = delayed_flag(m, tags["arrived"], depth, "arrived")
        address = delayed(m, Cat(_sized(tags["address"], self.spectrum_bits), tags["phase"]), depth, "spectrum_address")
        stream = delayed(m, tags["stream"], depth, "spectrum_stream")
        m.d.comb += self.arrived.eq(Mux(arrived, 1 << stream, 0))
        spectra = memory.Memory(shape=self.word, depth=2 << self.spectrum_bits, init=[])
        m.submodules.spectra = spectra
        port, self.spectrum_read = spectra.write_port(), spectra.read_port()
        m.d.comb += [port.addr.eq(address), port.data.eq(word), port.en.eq(write)]
        self._probe(m, "spectrum", write, address, word)

    def _vector_phase(self, m: Module) -> Value:
        """Phase of the round whose results the vector unit now sends: held while its last words are under way."""
        return delayed(m, self.vector_round[1], WRITE, "vector_phase")

    def _rounded(
        self, m: Module, lanes: list[Value], by: Value, choices: tuple[int, ...], width: int, name: str
    ) -> list[Value]:
        """Round by one of the constant shifts, then saturate: two cycles. Lanes of exactly `width` bits."""
        moved = self._shifted(m, lanes, by, choices, name)
        later = [register(m, saturate(lane, width), f"{name}_lane{i}") for i, lane in enumerate(moved)]
        return [_sized(lane, width) for lane in later]

    def _shifted(self, m: Module, lanes: list[Value], by: Value, choices: tuple[int, ...], name: str) -> list[Signal]:
        return [
            register(m, chosen(m, by, choices, lambda s, x=lane: round_shift(x, s), f"{name}_by"), f"{name}_round{i}")
            for i, lane in enumerate(lanes)
        ]

    # --- products: the array, the inverse transform, the gates memory

    def _products(self, m: Module) -> None:
        layout, row, player = self.schedule.layout, self.player.row, self.player
        bits = max(matrix.format.width for product in layout.products for matrix in _matrices(product))
        banks = [
            pack(list(bank_words(layout.products, self.block, self.design.pes, pe)), bits)
            for pe in range(self.design.pes)
        ]
        columns = max(product.block_columns for product in layout.products)
        accumulator = self.width + bits + columns.bit_length() + 1
        m.submodules.array = array = Array(banks, self.block, self.width, bits, accumulator)
        valid, phase, first = self.array_round
        previous = row["previous"]
        m.d.sync += [
            self.spectrum_read.addr.eq(
                Cat(
                    _sized(row["spectrum"] + player.index, self.spectrum_bits),
                    self._of_stream(phase, row["stream"]) ^ previous,
                )
            ),
            array.address.eq(row["weights"] + player.index),
        ]
        blank = delayed(m, (previous & self._of_stream(first, row["stream"])) | ~player.active, 2, "blank")
        m.d.comb += [
            array.word.eq(register(m, Mux(blank, 0, self.spectrum_read.data), "operand_word")),
            array.clear.eq(delayed(m, row["clear"] & (player.index == 0), OPERAND, "clear")),
        ]
        store = player.active & row["drain"] & player.final
        m.d.comb += array.store.eq(delayed_flag(m, store, OPERAND, "store"))
        ended = player.active & player.final & row["end"]
        m.d.comb += self.input.release.eq(Mux(ended, valid, 0))
        tags = self._leaving(m, store, self._of_stream(valid, row["stream"]))
        self._gates(m, combine(array.bus, self.block), tags)

    def _leaving(self, m: Module, store: Value, valid: Value) -> dict[str, Value]:
        """Tags of the rows as they leave the array, first row `timing.exit` cycles after `store`."""
        row = self.player.row
        fields = {name: row[name] for name in ("row", "rows", "dense", "rows_shift", "rows_width", "output_shift")}
        fields["valid"] = valid
        passes = self.schedule.timing.exit // self._least_distance() + 2  # under way at once
        bits = (passes - 1).bit_length()
        slots = {
            name: Choice(Signal(max(1, len(value)), name=f"pass{i}_{name}") for i in range(1 << bits))
            for name, value in fields.items()
        }
        write, read = Signal(bits), Signal(bits)
        with m.If(store):
            m.d.sync += [write.eq(write + 1), *(slots[name][write].eq(value) for name, value in fields.items())]
        token = delayed_flag(m, store, self.schedule.timing.exit - 1, "leaving")
        tags = {name: Signal(max(1, len(value)), name=f"leaving_{name}") for name, value in fields.items()}
        tags["row"] = Signal(self.row_bits, name="leaving_row")
        left = Signal(max(1, len(row["rows"])))
        busy = Signal()
        with m.If(token):
            m.d.sync += [tags[name].eq(slots[name][read]) for name in tags]
            m.d.sync += [read.eq(read + 1), left.eq(slots["rows"][read] - 1), busy.eq(1)]
        with m.Elif(left != 0):
            step = Mux(tags["dense"], 1, self.block)
            m.d.sync += [tags["row"].eq(tags["row"] + step), left.eq(left - 1)]
        with m.Else():
            m.d.sync += busy.eq(0)
        return tags | {"write": busy & tags["valid"]}

    def _least_distance(self) -> int:
        """Fewest cycles between two passes' last columns: results leave one a cycle, and no pass is shorter."""
        return max(self.design.pes, min(product.block_columns for product in self.schedule.layout.products))

    def _gates(self, m: Module, lanes: list[Value], tags: dict[str, Value]) -> None:
        shifts, inverse = self.schedule.shifts, self.schedule.timing.inverse
        combined = [register(m, lane, f"combined{i}") for i, lane in enumerate(lanes)]
        shifted = self._shifted(m, combined, delayed(m, tags["rows_shift"], 1, "rows_shift"), shifts.rows, "rows")
        limit = delayed(m, tags["rows_width"], 2, "rows_width")
        rows = [
            register(m, chosen(m, limit, shifts.widths, lambda w, x=lane: saturate(x, w), "limited"), f"rows_lane{i}")
            for i, lane in enumerate(shifted)
        ]
        moved = transform_pipe(m, list(rows), 1 << (shifts.widths[-1] - 1), self.model.inverse, "inverse")
        by = delayed(m, tags["output_shift"], EXIT + inverse, "output_shift")
        results = self._rounded(m, moved, by, shifts.output, self.width, "gates")
        delay = EXIT + inverse + ROUND
        write = delayed_flag(m, tags["write"], delay, "gates_write")
        row, dense = (delayed(m, tags[name], delay, f"gates_{name}") for name in ("row", "dense"))
        self._gates_memory(m, results, write, row, dense)

    def _gates_memory(self, m: Module, results: list[Value], write: Value, row: Value, dense: Value) -> None:
        """A word for a block row; one lane of it for a dense row."""
        word = Cat(Mux(dense, results[0], lane) for lane in results)
        granular = any(r["dense"] for r in self.schedule.array.rows)
        gates = memory.Memory(shape=self.word, depth=self.schedule.layout.gates_total, init=[])
        m.submodules.gates = gates
        port = gates.write_port(granularity=self.width if granular and self.block > 1 else None)
        lane = Mux(dense, 1 << row[: self.lane_bits], -1) if self.lane_bits else Const(1)
        read = gates.read_port()
        m.d.comb += [
            port.addr.eq(row[self.lane_bits :]),
            port.data.eq(word),
            port.en.eq(Mux(write, lane if len(port.en) > 1 else 1, 0)),
            read.addr.eq(self.vector.gate_address),
            self.vector.gate_word.eq(read.data),
        ]
        self._probe(m, "product", write, Cat(_sized(row, self.row_bits), dense), word)

    # --- results

    def _outputs(self, m: Module) -> None:
        vector, output = self.vector, self.output
        first = delayed(m, self.vector_round[2], WRITE, "vector_first")
        m.d.comb += [
            output.word.eq(vector.result),
            output.write.eq(vector.output),
            output.final.eq(vector.final),
            output.stream.eq(vector.stream),
            output.first.eq(self._of_stream(first, vector.stream)),
        ]
        self._probe(m, "vector", vector.done, vector.label, vector.beat)

    def _probe(self, m: Module, name: str, enable: Value, address: Value, word: Value) -> None:
        if self.probes:
            for what, value in (("en", enable), ("addr", address), ("data", word)):
                m.d.comb += getattr(self, f"probe_{name}_{what}").eq(value)


def _matrices(product: Product) -> list[SpectralMatrix]:
    return [operand.matrix for operand in product.operands]


def _sized(value: Value, width: int) -> Value:
    """Exactly `width` bits."""
    return value[:width] if len(value) >= width else Cat(value, Const(0, width - len(value)))
