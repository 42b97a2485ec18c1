"""The host's end of a serial line to an engine: frames to bytes and back, at the engine's pace.

The protocol is that of `ernn.rtl.serial`: a header byte (bit 7 begins a sequence, bit 6 lost, bits
3..0 stream), then the frame, numbers of whole bytes, lowest byte first, filled with zeros to whole
beats; an answer's outputs one after the other, each from a new beat on.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from ernn.errors import UserError
from ernn.ground.plain import decode, with_fields
from ernn.ground.reading import read_json

Array = np.ndarray
BREAK_SECONDS = 0.01
UNANSWERED = 2


class Port(Protocol):
    """What a link needs of a serial port; `serial.Serial` (pyserial) has it."""

    def write(self, data: bytes, /) -> Any: ...

    def read(self, size: int = 1, /) -> bytes: ...

    def send_break(self, duration: float = BREAK_SECONDS) -> Any: ...


@dataclass(frozen=True)
class Wire:
    """What both ends know of an engine's frames: numbers in, numbers of each output, bits a number,
    numbers a beat, streams.
    """

    inputs: int
    outputs: tuple[int, ...]
    bits: int
    line: int
    streams: int

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            numbers = (value,) if isinstance(value, int) else value
            if min(numbers, default=0) < 1:
                raise UserError(f"a wire's {name} must be positive, not {value}")
        if self.streams > 16:
            raise UserError(f"a header byte names 16 streams at most, not {self.streams}")

    @classmethod
    def load(cls, path: Path | str) -> tuple[Self, int]:
        """What `ernn bitstream` left in wire.json, and the line's bits a second; else UserError."""
        try:
            values = with_fields(str(path), read_json(path), baud=int)
            baud = values.pop("baud")
            return decode(str(path), cls, values), baud
        except UserError as error:
            raise UserError(f"{error}: it is not what `ernn bitstream` writes") from None

    @property
    def number_bytes(self) -> int:
        """Bytes of one number."""
        return -(-self.bits // 8)

    @property
    def beat_bytes(self) -> int:
        """Bytes of one beat."""
        return self.number_bytes * self.line

    def beats(self, length: int) -> int:
        """Beats of a frame of `length` numbers."""
        return -(-length // self.line)

    @property
    def answer_bytes(self) -> int:
        """Bytes of an answer with its header."""
        return 1 + sum(map(self.beats, self.outputs)) * self.beat_bytes

    def encode(self, frame: Array, stream: int, begins: bool) -> bytes:
        """A frame (inputs,) of integers as it is sent; UserError where it does not fit."""
        if frame.shape != (self.inputs,) or not np.issubdtype(frame.dtype, np.integer):
            raise UserError(
                f"a frame is {self.inputs} integers, not {frame.shape} of {frame.dtype}"
            )
        if not 0 <= stream < self.streams:
            raise UserError(f"streams are 0..{self.streams - 1}, not {stream}")
        limit = 1 << (self.bits - 1)
        if not -limit <= frame.min() <= frame.max() < limit:
            raise UserError(f"a frame holds {frame.min()}..{frame.max()}, outside {self.bits} bits")
        filled = np.zeros(self.beats(self.inputs) * self.line, "<i8")
        filled[: self.inputs] = frame
        numbers = filled.view(np.uint8).reshape(-1, 8)[:, : self.number_bytes]
        return bytes([stream | begins << 7]) + numbers.tobytes()

    def decode(self, answer: bytes) -> "Answer":
        """An answer of `answer_bytes` bytes."""
        raw = np.frombuffer(answer[1:], np.uint8).reshape(-1, self.number_bytes).astype(np.int64)
        numbers = raw @ (np.int64(1) << 8 * np.arange(self.number_bytes, dtype=np.int64))
        sign = np.int64(1) << (8 * self.number_bytes - 1)
        header = answer[0]
        beats = ((numbers ^ sign) - sign).reshape(-1, self.line)
        ends = np.cumsum([self.beats(length) for length in self.outputs])
        parts = zip(np.split(beats, ends[:-1]), self.outputs, strict=True)
        values = np.concatenate([part.ravel()[:length] for part, length in parts])
        return Answer(header & 15, bool(header >> 7), bool(header >> 6 & 1), values)


@dataclass(frozen=True, eq=False)
class Answer:
    """One frame from the board; `lost`: since the last reset something was lost or malformed."""

    stream: int
    begins: bool
    lost: bool
    values: Array


class Link:
    """Utterances through a board: never more than two frames of a stream without their answers."""

    def __init__(self, port: Port, wire: Wire) -> None:
        self.port, self.wire = port, wire

    @classmethod
    def open(cls, name: str, wire: Wire, baud: int, timeout: float = 2.0) -> Self:
        """Over the serial port `name` (`/dev/ttyUSB0`); needs pyserial."""
        try:
            import serial  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise UserError("talking to a board needs pyserial: pip install pyserial") from None
        return cls(serial.Serial(name, baud, timeout=timeout), wire)

    def reset(self) -> None:
        """A break on the line: the engine forgets everything."""
        self.port.send_break(BREAK_SECONDS)

    def run(self, utterances: Sequence[Array]) -> list[Array]:
        """Outputs (time, outputs) of utterances (time, inputs);
        utterance i on stream i % `streams`.

        UserError where no answer comes in time, or the board says that something was lost.
        """
        queues = [self._frames(utterances, stream) for stream in range(self.wire.streams)]
        waiting: list[deque[int]] = [deque() for _ in queues]
        outputs: list[list[Array]] = [[] for _ in utterances]
        while True:
            for stream, queue in enumerate(queues):
                while (
                    len(waiting[stream]) < UNANSWERED
                    and (following := next(queue, None)) is not None
                ):
                    index, frame, begins = following
                    self.port.write(self.wire.encode(frame, stream, begins))
                    waiting[stream].append(index)
            if not any(waiting):
                break
            answer = self._answer()
            outputs[waiting[answer.stream].popleft()].append(answer.values)
        empty = np.zeros((0, sum(self.wire.outputs)), np.int64)
        return [np.stack(rows) if rows else empty for rows in outputs]

    def _frames(
        self, utterances: Sequence[Array], stream: int
    ) -> Iterator[tuple[int, Array, bool]]:
        for index in range(stream, len(utterances), self.wire.streams):
            for time, frame in enumerate(utterances[index]):
                yield index, frame, time == 0

    def _answer(self) -> Answer:
        wanted, came = self.wire.answer_bytes, b""
        while len(came) < wanted:
            more = self.port.read(wanted - len(came))
            if not more:
                raise UserError(
                    f"the board answered {len(came)} of {wanted} bytes: reset the link, check baud "
                    "and wiring"
                )
            came += more
        answer = self.wire.decode(came)
        if answer.lost:
            raise UserError(
                "the board says that something was lost or malformed: reset the link and begin "
                "again"
            )
        return answer
