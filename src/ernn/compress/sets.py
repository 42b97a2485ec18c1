"""project, encode and decode of any structure: all that a solver knows of the set it works with."""

from torch import Tensor

from ernn.compress import block_circulant, sparse
from ernn.compress.sparse import Kept
from ernn.structure import BankBalanced, BlockCirculant, Dense, LoadBalanced, Pruned, Structure

Stored = Tensor | Kept
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


def encode(matrix: Tensor, structure: Structure) -> Stored:
    """The numbers that are stored for `project(matrix, structure)`; as many as `structure.stored_numbers` says."""
    match structure:
        case Dense():
            return matrix
        case BlockCirculant():
            return block_circulant.encode(matrix, structure)
        case Pruned() | LoadBalanced() | BankBalanced():
            return sparse.encode(matrix, structure)


def decode(stored: Stored, structure: Structure, rows: int, columns: int) -> Tensor:
    """The matrix (..., rows, columns) of stored numbers: `decode(encode(W)) == project(W)`."""
    match structure, stored:
        case Dense(), Tensor():
            return stored
        case BlockCirculant(), Tensor():
            return block_circulant.decode(stored, rows, columns)
        case Pruned() | LoadBalanced() | BankBalanced(), Kept():
            return sparse.decode(stored, structure, rows, columns)
        case _:
            raise TypeError(f"{type(stored).__name__} is not how {structure} is stored")
