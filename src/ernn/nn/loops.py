"""The training loops in C (c/loops.c), and the tables that they are told.

One function each way runs every cell. All numbers of a pass lie in one flat array; tables of
integers say where, and what is done with them.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

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
    *(None, "sigmoid", "tanh", "relu", "hard_sigmoid", "hard_tanh", "softplus", "silu", "gelu"),
)
"""By number."""
PLUS, MINUS, BOTH, ALONE = range(4)
"""Of terms: a * b added or taken away, a + b added, a added."""
FORMAT, RESULTS = 7, 8
"""Columns of lines."""
STRIP = 1024  # numbers that are worked on together
VECTOR = 64  # bytes: columns of products in the loops fill vectors of so many
_COLUMNS = {"products": 8, "before": 9, "lines": 9, "after": 9, "outers": 7}


def available() -> bool:
    """Whether the loops were compiled; a warning, shown once, where not."""
    if _loops is None:
        warnings.warn(NOT_BUILT, RuntimeWarning, stacklevel=1)
    return _loops is not None


@dataclass(frozen=True, eq=False)
class Stage:
    """Rows of integers, in the order in which they are run. size: numbers of a vector."""

    products: Array
    before: Array
    lines: Array
    after: Array
    outers: Array
    size: int

    def row(self) -> list[int]:
        """As a `struct stage`."""
        tables = [getattr(self, name) for name in _COLUMNS]
        return [*(_address(one) for one in tables), *(len(one) for one in tables), self.size]


class Loops:
    """The stages of one way over the numbers of a pass."""

    def __init__(self, stages: Sequence[Stage], tables: Sequence[Array], back: bool) -> None:
        """tables: terms, places of numbers, places of gradients, matrices, weights, formats,
        results, numbers, gradients, totals, as `struct pass` has them.
        """
        for name, columns in _COLUMNS.items():
            assert all(getattr(stage, name).shape[1] == columns for stage in stages), name
        self._held = stages, tables
        self._stages = np.array([stage.row() for stage in stages])
        self._pass = np.array([_address(one) for one in (self._stages, *tables)])
        self._wide = tables[-1].dtype == np.float64
        self._back, self._at, self.count = back, _address(self._pass), len(stages)

    def run(self, stage: int, first: int, behind: int) -> None:
        """One stage in frames from `first` on before `behind`."""
        assert _loops is not None
        _loops.run(self._wide, self._back, self._at, stage, stage + 1, first, behind)

    def run_all(self, first: int, behind: int) -> None:
        """All stages, frame by frame."""
        assert _loops is not None
        _loops.run(self._wide, self._back, self._at, 0, self.count, first, behind)


def move(of: Tensor, to: Tensor) -> None:
    """to[...] = of, of up to four axes in any strides; what torch takes some times as long for where
    the last axes change places.
    """
    assert _loops is not None and of.shape == to.shape
    table = np.ones((3, 4), np.int64)
    for row, values in zip(table, (of.shape, to.stride(), of.stride()), strict=True):
        row[4 - of.dim() :] = values
    wide = of.dtype == torch.float64
    _loops.move(wide, _address(table), to.data_ptr(), of.data_ptr())


def _address(array: Array) -> int:
    assert array.flags.c_contiguous
    return array.ctypes.data
