"""Circulant products as products of spectra, with as few real multiplications as there can be over
the reals.

The product of a circulant block is a cyclic convolution, w * x = C ((A w) o (A x)) with constant A
(r, k), C (k, r): A takes the real and the imaginary parts of the k-point DFT and, for the complex
bins, their sum (three real products instead of four), C the inverse DFT.  r = 2 + 3 (k/2 - 1) is 5
for k = 4, 11 for 8, 23 for 16.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from ernn.ir.network import Array


def spectra(block: int) -> int:
    """r; 1 for a number by itself."""
    return 2 + 3 * (block // 2 - 1) if block > 1 else 1


def spectrum(vectors: Tensor) -> Tensor:
    """A of each block vector: (..., k) to (..., r)."""
    analysis, _ = transforms(vectors.shape[-1], vectors.dtype)
    return vectors @ analysis.t()


@cache
def transforms(block: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A (r, k) and C (k, r)."""
    angle = 2 * np.pi * np.outer(np.arange(block // 2 + 1), np.arange(block)) / block
    cosine, sine = np.cos(angle), -np.sin(angle)
    analysis, synthesis = [cosine[0], cosine[-1]], [cosine[0], cosine[-1]]
    for real, imaginary in zip(cosine[1:-1], sine[1:-1], strict=True):
        analysis += [real, imaginary, real + imaginary]
        synthesis += _synthesis(real, imaginary)
    return torch.tensor(np.array(analysis)).to(dtype), torch.tensor(
        np.array(synthesis).T / block
    ).to(dtype)


def _synthesis(real: Array, imaginary: Array) -> list[Array]:
    """What the products ac, bd and (a + b)(c + d) add to the output: of (a + bi)(c + di), real ac -
    bd, and so on.
    """
    return [2 * (real - imaginary), 2 * (-real - imaginary), 2 * imaginary]
