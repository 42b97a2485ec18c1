"""Block-circulant weights with the blocks' spectra as parameters: training as in C-LSTM.

A block's k numbers w become s = w Q with an orthogonal Q, its real Fourier transform packed as (bin
0, bin k/2, real and imaginary parts of the others).  Distances are the same in both domains, so
gradient descent is too; Adam, which scales every coordinate by itself, is not.
"""

from functools import cache
from math import sqrt

import torch
from torch import Size, Tensor

from ernn.compress import block_circulant
from ernn.compress.shaped import Shaped
from ernn.ir.structure import BlockCirculant


class Spectral(Shaped):
    """Spectra (gates, block rows, block columns, k) to the parameter."""

    def __init__(self, structure: BlockCirculant, weight: Tensor, shape: Size) -> None:
        """`weight` (gates, rows, columns): the parameter of `shape` as matrices."""
        super().__init__(weight.shape, shape)
        self.structure = structure

    def blocks(self, spectra: Tensor) -> Tensor:
        """Block vectors (gates, block rows, block columns, k), multiplied without decoding."""
        return spectra @ transform(self.structure.block).to(spectra).T

    def forward(self, spectra: Tensor) -> Tensor:
        decoded = block_circulant.decode(self.blocks(spectra), self.rows, self.columns)
        return self.parameter(decoded)

    def right_inverse(self, parameter: Tensor) -> Tensor:
        blocks = block_circulant.encode(self.matrices(parameter), self.structure)
        return blocks @ transform(self.structure.block).to(blocks)


@cache
def transform(k: int) -> Tensor:
    """The orthogonal float64 matrix (k, k) whose columns are packed
    bins of the real Fourier transform.
    """
    bins = torch.fft.rfft(torch.eye(k, dtype=torch.float64)) / sqrt(k)
    inner = bins[:, 1 : (k + 1) // 2] * sqrt(2)
    ends = [bins[:, :1].real, bins[:, k // 2 : k // 2 + 1].real][: min(k, 2)]
    return torch.cat([*ends, torch.view_as_real(inner).flatten(1)], dim=1)


@cache
def packed_bins(k: int) -> Tensor:
    """(k, k) in float64: a block's numbers to its packed spectrum as
    `ernn.quantization.integer_fft.packed_rfft` has it.
    """
    return transform(k) * _bin_sizes(k)


@cache
def unpacked_bins(k: int) -> Tensor:
    """The reverse of `packed_bins`."""
    return (transform(k) / _bin_sizes(k)).T


def _bin_sizes(k: int) -> Tensor:
    sizes = torch.full((k,), sqrt(k / 2), dtype=torch.float64)
    sizes[:2] = sqrt(k)
    return sizes
