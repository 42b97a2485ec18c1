"""Tucker decomposition of a weight's matrices together (Tucker 1966; De Lathauwer et al. 2000)."""

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ernn.compress.method import Method, Parts
from ernn.errors import UserError
from ernn.ir.structure import Dense, Factors, require_count


@dataclass(frozen=True)
class Tucker(Method):
    """Gates (gates, rows, columns) as U C_g V: U (rows, row_rank) and V (column_rank,
    columns) are shared, a core C_g a gate.

    By the higher-order singular value decomposition: at most sqrt(2) times as far as the
    nearest, which has no closed form.
    """

    factored: ClassVar[bool] = True
    row_rank: int
    column_rank: int

    def __post_init__(self) -> None:
        require_count("row_rank", self.row_rank)
        require_count("column_rank", self.column_rank)

    @property
    def pieces(self) -> int:
        return 3

    def stored(self, shape: tuple[int, ...]) -> int:
        *outer, rows, columns = shape
        if self.row_rank > rows or self.column_rank > columns:
            raise UserError(
                f"ranks {self.row_rank}, {self.column_rank} are above the sizes of ({rows}, "
                f"{columns})"
            )
        gates = outer[-1] if outer else 1
        core = gates * self.row_rank * self.column_rank
        return prod(outer) // gates * (rows * self.row_rank + core + self.column_rank * columns)

    def multiplications(self, shape: tuple[int, ...]) -> int:
        """V x once; the core and U for each gate."""
        *outer, rows, columns = shape
        gates = outer[-1] if outer else 1
        a_gate = self.row_rank * (self.column_rank + rows)
        return prod(outer) // gates * (self.column_rank * columns + gates * a_gate)

    def encode(self, matrix: Tensor) -> Parts:
        self.stored(tuple(matrix.shape))
        gates = matrix[None] if matrix.dim() == 2 else matrix
        rows = _leading(gates.transpose(-3, -2).flatten(-2), self.row_rank)
        columns = _leading(gates.flatten(-3, -2).transpose(-2, -1), self.column_rank)
        core = rows.transpose(-2, -1)[..., None, :, :] @ gates @ columns[..., None, :, :]
        return Parts((rows, core, columns.transpose(-2, -1)))

    def decode(self, parts: Parts, rows: int, columns: int) -> Tensor:
        left, core, right = parts.tensors
        return left[..., None, :, :] @ core @ right[..., None, :, :]

    def split(self, parts: Parts) -> Factors:
        """U once a gate, as products want it, C_g, V."""
        rows, core, columns = (tensor.numpy() for tensor in parts.tensors)
        every = np.ascontiguousarray(np.broadcast_to(rows, (len(core), *rows.shape)))
        return (every, Dense()), (core, Dense()), (columns[None], Dense())

    def project(self, matrix: Tensor) -> Tensor:
        return super().project(matrix).reshape(matrix.shape)


def _leading(unfolded: Tensor, rank: int) -> Tensor:
    """Left singular vectors (..., size, rank); padded with zeros where there are fewer."""
    vectors = torch.linalg.svd(unfolded, full_matrices=False).U[..., :rank]
    return torch.nn.functional.pad(vectors, (0, rank - vectors.shape[-1]))
