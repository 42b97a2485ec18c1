"""Block-circulant matrices in torch, so that gradients pass: project, encode, decode.

Equations: docs/explanation/equations.md.  A weight (..., rows, columns) has block vectors (..., R,
C, k) with R = ceil(rows / k), C = ceil(columns / k): the first columns of its blocks, block[a, b] =
w[(a - b) mod k].  The set is a linear subspace, so the projection is exact: each wrapped diagonal
is replaced by its mean. `ernn.ir.circulant` is the same in NumPy, written differently; tests
compare.
"""

from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import one_hot, pad

from ernn.ir.structure import BlockCirculant, block_grid


def encode(matrix: Tensor, structure: BlockCirculant) -> Tensor:
    """Block vectors (..., R, C, k) of the nearest block-circulant matrix.

    In a block cut by padding a number is the mean of what is there of its diagonal, 0 where nothing
    is. Raises UserError where the block size divides a size not and padding was not asked for.
    """
    rows, columns = matrix.shape[-2:]
    block_grid(structure, rows, columns)
    sums = _diagonal_sums(matrix, structure.block)
    return sums / _diagonal_lengths(rows, columns, structure.block).to(sums)


def decode(blocks: Tensor, rows: int, columns: int) -> Tensor:
    """The matrix (..., rows, columns) of block vectors (..., R, C, k)."""
    k = blocks.shape[-1]
    # A product with a 0/1 matrix copies exactly, and its gradient is another product, not a slow
    # scatter.
    full = (blocks @ _diagonals(k).to(blocks)).unflatten(-1, (k, k)).transpose(-2, -3)
    return full.flatten(-4, -3).flatten(-2)[..., :rows, :columns]


def project(matrix: Tensor, structure: BlockCirculant) -> Tensor:
    """Nearest block-circulant matrix in Frobenius norm; errors as `encode`."""
    return decode(encode(matrix, structure), *matrix.shape[-2:])


def _diagonal_sums(matrix: Tensor, k: int) -> Tensor:
    rows, columns = matrix.shape[-2:]
    padded = pad(matrix, (0, -columns % k, 0, -rows % k))
    blocks = padded.unflatten(-1, (-1, k)).unflatten(-3, (-1, k)).transpose(-2, -3)
    return blocks.flatten(-2) @ _diagonals(k).to(matrix).T


def _diagonal_lengths(rows: int, columns: int, k: int) -> Tensor:
    """Entries of each wrapped diagonal inside the matrix, (R, C, k); 1 where there are none."""
    return _diagonal_sums(torch.ones(rows, columns), k).clamp(min=1)


@cache
def _diagonals(k: int) -> Tensor:
    """(k, k*k): entry [d, a*k + b] is 1 where (a - b) mod k = d."""
    index = torch.arange(k)
    return (
        one_hot((index[:, None] - index) % k, k)
        .permute(2, 0, 1)
        .flatten(1)
        .to(torch.get_default_dtype())
    )
