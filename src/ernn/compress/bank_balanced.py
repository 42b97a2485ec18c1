"""Bank-balanced sparsity: a group is a bank of neighbours in one row (Cao et al., FPGA 2019)."""

from torch import Tensor


def split(matrix: Tensor, bank: int) -> Tensor:
    """(..., rows, columns) to (..., rows * banks, bank)."""
    return matrix.unflatten(-1, (-1, bank)).flatten(-3, -2)


def join(grouped: Tensor, rows: int, columns: int) -> Tensor:
    """The reverse of `split`."""
    return grouped.flatten(-2).unflatten(-1, (rows, columns))
