"""Utterances on an engine's streams: who goes where, in which order, and back."""

from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Stimulus:
    """Utterance i, int64 (time, inputs), goes to stream i mod `streams`, after its earlier ones."""

    utterances: tuple[Array, ...]
    streams: int

    @cached_property
    def frames(self) -> int:
        return sum(len(utterance) for utterance in self.utterances)

    def of_stream(self, stream: int) -> list[int]:
        """Indices of a stream's utterances."""
        return list(range(stream, len(self.utterances), self.streams))

    @cached_property
    def order(self) -> tuple[tuple[int, int, int], ...]:
        """(stream, utterance, time) of every frame in the order it is sent: streams take turns."""
        queues = [
            [
                (stream, index, time)
                for index in self.of_stream(stream)
                for time in range(len(self.utterances[index]))
            ]
            for stream in range(self.streams)
        ]
        longest = max(map(len, queues), default=0)
        return tuple(queue[i] for i in range(longest) for queue in queues if i < len(queue))

    def position(self, stream: int, number: int) -> tuple[int, int] | None:
        """(utterance, time) of a stream's frame `number`; None where it has no such frame."""
        for index in self.of_stream(stream):
            if number < len(self.utterances[index]):
                return index, number
            number -= len(self.utterances[index])
        return None

    def end(self, stream: int, number: int) -> int:
        """The number of the last frame of a stream's sequence `number`, of those that have any; of
        one that it does not have, more than it has frames."""
        lengths = [len(self.utterances[index]) for index in self.of_stream(stream)]
        some = [length for length in lengths if length]
        return sum(some[: number + 1]) - (number < len(some))

    def words(self, block: int) -> Array:
        """All frames in sending order as words (frames * words a frame,
        block), the last filled with zeros.
        """
        frames = np.stack([self.utterances[index][time] for _, index, time in self.order])
        padding = ceil(frames.shape[1] / block) * block - frames.shape[1]
        return np.pad(frames, ((0, 0), (0, padding))).reshape(-1, block)
