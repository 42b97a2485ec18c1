"""What all sparse structures share: the largest weights of every group stay, the others are zero.

Which weights share a group is the structure's own file: its `split` turns (..., rows, columns) into
(..., groups, size), its `join` turns that back.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ernn.compress import bank_balanced, load_balanced, pruned
from ernn.ir.structure import BankBalanced, LoadBalanced, Pruned, Sparse, groups


@dataclass(frozen=True, eq=False)
class Kept:
    """values (..., groups, kept) and their positions in the group, ascending, of the same shape."""

    values: Tensor
    positions: Tensor

    def numel(self) -> int:
        """Weights kept."""
        return self.values.numel()


def encode(matrix: Tensor, structure: Sparse) -> Kept:
    """The largest magnitudes of each group; of equals, those that come first.

    That is the nearest point in Frobenius norm: what is left out is the least that can be.
    """
    kept, grouped = groups(structure, *matrix.shape[-2:]).kept, split(matrix, structure)
    order = grouped.detach().abs().sort(dim=-1, descending=True, stable=True).indices
    return at(matrix, structure, order[..., :kept].sort(dim=-1).values)


def at(matrix: Tensor, structure: Sparse, positions: Tensor) -> Kept:
    """What of `matrix` lies at `positions`."""
    return Kept(split(matrix, structure).gather(-1, positions), positions)


def decode(stored: Kept, structure: Sparse, rows: int, columns: int) -> Tensor:
    """The matrix (..., rows, columns), zeros where nothing is kept."""
    empty = stored.values.new_zeros(
        (*stored.values.shape[:-1], groups(structure, rows, columns).size)
    )
    return join(torch.scatter(empty, -1, stored.positions, stored.values), structure, rows, columns)


def split(matrix: Tensor, structure: Sparse) -> Tensor:
    """(..., rows, columns) to (..., groups, size)."""
    match structure:
        case Pruned():
            return pruned.split(matrix)
        case LoadBalanced(pes=pes):
            return load_balanced.split(matrix, pes)
        case BankBalanced(bank=bank):
            return bank_balanced.split(matrix, bank)


def join(grouped: Tensor, structure: Sparse, rows: int, columns: int) -> Tensor:
    """The reverse of `split`."""
    match structure:
        case Pruned():
            return pruned.join(grouped, rows, columns)
        case LoadBalanced():
            return load_balanced.join(grouped, columns)
        case BankBalanced():
            return bank_balanced.join(grouped, rows, columns)
