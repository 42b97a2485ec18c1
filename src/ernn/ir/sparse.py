"""Sparse matrices: which entries share a group, and the nearest matrix of a set.

NumPy only; `ernn.compress` has the same sets in torch, written differently.
"""

import numpy as np

from ernn.ir.structure import BankBalanced, LoadBalanced, Pruned, Sparse, groups

Array = np.ndarray


def project(matrix: Array, structure: Sparse) -> Array:
    """Nearest matrix (..., rows, columns) in Frobenius norm; of equals, the first stay."""
    kept, owner = (
        groups(structure, *matrix.shape[-2:]),
        group_of(structure, *matrix.shape[-2:]).ravel(),
    )
    flat = matrix.reshape(-1, owner.size)
    found = np.zeros_like(flat)
    for row, out in zip(flat, found, strict=True):
        order = np.lexsort((-np.abs(row), owner)).reshape(kept.count, kept.size)[:, : kept.kept]
        out[order] = row[order]
    return found.reshape(matrix.shape)


def group_of(structure: Sparse, rows: int, columns: int) -> Array:
    """The group (rows, columns) of every entry, from 0."""
    row, column = np.indices((rows, columns))
    match structure:
        case Pruned():
            return np.zeros_like(row)
        case LoadBalanced(pes=pes):
            return row % pes
        case BankBalanced(bank=bank):
            return row * (columns // bank) + column // bank
