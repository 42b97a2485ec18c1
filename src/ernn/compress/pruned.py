"""Magnitude pruning: one group a matrix."""

from torch import Tensor


def split(matrix: Tensor) -> Tensor:
    """(..., rows, columns) to (..., 1, rows * columns)."""
    return matrix.flatten(-2)[..., None, :]


def join(grouped: Tensor, rows: int, columns: int) -> Tensor:
    """The reverse of `split`."""
    return grouped.squeeze(-2).unflatten(-1, (rows, columns))
