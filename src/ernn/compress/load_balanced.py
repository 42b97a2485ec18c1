"""ESE's load-balance-aware pruning: a group is one processing element's share (FPGA 2017)."""

from torch import Tensor


def split(matrix: Tensor, pes: int) -> Tensor:
    """(..., rows, columns) to (..., pes, rows / pes * columns); element p: rows p, p + pes, ..."""
    return matrix.unflatten(-2, (-1, pes)).transpose(-3, -2).flatten(-2)


def join(grouped: Tensor, columns: int) -> Tensor:
    """The reverse of `split`."""
    return grouped.unflatten(-1, (-1, columns)).transpose(-3, -2).flatten(-3, -2)
