"""Where every element of a tensor comes from, as whole numbers that any view can move.

Each element of each signal has a number of its own, -1 is a zero.  A reshape, a slice, a transpose,
a concatenation, a padding, an unfolding is then done on the numbers by the very operation that the
user's network names, and `framed` reads from the result what it means frame by frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ernn.frontends.graph import Vector

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Origin:
    """Of each element of a tensor: signal, sequence of the batch, frame, place; -1 for zeros."""

    signals: Array
    sequences: Array
    times: Array
    places: Array


@dataclass(frozen=True, eq=False)
class Framed:
    """A tensor as a vector a frame.

    vectors: one a part of the tensor; parts are the axes of features that are not read together.
    sequences, times: (samples,), the sequence and the frame of each.
    frames: of a sequence.
    axes: of the tensor, those that samples run over.
    """

    vectors: tuple[Vector, ...]
    sequences: Array
    times: Array
    frames: int
    axes: tuple[int, ...]

    @property
    def vector(self) -> Vector:
        """All parts one after another."""
        return Vector(*np.concatenate([part.table for part in self.vectors], axis=1))


class Space:
    """Gives numbers to signals' elements, and finds them again."""

    def __init__(self) -> None:
        self._first = [0]
        self._shapes: list[tuple[int, int, int]] = []

    def __len__(self) -> int:
        return len(self._shapes)

    def shape(self, signal: int) -> tuple[int, int, int]:
        """Sequences, frames and values a frame."""
        return self._shapes[signal]

    def add(self, sequences: int, frames: int, size: int) -> Array:
        """Labels (sequences, frames, size) of a new signal, the next one."""
        shape = sequences, frames, size
        first = self._first[-1]
        self._shapes.append(shape)
        self._first.append(first + sequences * frames * size)
        return np.arange(first, self._first[-1]).reshape(shape)

    def of(self, signal: int) -> Array:
        """The labels of a signal."""
        return np.arange(*self._first[signal : signal + 2]).reshape(self._shapes[signal])

    def origin(self, labels: Array) -> Origin:
        """Where each label's element comes from."""
        first, shapes = np.array(self._first), np.array([*self._shapes, (1, 1, 1)])
        signals = np.searchsorted(first, labels, side="right") - 1
        rest = labels - first[signals]
        _, frames, sizes = np.moveaxis(shapes[signals], -1, 0)
        rest, places = np.divmod(rest, sizes)
        sequences, times = np.divmod(rest, frames)
        live = labels >= 0
        return Origin(*(np.where(live, one, -1) for one in (signals, sequences, times, places)))

    def framed(self, labels: Array, together: Sequence[int] = ()) -> Framed | None:
        """A tensor as vectors a frame, its axes `together` read as one; None where it has none.

        It has none where its frames are not one after another, or not read alike in all of them.
        """
        origin = self.origin(labels)
        axes = self._samples(labels, origin, together)
        parts = [axis for axis in range(labels.ndim) if axis not in axes and axis not in together]
        order = [*axes, *parts, *together]
        count, width = (int(np.prod([labels.shape[a] for a in some])) for some in (axes, together))

        def arranged(one: Array) -> Array:
            return one.transpose(order).reshape(count, -1)

        whole = Origin(*(arranged(getattr(origin, name)) for name in Origin.__annotations__))
        times = self._times(whole, [labels.shape[axis] for axis in axes])
        if times is None:
            return None
        vector = self._vector(whole, times)
        if vector is None:
            return None
        vectors = tuple(vector[at : at + width] for at in range(0, len(vector), max(width, 1)))
        frames = self._frames(whole, times)
        sequences = np.maximum(whole.sequences.max(axis=1, initial=0), 0)
        return Framed(vectors, sequences, times, frames, axes)

    def _samples(self, labels: Array, origin: Origin, together: Sequence[int]) -> tuple[int, ...]:
        """Axes over which the sequence changes, or the frame: of the latter the longest."""
        free = [axis for axis in range(labels.ndim) if axis not in together]
        of_batch = [axis for axis in free if varies(origin.sequences, axis)]
        of_time = [axis for axis in free if axis not in of_batch and varies(origin.times, axis)]
        if any(varies(origin.times, axis) for axis in of_batch):
            of_time = []
        longest = sorted(of_time, key=lambda axis: -labels.shape[axis])[:1]
        return tuple(sorted([*of_batch, *longest]))

    def _times(self, origin: Origin, shape: list[int]) -> Array | None:
        """The output's frame of each sample."""
        live = origin.signals >= 0
        if not live.any():
            return None
        column = int(live.sum(axis=0).argmax())
        seen = np.where(live[:, column], origin.times[:, column], -1)
        if not live[:, column].all():  # frames that begin in a padding: one time axis, run over
            known = np.flatnonzero(live[:, column])
            at = np.unravel_index(np.arange(len(live)), shape)
            moving = [i for i in at if len(np.unique(i[known] - seen[known])) == 1]
            return moving[0] if moving else None
        if len(np.unique(seen)) == 1:
            return np.full(len(live), origin.times.max())
        times = seen - seen.min()
        return times if len(np.unique(times)) == times.max() + 1 else None

    def _vector(self, origin: Origin, times: Array) -> Vector | None:
        """What is read a frame, where it is alike in every frame."""
        live = origin.signals >= 0
        first = live.argmax(axis=0)
        columns = np.arange(live.shape[1])
        signals, places = origin.signals[first, columns], origin.places[first, columns]
        delays = (times[:, None] - origin.times)[first, columns]
        frames = np.array([self._shapes[one][1] if one >= 0 else 0 for one in signals])
        wanted = times[:, None] - delays
        inside = (wanted >= 0) & (wanted < frames)
        sequences = origin.sequences.max(axis=1, keepdims=True)
        alike = (
            (origin.signals == signals)
            & (origin.places == places)
            & (origin.times == wanted)
            & (origin.sequences == sequences)
        )
        if not np.where(live, alike, ~inside).all():
            return None
        single = len(np.unique(times)) == 1 and frames.max(initial=0) > 1
        if single and not self._near(delays[signals >= 0], int(times[0])):
            return None
        return Vector(signals, np.where(signals < 0, 0, delays), places)

    @staticmethod
    def _near(delays: Array, time: int) -> bool:
        """Whether one frame's result looks back less far than the example reaches."""
        return bool(len(delays) == 0 or (delays.min() >= 0 and delays.max() < max(time, 1)))

    def _frames(self, origin: Origin, times: Array) -> int:
        distinct = len(np.unique(times))
        if distinct > 1:
            return distinct
        return max(self._shapes[int(one)][1] for one in np.unique(origin.signals) if one >= 0)


def varies(values: Array, axis: int) -> bool:
    """Whether what is not a zero changes along an axis."""
    moved = np.moveaxis(values, axis, 0)
    high = moved.max(axis=0, initial=-1)
    most = np.iinfo(np.int64).max
    low = np.where(moved < 0, most, moved).min(axis=0, initial=most)
    return bool((low < high).any())
