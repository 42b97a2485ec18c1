"""Tensor-train matrices (Oseledets 2011; Novikov et al. 2015;
recurrent: Yang, Krompass, Tresp 2017).
"""

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import torch
from torch import Tensor

from ernn.compress.method import Method, Parts
from ernn.errors import UserError
from ernn.ir.kronecker import Repeated
from ernn.ir.structure import Factors, require_count


@dataclass(frozen=True)
class TensorTrain(Method):
    """Row i = (i_1, ..., i_d) and column j = (j_1, ..., j_d), in `row_modes` and
    `column_modes`, the first the slowest:

        W[i, j] = G_1[i_1, j_1] G_2[i_2, j_2] ... G_d[i_d, j_d]

    with G_k[i_k, j_k] of at most (rank, rank). Found by one sweep of singular value decompositions:
    at most sqrt(d - 1) times the least error.
    """

    factored: ClassVar[bool] = True
    row_modes: tuple[int, ...]
    column_modes: tuple[int, ...]
    rank: int

    def __post_init__(self) -> None:
        require_count("rank", self.rank)
        for mode in (*self.row_modes, *self.column_modes):
            require_count("a mode", mode)
        if len(self.row_modes) != len(self.column_modes) or len(self.row_modes) < 2:
            raise UserError(
                f"rows and columns need as many modes, two at least: {self.row_modes}, "
                f"{self.column_modes}"
            )

    @property
    def modes(self) -> tuple[int, ...]:
        """Row and column mode of every core together."""
        return tuple(m * n for m, n in zip(self.row_modes, self.column_modes, strict=True))

    @property
    def ranks(self) -> tuple[int, ...]:
        """Between the cores, 1 at both ends: `rank`, or less if the modes of a side allow less."""
        middle = [
            min(self.rank, prod(self.modes[:k]), prod(self.modes[k:]))
            for k in range(1, len(self.modes))
        ]
        return (1, *middle, 1)

    @property
    def pieces(self) -> int:
        return len(self.row_modes)

    def stored(self, shape: tuple[int, ...]) -> int:
        if (prod(self.row_modes), prod(self.column_modes)) != tuple(shape[-2:]):
            raise UserError(
                f"modes {self.row_modes} and {self.column_modes} do not multiply to "
                f"{tuple(shape[-2:])}"
            )
        cores = zip(self.ranks, self.modes, self.ranks[1:], strict=False)
        return prod(shape[:-2]) * sum(before * mode * after for before, mode, after in cores)

    def multiplications(self, shape: tuple[int, ...]) -> int:
        """Core by core from the last: each turns one column mode into a row mode."""
        total, left, done = 0, prod(self.column_modes), 1
        for k in reversed(range(len(self.modes))):
            left //= self.column_modes[k]
            total += left * done * self.ranks[k] * self.modes[k] * self.ranks[k + 1]
            done *= self.row_modes[k]
        return prod(shape[:-2]) * total

    def encode(self, matrix: Tensor) -> Parts:
        """Cores (..., rank, row mode, column mode, rank)."""
        self.stored(tuple(matrix.shape))
        outer, d = matrix.shape[:-2], len(self.modes)
        split = matrix.reshape(*outer, *self.row_modes, *self.column_modes)
        pairs = [len(outer) + axis for k in range(d) for axis in (k, d + k)]
        rest = split.permute(*range(len(outer)), *pairs).reshape(*outer, 1, -1)
        cores = []
        for k in range(d - 1):
            rows = self.ranks[k] * self.modes[k]
            left, values, right = torch.linalg.svd(
                rest.reshape(*outer, rows, -1), full_matrices=False
            )
            kept = self.ranks[k + 1]
            cores.append(self._core(left[..., :kept], k))
            rest = values[..., :kept, None] * right[..., :kept, :]
        return Parts((*cores, self._core(rest.reshape(*outer, -1, 1), d - 1)))

    def split(self, parts: Parts) -> Factors:
        """A matrix a core, which multiplies (column modes up to its own, rank, later row modes)."""
        found = []
        for k, core in enumerate(parts.tensors):
            structure = Repeated(prod(self.column_modes[:k]), prod(self.row_modes[k + 1 :]))
            found.append((structure.whole(core.flatten(-2).flatten(-3, -2).numpy()), structure))
        return tuple(found)

    def _core(self, unfolded: Tensor, k: int) -> Tensor:
        return unfolded.reshape(
            *unfolded.shape[:-2], self.ranks[k], self.row_modes[k], self.column_modes[k], -1
        )

    def decode(self, parts: Parts, rows: int, columns: int) -> Tensor:
        outer = parts.tensors[0].shape[:-4]
        # Axes: (..., rows so far, columns so far, rank).
        whole = parts.tensors[0].new_ones(*outer, 1, 1, 1)
        for core in parts.tensors:
            grown = torch.einsum("...ijr,...rmns->...imjns", whole, core)
            whole = grown.flatten(-5, -4).flatten(-3, -2)
        return whole.squeeze(-1)
