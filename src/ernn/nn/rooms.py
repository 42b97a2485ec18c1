"""Places of numbers in one flat tensor, and what lies there frame by frame."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ernn.nn.table import Room

_LINE = 16  # numbers of a cache line


@dataclass(frozen=True)
class Place:
    """`frames` of `size` numbers from `base` on; that of time t is at t + `ahead`.

    `ring`: modulo frames, a power of two. `strip`: for the numbers at work alone.
    """

    base: int
    frames: int
    size: int
    ahead: int = 0
    ring: bool = True
    strip: bool = False

    @property
    def mask(self) -> int:
        return self.frames - 1 if self.ring else -1

    def view(self, numbers: Tensor, *shape: int) -> Tensor:
        """All frames, of `shape` each."""
        there = numbers[self.base : self.base + self.frames * self.size]
        return there.view(self.frames, *shape)

    def row(self, first: int, delay: int) -> tuple[int, ...]:
        """As `ernn.nn.loops` has it, of a vector that begins at number `first` of a frame."""
        if self.strip:
            return self.base, 0, 0, 0, 1
        return self.base + first, self.ahead - delay, self.mask, self.size, 0


Places = Mapping[Room, Place]


def behind_each_other(places: Places) -> dict[Room, Place]:
    """The same with bases."""
    found, base = {}, 0
    for room, place in places.items():
        found[room] = replace(place, base=base)
        base += -(-place.frames * place.size // _LINE) * _LINE
    return found


def blank(places: Places, like: Tensor) -> Tensor:
    """A flat tensor for them, which begins with a cache line.

    It is NumPy's memory: of large arrays in huge pages, whose first use takes a sixth of the time
    (measured).
    """
    last = max(places.values(), key=lambda place: place.base)
    count, dtype = last.base + last.frames * last.size, like.detach().numpy().dtype
    found = np.empty(count + _LINE, dtype)
    first = -found.ctypes.data % 64 // found.itemsize
    return torch.from_numpy(found[first : first + count])
