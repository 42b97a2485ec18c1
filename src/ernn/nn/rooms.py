"""Places of numbers in one flat tensor, and what lies there frame by frame."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ernn.nn.table import Room

_LINE = 16  # numbers of a cache line


@dataclass(frozen=True)
class Place:
    """`frames` of `size` numbers from `base` on; that of time t is at t + `ahead`.

    `ring`: modulo frames, a power of two. `strip`: a place for the strip that is at work.
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

    def row(self, first: int, delay: int) -> tuple[int, ...]:
        """As `ernn.nn.loops` has it, of a vector that begins at number `first` of a frame."""
        if self.strip:
            return self.base, 0, 0, 0, 0
        return self.base + first, self.ahead - delay, self.mask, self.size, 1


Places = Mapping[Room, Place]


class Frames:
    """What lies at a place, each frame of `shape`, `delay` frames late. all: (frames, *shape)."""

    def __init__(
        self, numbers: Tensor, place: Place, shape: tuple[int, ...], delay: int = 0
    ) -> None:
        there = numbers[place.base : place.base + place.frames * place.size]
        self.all = there.view(place.frames, *shape)
        self._ahead, self._mask = place.ahead - delay, place.mask

    @cached_property
    def _views(self) -> tuple[Tensor, ...]:
        return self.all.unbind(0)

    def __getitem__(self, t: int) -> Tensor:
        return self._views[(t + self._ahead) & self._mask]

    def some(self, first: int, behind: int) -> Tensor:
        """(frames, *shape) from time `first` on before `behind`, which lie behind each other."""
        at = (first + self._ahead) & self._mask
        return self.all[at : at + behind - first]


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
