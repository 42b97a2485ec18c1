"""Which axis of an input is time: the ways to read its shape, the likeliest first."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ernn.errors import UserError

Array = np.ndarray


@dataclass(frozen=True)
class Axes:
    """How frames (time, ...) of one sequence become an input: its axes of time and the batch."""

    time: int
    batch: int | None

    def tensor(self, frames: Array) -> Array:
        """The input."""
        place = self.time - (self.batch is not None and self.batch < self.time)
        moved = np.moveaxis(frames, 0, place)
        return moved if self.batch is None else np.expand_dims(moved, self.batch)


def ways(name: str, dims: Sequence[int | None], shape: Sequence[int]) -> Iterator[Axes]:
    """Ways to give frames of a `shape` to an input; `dims`: its sizes, None where any will do.

    Raises UserError where there is none.
    """
    rank = len(dims)
    if rank == len(shape):
        found = [
            Axes(axis, None) for axis in sorted(range(rank), key=lambda a: dims[a] is not None)
        ]
    elif rank == len(shape) + 1:
        pairs = [(1, 0), (0, 1), *((t, b) for b in range(rank) for t in range(rank) if t != b)]
        found = [Axes(*pair) for pair in dict.fromkeys(pairs) if max(pair) < rank]
    else:
        found = []
    fitting = [axes for axes in found if _fits(axes, dims, shape)]
    if not fitting:
        sizes = ", ".join("any" if one is None else str(one) for one in dims)
        raise UserError(
            f"frames of shape {tuple(shape)}, time first, cannot be one sequence of the input "
            f"{name} ({sizes}): give (time, values), and export the network with a batch of 1"
        )
    longer = [axes for axes in fitting if dims[axes.time] != 1]
    yield from longer or fitting


def _fits(axes: Axes, dims: Sequence[int | None], shape: Sequence[int]) -> bool:
    rest = [size for at, size in enumerate(dims) if at not in (axes.time, axes.batch)]
    alike = all(size in (None, have) for size, have in zip(rest, shape[1:], strict=True))
    known = (
        dims[axes.time] is None or None not in rest
    )  # not time of a fixed length beside any other
    return alike and known and (axes.batch is None or dims[axes.batch] in (None, 1))


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a network is given: the first input is made of frames.

    name: of the first input.  shape: of one of its frames.
    timed: of other inputs that have a frame for each of the first's, their axes and shapes.
    others: values of all other inputs unless they are given.
    """

    name: str
    axes: Axes
    others: Mapping[str, Array]
    shape: tuple[int, ...]
    timed: Mapping[str, tuple[Axes, tuple[int, ...]]] = field(default_factory=dict)

    def given(self, frames: Array, **others: Array) -> dict[str, Array]:
        """Inputs by name, of one sequence (time, ...)."""
        if frames.shape[1:] != self.shape or not len(frames):
            wanted = ", ".join(("time", *map(str, self.shape)))
            raise UserError(f"frames must be ({wanted}), not {frames.shape}")
        if unknown := sorted(others.keys() - self.others.keys() - self.timed.keys()):
            names = ", ".join((*self.others, *self.timed)) or "no other"
            raise UserError(f"the network has {names} beside {self.name}, not {', '.join(unknown)}")
        beside = {name: self._beside(name, others.get(name), len(frames)) for name in self.timed}
        return {**self.others, **others, **beside, self.name: self.axes.tensor(frames)}

    def _beside(self, name: str, values: Array | None, length: int) -> Array:
        """Another input of as many frames."""
        axes, shape = self.timed[name]
        if values is None or np.shape(values) != (length, *shape):
            have = "nothing" if values is None else np.shape(values)
            raise UserError(
                f"{name} has a frame for each of {self.name}: give it as {(length, *shape)}, not "
                f"{have}, in a mapping {{{self.name!r}: ..., {name!r}: ...}}"
            )
        return axes.tensor(np.asarray(values))

    def zeros(self, length: int) -> dict[str, Array]:
        """Frames for the other inputs that have them."""
        return {name: np.zeros((length, *shape)) for name, (_, shape) in self.timed.items()}
