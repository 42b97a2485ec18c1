"""The training loops in C (c/loops.c), and the tables that they are told.

One function each way runs every cell. All numbers of a pass lie in one flat array; tables of
integers say where, and what is done with them.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from ernn.ir.network import Array

try:
    from ernn.nn import _loops
except ImportError:
    _loops = None

NOT_BUILT = (
    "recurrent layers train in torch's own operations, several times slower than they could: there "
    "was no C compiler when ernn was installed. Install one (apt install gcc), then ernn again."
)

FUNCTIONS = (
    None,
    "sigmoid",
    "tanh",
    "relu",
    "hard_sigmoid",
    "hard_tanh",
    "softplus",
    "silu",
    "gelu",
)
"""By number."""
PLUS, MINUS, BOTH, ALONE = range(4)
"""Of terms: a * b added or taken away, a + b added, a added."""
RESULTS = 8  # a column of lines
STRIP = 16 * 1024  # numbers that are worked on together, of each thread that there can be
FRAMES = 8  # whose gradients of weights are taken together
VECTOR = 64  # bytes, which columns of products fill
ROWS = 8  # of a tile of weights


def available() -> bool:
    """Whether the loops were compiled; a warning, shown once, where not."""
    if _loops is None:
        warnings.warn(NOT_BUILT, RuntimeWarning, stacklevel=1)
    return _loops is not None


@dataclass(frozen=True, eq=False)
class Stage:
    """Rows of integers: lines, two lists of products before and after them, and outer products of
    weights' gradients. size: numbers of a vector.
    """

    lists: tuple[Array, Array, Array, Array]
    lines: Array
    outers: Array
    size: int

    def row(self) -> list[int]:
        """As a `struct stage`."""
        tables = *self.lists, self.lines, self.outers
        return [*map(_address, tables), *map(len, tables), self.size]


@dataclass(frozen=True, eq=False)
class Tables:
    """What a `struct pass` has beside its stages; the last six are numbers of one type."""

    terms: Array
    places: Array
    d_places: Array
    weights: Array
    formats: Array
    results: Array
    numbers: Array
    gradients: Array
    totals: Array


class Loops:
    """Stages of one way over the numbers of a pass."""

    def __init__(self, stages: Sequence[Stage], tables: Tables, back: bool) -> None:
        arrays = [getattr(tables, field.name) for field in fields(tables)]
        self._held, self._back, self._count = (stages, arrays), back, len(stages)
        self._stages = np.array([stage.row() for stage in stages])
        self._pass = np.array([_address(one) for one in (self._stages, *arrays)])
        self._wide, self._at = tables.numbers.dtype == np.float64, _address(self._pass)

    def run(self, stage: int, frames: range) -> None:
        """One stage."""
        self._run(stage, stage + 1, frames, 1)

    def run_all(self, frames: range, threads: int) -> None:
        """All stages, frame by frame, in so many threads."""
        self._run(0, self._count, frames, threads)

    def _run(self, stage: int, last: int, frames: range, threads: int) -> None:
        assert _loops is not None
        span = stage, last, frames.start, frames.stop
        _loops.run(self._wide, self._back, self._at, *span, threads)


def tiled(weights: Tensor) -> Tensor:
    """Matrices (..., rows, columns), one behind the other, each in tiles of ROWS rows."""
    some, whole = weights.transpose(-1, -2), weights.shape[-2] // ROWS
    tiles = some[..., : whole * ROWS].unflatten(-1, (whole, ROWS)).transpose(-3, -2)
    return torch.cat([tiles.flatten(-3), some[..., whole * ROWS :].flatten(-2)], -1).flatten()


def move(of: Tensor, to: Tensor) -> None:
    """to[...] = of, in any strides of up to four axes, for which torch takes some times as long."""
    assert _loops is not None and of.shape == to.shape
    axes = sorted(range(of.dim()), key=lambda axis: -to.stride(axis))  # written one after another
    table = np.ones((3, 4), np.int64)
    for row, values in zip(table, (of.shape, to.stride(), of.stride()), strict=True):
        row[4 - of.dim() :] = [values[axis] for axis in axes]
    wide = of.dtype == torch.float64
    _loops.move(wide, _address(table), to.data_ptr(), of.data_ptr())


def _address(array: Array) -> int:
    assert array.flags.c_contiguous
    return array.ctypes.data
