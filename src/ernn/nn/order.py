"""The order in which a layer in blocks of k keeps its units: unit p * k + j at place (j, p).

So the k-point transforms of all blocks of a vector are one matrix product with no copy: an axis
(units, batch) is read as (k, blocks * batch).  For k = 1 nothing changes.
"""

from torch import Tensor


def to_order(x: Tensor, block: int, dim: int) -> Tensor:
    """Axis `dim` from the usual order to (j, p); its size is a multiple of `block`."""
    return _exchange(x, (-1, block), dim) if block > 1 else x


def from_order(x: Tensor, block: int, dim: int) -> Tensor:
    """The reverse of `to_order`."""
    return _exchange(x, (block, -1), dim) if block > 1 else x


def gates_to_order(x: Tensor, gates: int, block: int) -> Tensor:
    """Axis 0, (gate, unit), with each gate's units in that order."""
    return to_order(x.unflatten(0, (gates, -1)), block, 1).flatten(0, 1) if block > 1 else x


def _exchange(x: Tensor, shape: tuple[int, int], dim: int) -> Tensor:
    return x.unflatten(dim, shape).transpose(dim, dim + 1).flatten(dim, dim + 1)
