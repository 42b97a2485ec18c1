"""Element-wise functions that a step may end with: their names, and what they are on real numbers.

`relu` is exact on integers.  Every other one is a table of the integer model
(`ernn.ir.integer_parts.ActivationTable`); golden, the engine and training take it from there.
"""

from collections.abc import Callable, Mapping
from math import sqrt
from types import MappingProxyType
from typing import Literal

import numpy as np

Array = np.ndarray
Function = Literal[
    "sigmoid", "tanh", "relu", "hard_sigmoid", "hard_tanh", "softplus", "silu", "gelu"
]
EXACT: frozenset[str] = frozenset({"relu"})
"""Functions that need no table."""
BOUNDED: frozenset[str] = frozenset({"sigmoid", "tanh", "hard_sigmoid", "hard_tanh"})
"""Functions whose values never leave [-1, 1]."""


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without its overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def gelu(x: Array) -> Array:
    """x * Phi(x), Phi the normal distribution (Hendrycks & Gimpel 2016); torch's default form."""
    return 0.5 * x * (1.0 + _erf(x / sqrt(2.0)))


def _erf(x: Array) -> Array:
    """The error function: Maclaurin's series near zero, its continued fraction beyond."""
    small, size = np.abs(x) < 2.5, np.abs(x)
    total, term = np.zeros_like(size), np.where(small, size, 0.0)
    for n in range(60):
        total = total + term / (2 * n + 1)
        term = -term * np.where(small, size, 0.0) ** 2 / (n + 1)
    near = 2 / sqrt(np.pi) * total
    large, fraction = np.where(small, 2.5, size), np.zeros_like(size)
    for n in range(60, 0, -1):
        fraction = n / 2 / (large + fraction)
    far = 1 - np.exp(-(large**2)) / sqrt(np.pi) / (large + fraction)
    return np.sign(x) * np.where(small, near, far)


FUNCTIONS: Mapping[str | None, Callable[[Array], Array]] = MappingProxyType(
    {
        None: lambda x: x,
        "sigmoid": sigmoid,
        "tanh": np.tanh,
        "relu": lambda x: np.maximum(x, 0.0),
        "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0.0, 1.0),  # torch's; ONNX's has 1/5
        "hard_tanh": lambda x: np.clip(x, -1.0, 1.0),
        "softplus": lambda x: np.logaddexp(x, 0.0),
        "silu": lambda x: x * sigmoid(x),
        "gelu": gelu,
    }
)
"""By name, on arrays of real numbers of any shape; None is the identity."""
