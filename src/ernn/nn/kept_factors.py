"""Factors of a weight as they were trained, kept beside it: from their product alone they cannot be
told again.
"""

from collections.abc import Sequence

import numpy as np
from torch import nn

from ernn.ir.structure import Factors

_NAME = "_kept_factors"
TOLERANCE = 1e-5
"""Of what a product may be off from its weight, relative to its norm."""


def keep_factors(owner: nn.Module, attribute: str, factors: Factors) -> None:
    """Remember of parameter `attribute` what it is the product of."""
    if not hasattr(owner, _NAME):
        setattr(owner, _NAME, {})
    getattr(owner, _NAME)[attribute] = factors


def kept_factors(owner: nn.Module, attribute: str, value: np.ndarray) -> Factors | None:
    """What the weight (gates, rows, columns) is the product of; None where nothing was kept, or of
    other numbers.
    """
    factors = getattr(owner, _NAME, {}).get(attribute)
    if factors is None:
        return None
    off = np.linalg.norm(multiplied([matrix for matrix, _ in factors]) - value)
    return factors if off <= TOLERANCE * np.linalg.norm(value) else None


def multiplied(matrices: Sequence[np.ndarray]) -> np.ndarray:
    """The product of (gates or 1, rows, columns) each."""
    first, *others = matrices
    for matrix in others:
        first = first @ matrix
    return first
