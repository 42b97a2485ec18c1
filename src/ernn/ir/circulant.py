"""Block-circulant arrays in NumPy: first columns of blocks to full matrices and back.

Shapes: a matrix (..., rows, columns) has block vectors (..., R, C, k), with R = ceil(rows / k) and
C = ceil(columns / k).
"""

import numpy as np

from ernn.ir import sparse
from ernn.ir.structure import (
    BankBalanced,
    BlockCirculant,
    Dense,
    LoadBalanced,
    Pruned,
    Signed,
    Structure,
    block_grid,
    block_size,
)


def decode_blocks(blocks: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Block vectors (..., R, C, k) to the matrix (..., rows, columns).

    A block of the vector w has block[a, b] = w[(a - b) mod k].
    """
    k = blocks.shape[-1]
    difference = (np.arange(k)[:, None] - np.arange(k)[None, :]) % k
    full = np.moveaxis(blocks[..., difference], -2, -3)
    shape = (*blocks.shape[:-3], blocks.shape[-3] * k, blocks.shape[-2] * k)
    return full.reshape(shape)[..., :rows, :columns]


def encode_blocks(matrix: np.ndarray, k: int) -> np.ndarray:
    """The nearest block-circulant matrix to (..., rows, columns), as block vectors (..., R, C, k).

    Nearest in Frobenius norm: each number is the mean of its wrapped diagonal; in a block cut by
    padding, of the part that exists (0 where none does).
    """
    rows, columns = matrix.shape[-2:]
    lead = [(0, 0)] * (matrix.ndim - 2)
    padding = [*lead, (0, -rows % k), (0, -columns % k)]
    total = _diagonal_sums(np.pad(matrix, padding), k)
    count = _diagonal_sums(np.pad(np.ones((rows, columns)), padding[-2:]), k)
    return total / np.maximum(count, 1)


def _diagonal_sums(matrix: np.ndarray, k: int) -> np.ndarray:
    shape = (*matrix.shape[:-2], matrix.shape[-2] // k, k, matrix.shape[-1] // k, k)
    blocks = np.moveaxis(matrix.reshape(shape), -3, -2)
    columns = np.arange(k)
    rows = (
        np.arange(k)[:, None] + columns[None, :]
    ) % k  # entry (d + b, b) lies on wrapped diagonal d
    return blocks[..., rows, columns[None, :]].sum(-1)


def project(matrix: np.ndarray, structure: Structure) -> np.ndarray:
    """Nearest matrix of the structure in Frobenius norm; UserError for sizes that do not fit."""
    match structure:
        case Dense():
            return matrix
        case BlockCirculant():
            block_grid(structure, *matrix.shape[-2:])
            blocks = encode_blocks(matrix, block_size(structure))
            return decode_blocks(blocks, *matrix.shape[-2:])
        case Pruned() | LoadBalanced() | BankBalanced():
            return sparse.project(matrix, structure)
        case Signed(inner):
            signs = structure.diagonal(matrix.shape[-1])
            return project(matrix * signs, inner) * signs
        case _:
            return structure.nearest(matrix)
