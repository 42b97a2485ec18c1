"""project, encode and decode of any structure: all that a solver knows of the set it works with."""

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from ernn.compress import block_circulant, sparse
from ernn.compress.method import Method, Parts
from ernn.compress.sparse import Kept
from ernn.ir.structure import (
    BankBalanced,
    BlockCirculant,
    Dense,
    LoadBalanced,
    Pruned,
    Signed,
    Sparse,
    Structure,
    density_on_the_way,
)

Stored = Tensor | Kept | Parts
"""Numbers; with their positions where a structure leaves those open."""


def project(matrix: Tensor, structure: Structure) -> Tensor:
    """Nearest matrix of the structure in Frobenius norm; (..., rows, columns) to the same shape."""
    match structure:
        case Dense():
            return matrix
        case BlockCirculant():
            return block_circulant.project(matrix, structure)
        case Pruned() | LoadBalanced() | BankBalanced():
            return sparse.decode(sparse.encode(matrix, structure), structure, *matrix.shape[-2:])
        case Signed(inner):
            return turned(project(turned(matrix, structure), inner), structure)
        case _:
            return _method(structure).project(matrix)


def encode(matrix: Tensor, structure: Structure) -> Stored:
    """The numbers stored for `project(matrix, structure)`: `structure.stored` of them."""
    match structure:
        case Dense():
            return matrix
        case BlockCirculant():
            return block_circulant.encode(matrix, structure)
        case Pruned() | LoadBalanced() | BankBalanced():
            return sparse.encode(matrix, structure)
        case Signed(inner):
            return encode(turned(matrix, structure), inner)
        case _:
            return _method(structure).encode(matrix)


def decode(stored: Stored, structure: Structure, rows: int, columns: int) -> Tensor:
    """The matrix (..., rows, columns) of stored numbers: `decode(encode(W)) == project(W)`."""
    match structure, stored:
        case Dense(), Tensor():
            return stored
        case BlockCirculant(), Tensor():
            return block_circulant.decode(stored, rows, columns)
        case Pruned() | LoadBalanced() | BankBalanced(), Kept():
            return sparse.decode(stored, structure, rows, columns)
        case Method(), Parts():
            return structure.decode(stored, rows, columns)
        case Signed(inner), _:
            return turned(decode(stored, inner, rows, columns), structure)
        case _:
            raise TypeError(f"{type(stored).__name__} is not how {structure} is stored")


def turned(matrix: Tensor, structure: Signed) -> Tensor:
    """W to C, and back: every column times its sign."""
    return matrix * torch.from_numpy(structure.diagonal(matrix.shape[-1])).to(matrix)


def _method(structure: Structure) -> Method:
    assert isinstance(structure, Method), (
        f"{structure} has no torch functions: derive it from ernn.compress.method.Method"
    )
    return structure


# The same of every structure, for those that hold another one


def parts(matrix: Tensor, structure: Structure) -> Parts:
    """`encode`, and the numbers' positions if stored apart; `Method.start` for training inside."""
    if isinstance(structure, Signed):
        return parts(turned(matrix, structure), structure.inner)
    stored = structure.start(matrix) if isinstance(structure, Method) else encode(matrix, structure)
    match stored:
        case Tensor():
            return Parts((stored,))
        case Kept(values, positions):
            return Parts((values,), (positions,))
        case Parts():
            return stored


def joined(stored: Parts, structure: Structure, rows: int, columns: int) -> Tensor:
    """The matrix of `parts`; gradients pass."""
    if isinstance(structure, Signed):
        return turned(joined(stored, structure.inner, rows, columns), structure)
    if isinstance(structure, Method):
        return structure.rebuilt(stored, rows, columns)
    if stored.held:
        return decode(Kept(stored.tensors[0], stored.held[0]), structure, rows, columns)
    return decode(stored.tensors[0], structure, rows, columns)


def at(matrix: Tensor, structure: Structure, held: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The numbers of a matrix at places that are held."""
    if isinstance(structure, Signed):
        return at(turned(matrix, structure), structure.inner, held)
    if isinstance(structure, Method):
        return structure.again(matrix, held)
    return (sparse.at(matrix, cast(Sparse, structure), held[0]).values,)


def weaker(structure: Structure, share: float) -> Structure:
    """The structure at a `share` of the way from dense to itself, for gradual compression."""
    match structure:
        case Pruned() | LoadBalanced() | BankBalanced():
            return replace(structure, density=density_on_the_way(structure.density, share))
        case Method():
            return structure.weaker(share)
        case Signed(inner):
            return replace(structure, inner=weaker(inner, share))
        case _:
            return structure
