"""Low rank: W = A B by truncated singular value decomposition (Xue, Li, Gong, Interspeech 2013)."""

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import torch
from torch import Tensor

from ernn.compress.method import Method, Parts
from ernn.errors import UserError
from ernn.ir.structure import Dense, Factors, require_count


@dataclass(frozen=True)
class LowRank(Method):
    """Matrices of at most rank `rank`, kept as A (rows, rank) times B (rank, columns).

    `stacked`: the gates of a weight (gates, rows, columns), one above the other, are one matrix
    with one B: fewer numbers for the same rank (Prabhavalkar et al. 2016).
    """

    factored: ClassVar[bool] = True
    rank: int
    stacked: bool = False

    def __post_init__(self) -> None:
        require_count("rank", self.rank)

    @property
    def pieces(self) -> int:
        return 2

    def stored(self, shape: tuple[int, ...]) -> int:
        *outer, rows, columns = shape
        if self.rank > min(rows, columns):
            raise UserError(
                f"rank {self.rank} is no restriction on ({rows}, {columns}): choose at most the "
                "lesser size"
            )
        gates = outer[-1] if self.stacked and outer else 1
        matrices = prod(outer) // gates
        return matrices * self.rank * (gates * rows + columns)

    def encode(self, matrix: Tensor) -> Parts:
        """A (..., gates, rows, rank), B (..., gates or 1, rank, columns); both
        have the roots of singular values.
        """
        self.stored(tuple(matrix.shape))
        stacks = self.stacked and matrix.dim() > 2
        left, values, right = torch.linalg.svd(
            matrix.flatten(-3, -2) if stacks else matrix, full_matrices=False
        )
        root = values[..., : self.rank].sqrt()
        left, right = (
            left[..., : self.rank] * root[..., None, :],
            root[..., :, None] * right[..., : self.rank, :],
        )
        if stacks:
            left, right = left.unflatten(-2, (-1, matrix.shape[-2])), right.unsqueeze(-3)
        return Parts((left, right))

    def split(self, parts: Parts) -> Factors:
        left, right = parts.tensors
        return (left.numpy(), Dense()), (right.numpy(), Dense())

    def decode(self, parts: Parts, rows: int, columns: int) -> Tensor:
        left, right = parts.tensors
        return left @ right


def rank_by_energy(matrix: Tensor, share: float) -> int:
    """Least rank that keeps a `share` of the squared norm of every (..., rows, columns)."""
    if not 0 < share <= 1:
        raise UserError(
            f"energy is a share of the squared norm, above 0 and at most 1, not {share!r}"
        )
    kept = torch.linalg.svdvals(matrix.detach().double()).square().cumsum(-1)
    enough = kept >= share * kept[..., -1:] * (1 - 1e-12)
    return int(enough.double().argmax(-1).max()) + 1


def rank_by_budget(shape: tuple[int, ...], numbers: int, stacked: bool = False) -> int:
    """Largest rank of a `shape` that stores at most `numbers`; UserError if rank 1 stores more."""
    rank = min(numbers // LowRank(1, stacked).stored(shape), *shape[-2:])
    if rank < 1:
        raise UserError(
            f"rank 1 of {shape} stores {LowRank(1, stacked).stored(shape)} numbers, the budget is "
            f"{numbers}"
        )
    return rank
