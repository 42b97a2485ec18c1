"""Where signals are found in the tensors of the user's code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ernn.frontends.graph import Signal, Vector
from ernn.frontends.labels import Space, varies

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Port:
    """A tensor of the user's code, and the signals in it, of one sequence.

    time: its axis of time; None where it has one frame of each value.
    shape: of the axes but time.
    vector: for each element of these, what it is.
    first: whether that is of the first frame and not the last, where there is no axis of time.
    """

    tensor: str
    time: int | None
    shape: tuple[int, ...]
    vector: Vector
    first: Array

    @classmethod
    def of(cls, tensor: str, labels: Array, space: Space) -> "Port | None":
        """None where it has other frames than the first and the last, or not one after another."""
        origin = space.origin(labels)
        framed = space.framed(labels)
        moving = [axis for axis in framed.axes if varies(origin.times, axis)] if framed else []
        if framed is not None and moving:
            shape = [1 if axis in framed.axes else size for axis, size in enumerate(labels.shape)]
            del shape[moving[0]]
            return cls(tensor, moving[0], tuple(shape), framed.vector, np.zeros(0))
        return cls._of_ends(tensor, labels, space)

    @classmethod
    def _of_ends(cls, tensor: str, labels: Array, space: Space) -> "Port | None":
        sequences = space.origin(labels).sequences
        batch = [axis for axis in range(labels.ndim) if varies(sequences, axis)]
        one = labels[tuple(slice(0, 1 if a in batch else None) for a in range(labels.ndim))]
        origin = space.origin(one.ravel())
        if (origin.signals < 0).any():
            return None
        last = np.array([space.shape(signal)[1] - 1 for signal in origin.signals.tolist()])
        first = origin.times != last
        if origin.times[first].any():
            return None
        vector = Vector(origin.signals, np.zeros_like(origin.times), origin.places)
        return cls(tensor, None, one.shape, vector, first)

    def frames(self, values: Array, signal: int) -> Array:
        """A signal's (time, values), of the tensor's."""
        rows = values[None] if self.time is None else np.moveaxis(values, self.time, 0)
        own = np.flatnonzero(self.vector.signals == signal)
        return rows.reshape(len(rows), -1)[:, own[np.argsort(self.vector.places[own])]]

    def values(self, known: Mapping[int, Array]) -> Array:
        """The tensor, of signals (time, values)."""
        length = max(len(known[one]) for one in self.vector.read)
        rows = taken(known, self.vector, length)
        if self.time is None:
            return np.where(self.first, rows[0], rows[-1]).reshape(self.shape)
        return np.moveaxis(rows.reshape(length, *self.shape), 0, self.time)


def taken(known: Mapping[int, Array], vector: Vector, length: int) -> Array:
    """A vector's values (length, values) of signals (time, values); zeros beyond their ends."""
    found = np.zeros((length, len(vector)))
    for column, (signal, delay, place) in enumerate(vector.rows):
        if signal >= 0:
            values = known[signal][max(-delay, 0) :, place][: length - max(delay, 0)]
            found[max(delay, 0) : max(delay, 0) + len(values), column] = values
    return found


class Ports:
    """Of all tensors.

    tensors: labels of what operations made, by name; views: of other tensors.
    """

    def __init__(
        self,
        signals: Sequence[Signal],
        space: Space,
        tensors: Mapping[str, Array],
        views: Mapping[str, Array],
    ) -> None:
        self._signals = signals
        self._made, self._views = (
            [port for name, one in some.items() if (port := Port.of(name, one, space)) is not None]
            for some in (tensors, views)
        )

    def source(self, signal: int, among: frozenset[int] | None = None) -> Port | None:
        """A tensor that holds the whole signal, best in every frame; None where there is none.

        among: it holds nothing but these; None: whatever.
        """
        size = self._signals[signal].size
        every = self._signals[signal].frames == 1
        found = [
            port
            for port in (*self._made, *self._views)
            if (port.vector.signals == signal).sum() == size
            and (among is None or port.vector.read <= among)
        ]
        best = [port for port in found if port.time is not None or every]
        return next(iter(best or (found if among is not None else [])), None)

    def made_of(self, outputs: Sequence[int]) -> tuple[Port, ...]:
        """All tensors that operations make of these signals; others where none holds one."""
        known = frozenset(outputs)
        found = [port for port in self._made if port.vector.read and port.vector.read <= known]
        more = [port for one in outputs if (port := self.source(one, known)) is not None]
        return tuple(dict.fromkeys([*found, *more]))
