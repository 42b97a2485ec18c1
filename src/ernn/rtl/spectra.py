"""The forward transforms and the banks of spectra that they fill."""

from amaranth import Array as Choice
from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import memory

from ernn.rtl.arith import (
    delayed,
    delayed_flag,
    divided,
    lanes_of,
    register,
    rounded_lanes,
)
from ernn.rtl.player import Player
from ernn.rtl.rounds import Rounds, of_turn
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
        sizes, shifts = self.sizes, self.sizes.schedule.shifts
        m.d.comb += source.grant.eq(~delayed_flag(m, vector.sends, self.pipeline.far, "sends"))
        send, timing = vector.send, sizes.schedule.timing
        tags = {
            "write": send | (source.go if self._of_input else 0),
            "arrived": source.go & source.frame,
            "copy": Mux(send, of_sent(m, sizes, vector, rounds, "copy"), source.copy),
            "shift": Mux(send, vector.spectrum_shift, self._input_shift),
            "stream": Mux(send, vector.stream, source.stream),
        }
        depth = timing.forward - self.pipeline.store
        by = delayed(m, tags["shift"], depth - self.pipeline.rounding, "spectrum_shift")
        write = delayed_flag(m, tags["write"], depth, "spectrum_write")
        whole = delayed_flag(m, tags["arrived"], timing.forward, "arrived")
        stream = delayed(m, tags["stream"], timing.forward, "spectrum_stream")
        m.d.comb += arrived.eq(Mux(whole, 1 << stream, 0))
        slots = self._slots(m, vector, source, tags["copy"], depth)
        columns: Columns = []
        for column, name in enumerate(probe_names("", sizes.words)):
            given, further = self._place_of_input(column)
            word = Mux(
                send,
                part(vector.result, column, sizes.word),
                part(source.word, given, sizes.word),
            )
            entered = register(m, word, f"forward_word{name}")
            entered = delayed(m, entered, self.pipeline.far, f"forward_word{name}")
            lanes = lanes_of(entered, sizes.width, sizes.block)
            label = f"forward{name and name + '_'}"
            bound = 1 << (sizes.width - 1)
            moved = transform_pipe(m, lanes, bound, sizes.model.forward, label, self.pipeline)
            spectrum = rounded_lanes(
                m, moved, by, shifts.spectrum, sizes.width, f"spectrum{name}", self.pipeline
            )
            columns.append((Cat(*spectrum), slots[further]))
        self.reads = self._banks(m, write, columns)
        for (word, tag), name in zip(columns, probe_names("spectrum", sizes.words), strict=True):
            probe(m, name, write, tag[: sizes.slot + sizes.copy], word)

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

    def _slots(
        self, m: Module, vector: VectorUnit, source: FrameInput, copy: Value, depth: int
    ) -> dict[int, Value]:
        """Where a line is written (slot, copy, ring), by how many lines further on its words are
        put.
        """
        sizes, name = self.sizes, self.sizes.model.input.name
        places = [
            self.map.place(name, s) * self.map.turns if self._of_input else 0
            for s in range(sizes.streams)
        ]
        bases = Choice(Const(place) for place in places)
        ring = Const(self.map.ring_of.get(name, 0), self.ring_bits)
        slots: dict[int, Value] = {}
        for further in sorted({self._place_of_input(column)[1] for column in range(sizes.words)}):
            from_input = bases[source.stream] + source.index + further
            slot = Mux(vector.send, vector.spectrum, from_input)
            tag = Cat(sized(slot, sizes.slot), copy)
            if self.ring_bits:
                tag = Cat(tag, Mux(vector.send, vector.ring, ring)[: self.ring_bits])
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
            slot, copy, ring = (
                tag[: sizes.slot],
                tag[sizes.slot : sizes.slot + sizes.copy],
                tag[sizes.slot + sizes.copy :],
            )
            row, turn = divided(m, slot, self.map.turns, 1 << sizes.slot, f"bank{bank}")
            first = pack(self.map.contents(bank), sizes.width)
            spectra = memory.Memory(shape=sizes.word, depth=self.map.depth, init=first)
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
        before = (
            delay & missing
            if self.sizes.remembered == 1
            else delay + missing > self.sizes.remembered
        )
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
