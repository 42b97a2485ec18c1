"""Structured sparsity: whole tiles stay or go (Wen et al. 2016; recurrent: Narang et al. 2017)."""

from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor

from ernn.compress.method import Method, Parts
from ernn.errors import UserError
from ernn.ir.structure import density_on_the_way, position_bits, require_count, require_density


@dataclass(frozen=True)
class Tiles(Method):
    """A share `density` of the tiles of (`rows`, `columns`) is kept, those of largest norm.

    Vectors are tiles of one row or column; a tile as long as the matrix is a whole one.
    """

    density: float
    rows: int
    columns: int

    def __post_init__(self) -> None:
        require_density(self.density)
        require_count("rows", self.rows)
        require_count("columns", self.columns)

    def _counts(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Tiles of one matrix, and how many of them are kept."""
        rows, columns = shape[-2:]
        if rows % self.rows or columns % self.columns:
            raise UserError(
                f"tiles of {self.rows} x {self.columns} do not divide a matrix of {rows} x "
                f"{columns}"
            )
        tiles = rows // self.rows * (columns // self.columns)
        if not round(self.density * tiles):
            raise UserError(
                f"{self} keeps none of {tiles} tiles: choose a density of {1 / tiles:.2g} up"
            )
        return tiles, round(self.density * tiles)

    def stored(self, shape: tuple[int, ...]) -> int:
        return prod(shape[:-2]) * self._counts(shape)[1] * self.rows * self.columns

    def bits(self, shape: tuple[int, ...], number_bits: int) -> int:
        return self.stored(shape) * number_bits + prod(shape[:-2]) * position_bits(
            *self._counts(shape)
        )

    def encode(self, matrix: Tensor) -> Parts:
        """Tiles kept (..., kept, rows * columns), and which they are (..., kept), ascending."""
        kept = self._counts(tuple(matrix.shape))[1]
        norms = self._split(matrix).detach().square().sum(-1)
        order = norms.sort(dim=-1, descending=True, stable=True).indices
        held = (order[..., :kept].sort(dim=-1).values,)
        return Parts(self.again(matrix, held), held)

    def again(self, matrix: Tensor, held: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        places = held[0][..., None].expand(*held[0].shape, self.rows * self.columns)
        return (self._split(matrix).gather(-2, places),)

    def decode(self, parts: Parts, rows: int, columns: int) -> Tensor:
        values, places = parts.tensors[0], parts.held[0][..., None].expand_as(parts.tensors[0])
        tiles = rows // self.rows * (columns // self.columns)
        whole = torch.scatter(
            values.new_zeros(*values.shape[:-2], tiles, values.shape[-1]), -2, places, values
        )
        apart = whole.unflatten(-2, (rows // self.rows, -1)).unflatten(
            -1, (self.rows, self.columns)
        )
        return apart.transpose(-3, -2).flatten(-2).flatten(-3, -2)

    def weaker(self, share: float) -> "Tiles":
        return replace(self, density=density_on_the_way(self.density, share))

    def _split(self, matrix: Tensor) -> Tensor:
        """(..., tiles, rows * columns)."""
        apart = (
            matrix.unflatten(-1, (-1, self.columns))
            .unflatten(-3, (-1, self.rows))
            .transpose(-3, -2)
        )
        return apart.flatten(-2).flatten(-3, -2)
