"""Rounds: when one starts, and what each unit knows of its frames.

A round begins when at least one stream has a whole frame, there is room for its results, and
`Schedule.interval` cycles have passed since the last (`last_interval` after a sequence's last
frame).  Where a frame's later stages fall into the
next round (`Schedule.rounds_late`), that starts too, with or without new frames.  It is decided as
soon as a frame's last word is there, so that the pulse has a register more on its way to each
player, which may lie at the other end of the device.
"""

from dataclasses import dataclass

from amaranth import Cat, Const, Module, Mux, Signal, Value

from ernn.rtl.arith import delayed, delayed_flag, register
from ernn.rtl.player import BEHIND
from ernn.rtl.sizes import Sizes, late_name, part
from ernn.rtl.stream import FrameInput, FrameOutput


@dataclass(frozen=True)
class Frames:
    """A round's frames, one of each stream, the first stream's in the lowest bits.

    `valid`: which take part.  `copy`: by which number each one's copy is told from those of frames
    before.  `missing`: how many of the `Sizes.remembered` frames before it its sequence does not
    have; for the vector unit, which sees no further back than one, whether it is the first.
    """

    valid: Value
    copy: Value
    missing: Value


Rounds = list[Frames]
"""Of this round, of the round before, ..."""


def of_turn(values: list[Value], turn: Value, streams: int) -> Value:
    """Of values by round, each a part for every stream, the part of a frame told by
    `ernn.rtl.vector.turn_of`.
    """
    if streams * len(values) == 1:
        return values[0]
    return Cat(values).word_select(turn, len(values[0]) // streams)


def precedes(delay: Value | int, missing: Value, remembered: int) -> Value:
    """Whether what is so many frames back is before a sequence's first frame."""
    return delay & missing if remembered == 1 else delay + missing > remembered


class RoundControl:
    """Starts rounds.

    After `build`, `array` and `vector` are the frames that the rows shown by the units' players are
    about; `started` and `token` start those players, and `event` is high when a round starts.
    With `Design.once`, `array_whole` and `vector_whole` tell them whether the frame has a head.
    """

    array: Rounds
    vector: Rounds
    started: Value
    token: Value
    event: Value
    array_whole: Value
    vector_whole: Value

    def __init__(self, sizes: Sizes) -> None:
        self.sizes, self.schedule = sizes, sizes.schedule

    def build(
        self, m: Module, source: FrameInput, output: FrameOutput, arrived: Value
    ) -> "RoundControl":
        """`arrived`: a flag a stream, high when a whole frame is there."""
        streams, far = self.sizes.streams, self.sizes.pipeline.far + 1
        start, room = Signal(), Signal()
        waiting = [Signal(2, name=f"waiting{s}") for s in range(streams)]
        copy = Signal(streams * self.sizes.copy, name="copy")
        ready, taken = Signal(streams), Signal(streams)
        longest = max(self.schedule.interval, self.schedule.last_interval)
        timer = Signal(range(-1, longest), init=-1)  # counts down to -1
        m.d.comb += ready.eq(Cat(count != 0 for count in waiting))
        whole = self._whole(source, copy)
        new = Frames(ready, copy, self._missing(m, source, copy, taken))
        frames = self._handed_on(m, start, new, "array")
        unfinished = [late.valid for late in frames[:-1]]
        due = Cat(ready | arrived, *unfinished).any()
        m.d.sync += [room.eq(output.room), start.eq(~start & (timer < 0) & due & room)]
        with m.If(start | (timer >= 0)):
            m.d.sync += timer.eq(Mux(start, self._wait(whole), timer - 1))
        m.d.comb += taken.eq(Mux(start, ready, 0))
        for stream, count in enumerate(waiting):
            m.d.sync += count.eq(count + arrived[stream] - taken[stream])
            own = part(copy, stream, self.sizes.copy)
            m.d.sync += own.eq(own + taken[stream])
        self.event = delayed_flag(m, start, 1, "started")
        self.started = delayed_flag(m, self.event, far - 1, "started_far")
        self.array = self._as_played(m, frames, "array", BEHIND + far)
        begun = sum((taken[s] & whole for s in range(streams)), Const(0))
        m.d.comb += output.begun.eq(delayed_flag(m, begun, far, "begun"))
        self.token = self._after(m, self.started, self.schedule.vector_start)
        self._tell_whole(m, start, whole, far)
        [begins] = self._as_played(m, frames[:1], "started", far - 1)
        firsts = self._handed_on(m, self.token, self._as_firsts(begins), "vector")
        self.vector = self._as_played(m, firsts, "vector", BEHIND)
        return self

    def _whole(self, source: FrameInput, copy: Value) -> Value:
        """Whether the frame that a lone stream would begin has a head."""
        return (
            Mux(copy[0], source.whole[1], source.whole[0]) if self.sizes.design.once else Const(1)
        )

    def _wait(self, whole: Value) -> Value | int:
        """What the timer begins with."""
        often, last = self.schedule.interval - 3, self.schedule.last_interval - 3
        return Mux(whole, last, often) if self.sizes.design.once else often

    def _tell_whole(self, m: Module, start: Value, whole: Value, far: int) -> None:
        """Each player, from when it is started until it is again."""
        if not self.sizes.design.once:
            return
        held, told = Signal(name="array_whole"), Signal(name="vector_whole")
        with m.If(start):
            m.d.sync += held.eq(whole)
        begins = delayed(m, held, far - 1, "whole_started")
        self.array_whole = register(m, begins, "array_whole_told")
        with m.If(self.token):
            m.d.sync += told.eq(begins)
        self.vector_whole = told

    def _missing(self, m: Module, source: FrameInput, copy: Value, taken: Value) -> Value:
        """Of the frame that each stream would begin."""
        most, bits, fresh = self.sizes.remembered, self.sizes.missing, []
        for stream in range(self.sizes.streams):
            odd = part(copy, stream, self.sizes.copy)[0]
            first = Mux(odd, source.first[2 * stream + 1], source.first[2 * stream])
            if most == 1:
                fresh.append(first)
                continue
            last = Signal(bits, name=f"missing{stream}")
            fresh.append(Mux(first, most, last - (last != 0))[:bits])
            with m.If(taken[stream]):
                m.d.sync += last.eq(fresh[-1])
        return Cat(fresh)

    def _as_firsts(self, frames: Frames) -> Frames:
        """The same, with `missing` as the vector unit has it."""
        bits, streams = self.sizes.missing, range(self.sizes.streams)
        if bits == 1:
            return frames
        firsts = (part(frames.missing, s, bits) == self.sizes.remembered for s in streams)
        return Frames(frames.valid, frames.copy, Cat(firsts))

    def _as_played(self, m: Module, rounds: Rounds, name: str, behind: int) -> Rounds:
        """The frames of what a player's outputs show, so many cycles after they are set."""

        def later(value: Value, what: str, late: int) -> Value:
            return delayed(m, value, behind, f"{name}_{what}_played{late_name(late)}")

        return [
            Frames(
                later(one.valid, "valid", late),
                later(one.copy, "copy", late),
                later(one.missing, "missing", late),
            )
            for late, one in enumerate(rounds)
        ]

    def _handed_on(self, m: Module, when: Value, new: Frames, name: str) -> Rounds:
        """Frames held from `when` on, then handed on to the rounds in which they are late."""
        rounds: Rounds = []
        for late in range(self.schedule.rounds_late + 1):
            held = Frames(
                *(
                    Signal(len(value), name=f"{name}_{what}{late_name(late)}")
                    for what, value in vars(new).items()
                )
            )
            with m.If(when):
                m.d.sync += [
                    Value.cast(getattr(held, what)).eq(value) for what, value in vars(new).items()
                ]
            new = held
            rounds.append(new)
        return rounds

    def _after(self, m: Module, pulse: Value, cycles: int) -> Value:
        """The pulse so many cycles later; pulses are further apart than that."""
        if cycles < 3:
            return delayed_flag(m, pulse, cycles, "token")
        left = Signal(range(-1, cycles), init=-1)  # counts down to -1
        with m.If(pulse | (left >= 0)):
            m.d.sync += left.eq(Mux(pulse, cycles - 3, left - 1))
        return delayed_flag(m, left == 0, 2, "token")
