"""The forward transforms and the banks of spectra that they fill."""

from amaranth import Array as Choice
from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import memory

from ernn.rtl.arith import (
    delayed,
    delayed_flag,
    divided,
    fitted,
    lanes_of,
    register,
    sign_extended,
)
from ernn.rtl.player import Player
from ernn.rtl.rounding import rounded, rounded_lanes
from ernn.rtl.rounds import Rounds, of_turn, precedes
from ernn.rtl.shifter import Shifter
from ernn.rtl.sizes import Probe, Sizes, part, sized
from ernn.rtl.stream import FrameInput
from ernn.rtl.transform import transform_pipe
from ernn.rtl.vector import VectorUnit, turn_of
from ernn.scheduling.probes import probe_names
from ernn.scheduling.weight_banks import pack

Columns = list[tuple[Value, Value]]
"""Of each word of a line: its spectrum, and where it is written (slot, copy, ring)."""


class Spectra:
    """What `build` connects; then `operand` reads for the array."""

    reads: list[memory.ReadPort]

    def __init__(self, sizes: Sizes) -> None:
        self.sizes, self.map = sizes, sizes.schedule.layout.spectra
        self.pipeline = sizes.pipeline
        self.ring_bits = (len(self.map.rings) - 1).bit_length()

    # --- writing

    def build(
        self,
        m: Module,
        vector: VectorUnit,
        source: FrameInput,
        rounds: Rounds,
        arrived: Signal,
        probe: Probe,
    ) -> None:
        """Results of the vector unit first, then words of the input; `arrived`: a flag a stream,
        high when the last word of a frame of the input has been written.
        """
        sizes, far = self.sizes, self.pipeline.far
        granted = Signal(init=1)  # beside the input: results may leave at the other end
        m.d.sync += granted.eq(~delayed_flag(m, vector.sends, far, "sends"))
        m.d.comb += source.grant.eq(granted)
        forward = sizes.schedule.timing.forward
        whole = delayed_flag(m, source.go & source.frame, forward, "arrived")
        tid = Mux(vector.send, vector.stream, source.stream)
        stream = delayed(m, tid, forward, "spectrum_stream")
        m.d.comb += arrived.eq(Mux(whole, 1 << stream, 0))
        wanted = vector.send | (source.go if self._of_input else 0)
        write = delayed_flag(m, wanted, forward - self.pipeline.store, "spectrum_write")
        slots = self._slots(m, vector, source, rounds)
        words = self._transformed(m, vector, source)
        further = [self._place_of_input(column)[1] for column in range(sizes.words)]
        columns = [(word, slots[lines]) for word, lines in zip(words, further, strict=True)]
        self.reads = self._banks(m, write, columns)
        for (word, tag), name in zip(columns, probe_names("spectrum", sizes.words), strict=True):
            lanes = lanes_of(word, sizes.operand, sizes.block)
            shown = Cat(sign_extended(lane, sizes.width) for lane in lanes)
            probe(m, name, write, tag[: sizes.slot + sizes.copy], shown)

    def _transformed(self, m: Module, vector: VectorUnit, source: FrameInput) -> list[Value]:
        """The spectrum of each word of a line, rounded."""
        sizes, shifts, pipeline = self.sizes, self.sizes.schedule.shifts, self.pipeline
        timing = sizes.schedule.timing
        shift = Mux(vector.send, vector.spectrum_shift, self._input_shift)
        until = timing.forward - pipeline.store - timing.rounded
        by = delayed(m, shift, until, "spectrum_shift")
        width = Mux(vector.send, vector.spectrum_width, self._input_width)
        which = delayed(m, width, until, "spectrum_width")
        of_input = sizes.model.parts.get(sizes.model.input.name, 1)
        words = []
        for column, name in enumerate(probe_names("", sizes.words)):
            given, _ = self._place_of_input(column)
            result, word = (
                part(line, number, sizes.word)
                for line, number in ((vector.result, column), (source.word, given))
            )
            given = Mux(vector.send, self._sent(vector, result), self._by_turns(word, of_input))
            entered = delayed(m, given, pipeline.entry, f"forward_word{name}")
            lanes = lanes_of(entered, sizes.width, sizes.block)
            label, bound = f"forward{name and name + '_'}", 1 << (sizes.width - 1)
            moved = transform_pipe(m, lanes, bound, sizes.model.forward, label, pipeline)
            label, bits = f"spectrum{name}", sizes.operand
            if timing.passed.spectra is None:
                lanes = rounded_lanes(
                    m, moved, by, shifts.spectrum, which, shifts.spectra, bits, label, pipeline
                )
            elif timing.passed.spectra:
                exact = rounded(m, moved[0], Shifter(m, by, shifts.spectrum, 0, label), label)
                lanes = [fitted(exact, bits)]
            else:
                lanes = [fitted(moved[0] >> sizes.model.forward.guard, bits)]
            words.append(Cat(*lanes))
        return words

    def _sent(self, vector: VectorUnit, word: Value) -> Value:
        """A result in the order in which its blocks are transformed."""
        first, *others = (self._by_turns(word, parts) for parts in self.map.parts)
        chosen = first
        for number, value in enumerate(others, 1):
            chosen = Mux(vector.parts == number, value, chosen)
        return chosen

    def _by_turns(self, word: Value, parts: int) -> Value:
        """The first number of each of so many blocks, then the second of each."""
        lanes = [part(word, number, self.sizes.width) for number in range(self.sizes.block)]
        size = self.sizes.block // parts
        return Cat(lanes[at::size] for at in range(size)) if parts > 1 else word

    @property
    def _of_input(self) -> bool:
        """Whether a product reads the network's input."""
        return self.sizes.model.input.name in self.map.names

    @property
    def _input_shift(self) -> int:
        shifts = self.sizes.schedule.shifts
        if not self._of_input:
            return 0
        return shifts.spectrum.index(shifts.spectrum_shift(self.sizes.model.input.name))

    @property
    def _input_width(self) -> int:
        shifts, signal = self.sizes.schedule.shifts, self.sizes.model.input
        return shifts.spectra.index(shifts.spectrum_width(signal.name)) if self._of_input else 0

    def _slots(
        self, m: Module, vector: VectorUnit, source: FrameInput, rounds: Rounds
    ) -> dict[int, Value]:
        """Where a line is written (slot, copy, ring), by how many lines further on its words are
        put.
        """
        sizes, name, send = self.sizes, self.sizes.model.input.name, vector.send
        places = [
            self.map.place(name, s) * self.map.turns if self._of_input else 0
            for s in range(sizes.streams)
        ]
        bases = Choice(Const(place) for place in places)
        copy = Mux(send, of_sent(m, sizes, vector, rounds, "copy"), source.copy)
        ring = Mux(send, vector.ring, self.map.ring_of.get(name, 0))[: self.ring_bits]
        depth = sizes.schedule.timing.forward - self.pipeline.store
        slots: dict[int, Value] = {}
        for further in sorted({self._place_of_input(column)[1] for column in range(sizes.words)}):
            slot = Mux(send, vector.spectrum, bases[source.stream] + source.index + further)
            tag = Cat(sized(slot, sizes.slot), copy, ring)
            slots[further] = delayed(m, tag, depth, f"spectrum_address{further or ''}")
        return slots

    def _place_of_input(self, column: int) -> tuple[int, int]:
        """Which word of an input line a forward transform takes, and how many lines further on it
        is put.
        """
        shift = self.map.shift(self.sizes.model.input.name)
        given = (column - shift) % self.sizes.words
        return given, (given + shift) // self.sizes.words

    def _banks(self, m: Module, write: Value, columns: Columns) -> list[memory.ReadPort]:
        """Bank b takes what transform b mod `words` makes of the lines whose turn it is."""
        reads, sizes, store = [], self.sizes, self.pipeline.store
        for bank in range(sizes.design.splits):
            word, tag = columns[bank % sizes.words]
            slot, number = tag[: sizes.slot], tag[sizes.slot :]
            copy, ring = number[: sizes.copy], number[sizes.copy :]
            row, turn = divided(m, slot, self.map.turns, 1 << sizes.slot, f"bank{bank}")
            first = pack(self.map.contents(bank), sizes.operand)
            spectra = memory.Memory(shape=len(word), depth=self.map.depth, init=first)
            m.submodules[f"spectra{bank or ''}"] = spectra
            port = spectra.write_port()
            mine = write & (turn == bank // sizes.words) if self.map.turns > 1 else write
            address = self._address(row, copy, ring)
            m.d.comb += [
                port.addr.eq(delayed(m, address, store, f"bank{bank}_address")),
                port.data.eq(delayed(m, word, store, f"bank{bank}_word")),
                port.en.eq(delayed_flag(m, mine, store, f"bank{bank}_write")),
            ]
            reads.append(spectra.read_port())
        return reads

    def _address(self, place: Value, copy: Value, ring: Value) -> Value:
        """Where a frame's copy of a place is."""
        offsets = [
            copy[: one.copies.bit_length() - 1] << one.words.bit_length() - 1
            for one in self.map.rings
        ]
        return sized(place, self.sizes.place) | (
            Choice(offsets)[ring] if self.ring_bits else offsets[0]
        )

    # --- reading

    def operand(self, m: Module, group: int, player: Player, rounds: Rounds) -> Value:
        """A group's operands, `Pipeline.operand` cycles after issue but for sums and a register:
        zeros where it has no column, and of frames before a sequence what it begins with.
        """
        name, row = str(group or ""), player.row
        turn = turn_of(row, self.sizes.streams)
        copy = of_turn([one.copy for one in rounds], turn, self.sizes.streams)
        missing = of_turn([one.missing for one in rounds], turn, self.sizes.streams)
        delay, given = row[f"delay{name}"], row[f"given{name}"]
        before = precedes(delay, missing, self.sizes.remembered)
        begins = before & given
        place = row[f"spectrum{name}"] + player.index
        address = self._address(place, copy - delay, row[f"ring{name}"])
        address = Mux(begins, row[f"initial{name}"] + player.index, address)
        apart, far = self.pipeline.array, self.pipeline.far
        asked = delayed(m, address, 1 + apart + far, f"spectrum_asked{name}")
        read = self.reads[group]
        m.d.comb += read.addr.eq(asked)
        nothing = (before & ~given) | ~player.active
        blank = delayed(m, nothing, 3 + 2 * apart + far, f"blank{name}")
        kept = delayed(m, read.data, 1 + apart, f"spectrum_read{name}")
        return register(m, Mux(blank, 0, kept), f"operand_word{name}")


def of_sent(m: Module, sizes: Sizes, vector: VectorUnit, rounds: Rounds, what: str) -> Value:
    """What is known of the frame whose results the vector unit now sends: held while its last words
    are under way.
    """
    later = [
        delayed(m, getattr(one, what), sizes.pipeline.vector, f"sent_{what}{number or ''}")
        for number, one in enumerate(rounds)
    ]
    return of_turn(later, vector.turn, sizes.streams)
