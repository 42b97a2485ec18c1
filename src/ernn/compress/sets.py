"""project, encode and decode of any structure: all that a solver knows of the set it works with."""

from torch import Tensor

from ernn.compress import block_circulant
from ernn.structure import BlockCirculant, Dense, Structure


def project(matrix: Tensor, structure: Structure) -> Tensor:
    """Nearest matrix of the structure in Frobenius norm; (..., rows, columns) to the same shape."""
    match structure:
        case Dense():
            return matrix
        case BlockCirculant():
            return block_circulant.project(matrix, structure)


def encode(matrix: Tensor, structure: Structure) -> Tensor:
    """The numbers that are stored for `project(matrix, structure)`; as many as `structure.stored_numbers` says."""
    match structure:
        case Dense():
            return matrix
        case BlockCirculant():
            return block_circulant.encode(matrix, structure)


def decode(stored: Tensor, structure: Structure, rows: int, columns: int) -> Tensor:
    """The matrix (..., rows, columns) of stored numbers: `decode(encode(W)) == project(W)`."""
    match structure:
        case Dense():
            return stored
        case BlockCirculant():
            return block_circulant.decode(stored, rows, columns)
