"""AXI4-Stream on both sides of the engine.

A beat is one line: `Design.words` words of k numbers, each sign-extended to `container_bits`; a
packet (TLAST) is one frame, of several outputs one after the other, each from a new beat on; with
`Design.once` a packet of the input is a whole sequence, and one of the output its last frame; TID
names the stream; TUSER on a frame's first beat marks the first frame of a sequence, which starts
from the initial state.
"""

from math import ceil

from amaranth import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ernn.ir.edges import data_bits
from ernn.ir.integer_model import IntegerModel
from ernn.rtl.arith import delayed, delayed_flag, lanes_of, sign_extended
from ernn.scheduling.design import Design
from ernn.scheduling.lines import address_bits
from ernn.scheduling.timing import pipeline_of

_FLAGS = ("tlast", "tuser", "tid")


def container_bits(data_bits: int) -> int:
    """Bits of one number on the bus: whole bytes."""
    return ceil(data_bits / 8) * 8


class AxiStream(wiring.Signature):
    """AXI4-Stream as a source drives it."""

    def __init__(self, data_bits: int, id_bits: int) -> None:
        super().__init__(
            {
                "tdata": Out(data_bits),
                "tvalid": Out(1),
                "tready": In(1),
                "tlast": Out(1),
                "tuser": Out(1),
                "tid": Out(id_bits),
            }
        )


def stream_signature(model: IntegerModel, design: Design) -> AxiStream:
    lanes = model.block * design.words * container_bits(data_bits(model))
    return AxiStream(lanes, address_bits(design.streams))


class Pair(wiring.Component):
    """A queue of two words, one a cycle: what is `given` while `valid` and `ready` comes out on
    `word` while `waiting`, until it is `take`n.

    `ready` and `waiting` depend on registers alone, and so does what every flip-flop of a word
    waits for: a word that is free takes whatever is given, valid or not.
    """

    def __init__(self, width: int) -> None:
        super().__init__(
            {
                "given": In(width),
                "valid": In(1),
                "ready": Out(1),
                "word": Out(width),
                "waiting": Out(1),
                "take": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = Array(Signal.like(self.given, name=f"word{i}", reset_less=True) for i in range(2))
        free = Array(Signal(init=1, name=f"free{i}") for i in range(2))
        into, out = Signal(), Signal()
        m.d.comb += [
            self.ready.eq(free[into]),
            self.waiting.eq(~free[out]),
            self.word.eq(words[out]),
        ]
        for number in range(2):
            with m.If(free[number]):
                m.d.sync += words[number].eq(self.given)
        with m.If(self.valid & self.ready):
            m.d.sync += [free[into].eq(0), into.eq(~into)]
        with m.If(self.take):
            m.d.sync += [free[out].eq(1), out.eq(~out)]
        return m


class ResultQueue(wiring.Component):
    """A queue in block RAM that is never written when full: its user sees to that.

    What is `write`n as `given` comes out on `word` while `waiting`, until it is `take`n; four
    cycles later at the earliest.  Nothing on the way from the memory waits for `take` itself but
    for a register: two words fit behind it.
    """

    def __init__(self, width: int, depth: int) -> None:
        self.depth = depth
        super().__init__(
            {
                "given": In(width),
                "write": In(1),
                "word": Out(width),
                "waiting": Out(1),
                "take": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.storage = storage = memory.Memory(
            shape=len(self.given), depth=self.depth, init=[]
        )
        write, read = storage.write_port(), storage.read_port()
        level = Signal(range(self.depth + 1))
        spare = Signal.like(self.word, reset_less=True)
        fetched, valid = Signal(), Signal()
        word = Signal.like(self.word, reset_less=True)  # can be the memory's own register
        shown = Signal.like(self.word, reset_less=True)
        going = Signal(init=1)  # low while the spare word is in use
        taken = going & (level != 0)
        m.d.sync += level.eq(level + self.write - taken)
        for port, moves in ((write, self.write), (read, taken)):
            with m.If(moves):
                m.d.sync += port.addr.eq(Mux(port.addr == self.depth - 1, 0, port.addr + 1))
        m.d.comb += [write.data.eq(self.given), write.en.eq(self.write), read.en.eq(going)]
        m.d.comb += self.word.eq(shown)
        with m.If(going):
            m.d.sync += [fetched.eq(taken), valid.eq(fetched), word.eq(read.data), spare.eq(word)]
        with m.If(~self.waiting | self.take):
            m.d.sync += [
                shown.eq(Mux(going, word, spare)),
                self.waiting.eq(valid | ~going),
                going.eq(1),
            ]
        with m.Else():
            m.d.sync += going.eq(going & ~valid)
        return m


class FrameInput(wiring.Component):
    """Takes frames line by line, at most two a stream: one in use, one waiting.

    A line goes out on `word` with `go` when `grant` allows; `index` is its place in the frame,
    `copy` the frame's number, of which it counts `copy_bits`; `frame` marks a frame's last line.
    `release` frees a stream's frame in use.  `first` is the flag of the frame in use or waiting, of
    each stream two by the lowest bit of their numbers; so is `whole`, with `Design.once`, that of a
    sequence's last.  `error` stays high after a frame of the wrong length or an unknown stream.
    """

    def __init__(self, model: IntegerModel, design: Design, copy_bits: int) -> None:
        self.line, self.width = model.block * design.words, data_bits(model)
        self.own = model.input.format.width
        self.length, self.streams = model.input.length, design.streams
        self.once = design.once
        self.lines = ceil(self.length / self.line)
        self.signature_in = stream_signature(model, design)
        super().__init__(
            {
                "axi": In(self.signature_in),
                "grant": In(1),
                "release": In(self.streams),
                "go": Out(1),
                "word": Out(self.line * self.width),
                "stream": Out(address_bits(self.streams)),
                "index": Out(address_bits(self.lines)),
                "copy": Out(copy_bits),
                "frame": Out(1),
                "first": Out(2 * self.streams),
                "error": Out(1),
            }
            | ({"whole": Out(2 * self.streams)} if self.once else {})
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # A queue each for the numbers and for the flags: what selects a flag must not reach every
        # bit of a number too.
        flags = {name: getattr(self.axi, name) for name in _FLAGS}
        m.submodules.numbers = numbers = Pair(len(self.axi.tdata))
        m.submodules.flags = queue = Pair(sum(len(flag) for flag in flags.values()))
        for pair, given in ((numbers, self.axi.tdata), (queue, Cat(*flags.values()))):
            m.d.comb += [pair.given.eq(given), pair.valid.eq(self.axi.tvalid)]
        last, user, tid = self._parts(queue.word, [len(flag) for flag in flags.values()])
        counts = Array(Signal(len(self.index), name=f"count{s}") for s in range(self.streams))
        copies = Array(Signal(len(self.copy), name=f"copy{s}") for s in range(self.streams))
        held = Array(Signal(2, name=f"held{s}") for s in range(self.streams))
        fresh = Array(Signal(init=1, name=f"fresh{s}") for s in range(self.streams))
        welcome = Array(Signal(init=1, name=f"welcome{s}") for s in range(self.streams))
        # whether a stream's next line is its frame's last: told from the count before it is needed
        closing = Array(
            Signal(init=self.lines == 1, name=f"closing{s}") for s in range(self.streams)
        )
        count, known = counts[tid], tid < self.streams
        begins, ends = fresh[tid], closing[tid]
        waiting = queue.waiting
        m.d.comb += [
            self.axi.tready.eq(queue.ready),
            self.go.eq(waiting & self.grant & known & welcome[tid]),
            *(pair.take.eq(self.go | (waiting & ~known)) for pair in (numbers, queue)),
            self.stream.eq(tid),
            self.index.eq(count),
            self.copy.eq(copies[tid]),
            self.frame.eq(ends),
            self.word.eq(self._masked(numbers.word, ends)),
        ]
        with m.If(self.go):
            m.d.sync += [
                counts[tid].eq(Mux(ends, 0, count + 1)),
                copies[tid].eq(copies[tid] + ends),
            ]
            with m.If(begins):
                m.d.sync += self.first.bit_select((tid << 1) | copies[tid][0], 1).eq(user)
            if self.once:
                with m.If(ends):
                    m.d.sync += self.whole.bit_select((tid << 1) | copies[tid][0], 1).eq(last)
        for stream in range(self.streams):
            mine = self.go & (tid == stream)
            given = mine & fresh[stream]
            with m.If(mine):
                m.d.sync += fresh[stream].eq(closing[stream])
                if self.lines > 1:
                    m.d.sync += closing[stream].eq(counts[stream] == self.lines - 2)
            m.d.sync += [
                held[stream].eq(held[stream] + given - self.release[stream]),
                # chosen last by what comes through the queue, all else being there before
                welcome[stream].eq(
                    Mux(
                        mine,
                        self._room(closing[stream], held[stream] + fresh[stream], stream),
                        self._room(fresh[stream], held[stream], stream),
                    )
                ),
            ]
        self._judge(m, waiting & ~known, last & ~ends if self.once else last != ends)
        return m

    def _room(self, fresh: Value, held: Value, stream: int) -> Value:
        """Whether a stream may give a line: in the middle of a frame, or where fewer than two
        frames are held.
        """
        return ~fresh | (held - self.release[stream] < 2)

    def _judge(self, m: Module, stray: Value, wrong: Value) -> None:
        """The error, a cycle after its parts: no line waits for it."""
        gone = delayed_flag(m, self.go, 1, "gone")
        strayed, went_wrong = delayed_flag(m, stray, 1, "stray"), delayed(m, wrong, 1, "wrong")
        with m.If(strayed | (gone & went_wrong)):
            m.d.sync += self.error.eq(1)

    def _parts(self, word: Value, widths: list[int]) -> list[Value]:
        """A word cut into parts, the first in its lowest bits."""
        ends = [sum(widths[: number + 1]) for number in range(len(widths))]
        return [word[end - width : end] for end, width in zip(ends, widths, strict=True)]

    def _masked(self, word: Value, ends: Value) -> Value:
        """Lanes without their containers; those past the vector's end are zero, as the contract
        says.
        """
        container = container_bits(self.width)
        starts = range(0, self.line * container, container)
        lanes = [sign_extended(word[at : at + self.own], self.width) for at in starts]
        used = self.length - (self.lines - 1) * self.line
        return Cat(Mux(ends, 0, lane) if i >= used else lane for i, lane in enumerate(lanes))


class FrameOutput(wiring.Component):
    """Queues result lines; `room` tells that a round of all streams fits, frames under way
    counted.
    """

    def __init__(self, model: IntegerModel, design: Design, rounds: int) -> None:
        self.line, self.width = model.block * design.words, data_bits(model)
        self.streams, self.frames = design.streams, rounds * design.streams
        self.far = pipeline_of(design).far
        self.lines = sum(ceil(signal.length / self.line) for signal in model.results)
        stream = address_bits(design.streams)
        super().__init__(
            {
                "axi": Out(stream_signature(model, design)),
                "word": In(self.line * self.width),
                "write": In(1),
                "final": In(1),
                "stream": In(stream),
                "first": In(1),
                "begun": In(range(self.streams + 1)),
                "room": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word = self.line * self.width
        width = word + 2 + len(self.stream)
        m.submodules.queue = queue = ResultQueue(width, self.frames * self.lines)
        shown = queue
        if self.far:  # nothing in the queue then waits for TREADY itself
            m.submodules.shown = shown = Pair(width)
            m.d.comb += [
                shown.given.eq(queue.word),
                shown.valid.eq(queue.waiting),
                queue.take.eq(shown.ready),
            ]
        under_way = Signal(range(self.frames + 1))
        left = self.axi.tvalid & self.axi.tready & self.axi.tlast
        m.d.sync += under_way.eq(under_way + self.begun - delayed_flag(m, left, self.far, "left"))
        m.d.comb += [
            queue.given.eq(
                delayed(m, Cat(self.word, self.final, self.first, self.stream), self.far, "given")
            ),
            queue.write.eq(delayed_flag(m, self.write, self.far, "write")),
            shown.take.eq(self.axi.tready & self.axi.tvalid if self.far else self.axi.tready),
            self.room.eq(under_way + self.streams <= self.frames),
            self.axi.tvalid.eq(shown.waiting),
            self.axi.tdata.eq(self._contained(shown.word)),
            Cat(self.axi.tlast, self.axi.tuser, self.axi.tid).eq(shown.word[word:]),
        ]
        return m

    def _contained(self, word: Value) -> Value:
        container = container_bits(self.width)
        extended = []
        for lane in lanes_of(word, self.width, self.line):
            extended.append(sign_extended(lane, container))
        return Cat(*extended)
