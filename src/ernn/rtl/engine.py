"""The engine: one statically scheduled accelerator for one network.

Both tapes play once a round: the array's multiplies, the vector unit's does the rest.  Nothing
stalls inside a round.  Streams without a frame keep their state.  How it works:
docs/explanation/engine.md.
"""

from amaranth import Array as Choice
from amaranth import Cat, Const, Module, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import Out

from ernn.rtl.player import Player
from ernn.rtl.products import Products
from ernn.rtl.rounds import RoundControl, Rounds
from ernn.rtl.sizes import Sizes, part, sized
from ernn.rtl.spectra import Spectra, of_sent
from ernn.rtl.stream import FrameInput, FrameOutput, stream_signature
from ernn.rtl.vector import VectorUnit
from ernn.scheduling.lines import address_bits
from ernn.scheduling.memory_map import ARRIVALS
from ernn.scheduling.probes import probe_names
from ernn.scheduling.schedule import Schedule


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
        self.schedule, self.probes, self.sizes = schedule, probes, Sizes(schedule)
        self.model, self.design = self.sizes.model, self.sizes.design
        self.vector = VectorUnit(schedule)
        self.player = Player(schedule.array, "array")
        axi = stream_signature(self.model, self.design)
        ports = {f"s_axis_{name}": member for name, member in axi.flip().members.items()}
        ports |= {f"m_axis_{name}": member for name, member in axi.members.items()}
        ports["error"] = Out(1)
        if self.design.parity:
            ports["weight_fault"] = Out(1)
        if probes:
            ports |= {"event_round": Out(1), "event_error": Out(1)}
            for name, bits in self.probe_addresses.items():
                beats = name in ("vector", "aside")
                data = (self.vector.lanes if beats else self.sizes.block) * self.sizes.width
                for one in probe_names(name, self.sizes.words):
                    ports |= {
                        f"probe_{one}_en": Out(1),
                        f"probe_{one}_addr": Out(bits),
                        f"probe_{one}_data": Out(data),
                    }
        super().__init__(ports)

    @property
    def probe_addresses(self) -> dict[str, int]:
        """Address bits of each probe: spectrum {copy, slot}; product {kept, first number}; vector
        {whether a table has made it of another, row, index}; aside the same, of what lies there.
        """
        vector = len(self.vector.label)
        return {
            "spectrum": self.sizes.slot + self.sizes.copy,
            "product": self.sizes.row + address_bits(len(self.schedule.layout.kept)),
            "vector": vector,
        } | ({"aside": vector} if self.schedule.layout.values.aside else {})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sizes, vector = self.sizes, self.vector
        m.submodules.vector, m.submodules.player = vector, self.player
        m.submodules.input = source = FrameInput(self.model, self.design, sizes.copy)
        rounds = self.schedule.rounds_under_way
        m.submodules.output = output = FrameOutput(self.model, self.design, rounds)
        self._streams(m, source, output)
        arrived = Signal(sizes.streams)
        control = RoundControl(sizes).build(m, source, output, arrived)
        m.d.comb += [self.player.start.eq(control.started), vector.start.eq(control.token)]
        if self.design.once:
            m.d.comb += [
                self.player.whole.eq(control.array_whole),
                vector.whole.eq(control.vector_whole),
            ]
        self._show_frames(m, control.vector)
        spectra, products = Spectra(sizes), Products(sizes, self.player)
        spectra.build(m, vector, source, control.vector, arrived, self._probe)
        products.build(m, vector, spectra, control.array, source.release, self._probe)
        if self.schedule.layout.arrival_lines:
            self._arrivals(m, source)
        self._outputs(m, output, control.vector)
        if self.design.parity:
            m.d.sync += self.weight_fault.eq(self.weight_fault | products.fault)
        if self.probes:
            m.d.comb += [self.event_round.eq(control.event), self.event_error.eq(self.error)]
        return m

    def _streams(self, m: Module, source: FrameInput, output: FrameOutput) -> None:
        """The ports, and the queues behind them."""
        for name, member in stream_signature(self.model, self.design).members.items():
            ours, taken = getattr(self, f"s_axis_{name}"), getattr(source.axi, name)
            given, theirs = getattr(output.axi, name), getattr(self, f"m_axis_{name}")
            forward = member.flow == Out
            m.d.comb += (
                [taken.eq(ours), theirs.eq(given)]
                if forward
                else [ours.eq(taken), given.eq(theirs)]
            )
        m.d.comb += self.error.eq(source.error)

    def _show_frames(self, m: Module, rounds: Rounds) -> None:
        """What the vector unit knows of the frames that its tape is about."""
        vector = self.vector
        m.d.comb += [
            vector.valid.eq(Cat(one.valid for one in rounds)),
            vector.first.eq(Cat(one.missing for one in rounds)),
        ]
        if vector.sees_copies:
            m.d.comb += vector.copy.eq(Cat(one.copy for one in rounds))

    def _arrivals(self, m: Module, source: FrameInput) -> None:
        """The input's numbers, for the vector unit: the last few frames'."""
        layout = self.schedule.layout
        lines, streams = layout.lines(self.model.input.length), self.sizes.streams
        bits, copy = address_bits(layout.arrival_lines), address_bits(ARRIVALS)
        numbers = memory.Memory(shape=self.sizes.line, depth=ARRIVALS << bits, init=[])
        m.submodules.arrivals = numbers
        write, read = numbers.write_port(), numbers.read_port()
        bases = Choice(Const(lines * stream) for stream in range(streams))
        place = sized(bases[source.stream] + source.index, bits)
        m.d.comb += [
            write.addr.eq(Cat(place, source.copy[:copy])),
            write.data.eq(source.word),
            write.en.eq(source.go),
            read.addr.eq(self.vector.arrival_address),
            self.vector.arrival_word.eq(read.data),
        ]

    def _outputs(self, m: Module, output: FrameOutput, rounds: Rounds) -> None:
        vector = self.vector
        m.d.comb += [
            output.word.eq(vector.result),
            output.write.eq(vector.output),
            output.final.eq(vector.final),
            output.stream.eq(vector.stream),
            output.first.eq(of_sent(m, self.sizes, vector, rounds, "missing")),
        ]
        self._probe_beats(m, "vector", vector.done, vector.label, vector.beat)
        if self.schedule.layout.values.aside:
            self._probe_beats(m, "aside", vector.aside_done, vector.aside_label, vector.aside)

    def _probe_beats(
        self, m: Module, kind: str, enable: Value, address: Value, beat: Value
    ) -> None:
        for column, name in enumerate(probe_names(kind, self.sizes.words)):
            word = part(beat, column, self.vector.lanes * self.sizes.width)
            self._probe(m, name, enable, address, word)

    def _probe(self, m: Module, name: str, enable: Value, address: Value, word: Value) -> None:
        if self.probes:
            for what, value in (("en", enable), ("addr", address), ("data", word)):
                m.d.comb += getattr(self, f"probe_{name}_{what}").eq(value)
