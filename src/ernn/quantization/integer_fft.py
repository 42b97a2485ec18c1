"""Real FFTs as integer stages, for `IntegerModel.forward` and `.inverse`.

Radix-2, decimation in time, on packed real spectra [X0, X(k/2), Re X1, Im X1, ...]: a transform of
size n is made of two of size n/2, E over the even and O over the odd elements.  With W = exp(-2 pi
i / n), O'_f = W**f O_f:

    X_0 = E_0 + O_0     X_(n/2) = E_0 - O_0     X_(n/4) = E_(n/4) - i O_(n/4)
    X_f = E_f + O'_f    X_(n/2 - f) = conj(E_f - O'_f)      for 0 < f < n/4

so every level is at most two stages: rotations (constants round(cos * 2**bits), shift `bits`; n >=
8 only) and butterflies (entries -1, 0, 1; no shift).  The inverse runs the levels backwards,
doubling at each: it is not divided by k.  Sorensen et al., "Real-valued fast Fourier transform
algorithms", IEEE Trans. ASSP 35(6), 1987.
"""

import numpy as np

from ernn.errors import UserError
from ernn.ir.integer_parts import Stage, Transform
from ernn.ir.structure import BLOCK_SIZES

Array = np.ndarray


def forward_transform(k: int, twiddle_bits: int, guard: int) -> Transform:
    """The real FFT of size k.

    twiddle_bits: fraction bits of its constants.
    guard: bits added before the first stage.
    """
    _check_size(k)
    stages: list[Stage] = []
    for n in _levels(k):
        if n >= 8:
            stages.append(_rotate(k, n, twiddle_bits, inverse=False))
        stages.append(_exact(_tile(_join(n), k)))
    if stages:
        stages[0] = _exact(stages[0].matrix[:, _bit_reversal(k)])
    return Transform(tuple(stages), guard)


def inverse_transform(k: int, twiddle_bits: int) -> Transform:
    """k times the inverse real FFT of size k.

    It has no guard bits: a product's `rows` format has its own.
    """
    _check_size(k)
    stages: list[Stage] = []
    for n in reversed(_levels(k)):
        stages.append(_exact(_tile(_split(n), k)))
        if n >= 8:
            stages.append(_rotate(k, n, twiddle_bits, inverse=True))
    if stages:
        stages[-1] = _exact(stages[-1].matrix[_bit_reversal(k)])
    return Transform(tuple(stages), 0)


def by_turns(words: Array, parts: int) -> Array:
    """Words (..., k) in the order in which `IntegerModel.parts` has them transformed."""
    size = words.shape[-1] // parts
    return words[..., np.arange(words.shape[-1]).reshape(parts, size).T.reshape(-1)]


def packed_spectra(values: Array, block: int, parts: int) -> Array:
    """Packed spectra (..., words, block), in floats, of vectors (..., length)."""
    padded = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, -values.shape[-1] % block)])
    words = padded.reshape(*values.shape[:-1], padded.shape[-1] // block, block)
    return packed_rfft(by_turns(words, parts))


def packed_rfft(words: Array) -> Array:
    """Packed spectra of real words (..., k) in floats: what `forward_transform` approximates."""
    k = words.shape[-1]
    if k == 1:
        return np.asarray(words, np.float64)
    spectrum = np.fft.rfft(words)
    inner = spectrum[..., 1 : k // 2]
    pairs = np.stack([inner.real, inner.imag], -1).reshape(*words.shape[:-1], k - 2)
    return np.concatenate([spectrum[..., :1].real, spectrum[..., k // 2 :].real, pairs], -1)


def _check_size(k: int) -> None:
    if k not in BLOCK_SIZES:
        raise UserError(f"a transform's size must be one of {BLOCK_SIZES}, not {k}")


def _levels(k: int) -> list[int]:
    return [1 << bit for bit in range(1, k.bit_length())]


def _bit_reversal(k: int) -> Array:
    bits = k.bit_length() - 1
    return np.array([int(f"{index:0{bits}b}"[::-1], 2) for index in range(k)])


def _exact(matrix: Array) -> Stage:
    return Stage(matrix, np.zeros(len(matrix), np.int64))


def _tile(block: Array, k: int) -> Array:
    return np.kron(np.eye(k // len(block), dtype=np.int64), block)


def _real(f: int) -> int:
    """Where Re X_f lies in a packed spectrum, 0 < f < n/2; Im X_f is next to it."""
    return 2 * f


def _join(n: int) -> Array:
    """Packed E and O' of size n/2 each, one after the other, to the packed X of size n."""
    matrix, odd = np.zeros((n, n), np.int64), n // 2
    matrix[0, [0, odd]] = 1, 1
    matrix[1, [0, odd]] = 1, -1
    if n >= 4:
        matrix[_real(n // 4), 1] = 1
        matrix[_real(n // 4) + 1, odd + 1] = -1
    for f in range(1, n // 4):
        re, im, mirror = _real(f), _real(f) + 1, _real(n // 2 - f)
        matrix[re, [re, odd + re]] = 1, 1
        matrix[im, [im, odd + im]] = 1, 1
        matrix[mirror, [re, odd + re]] = 1, -1
        matrix[mirror + 1, [im, odd + im]] = -1, 1
    return matrix


def _split(n: int) -> Array:
    """The packed X of size n to twice E and O': `_join` backwards."""
    matrix, odd = np.zeros((n, n), np.int64), n // 2
    matrix[0, [0, 1]] = 1, 1
    matrix[odd, [0, 1]] = 1, -1
    if n >= 4:
        matrix[1, _real(n // 4)] = 2
        matrix[odd + 1, _real(n // 4) + 1] = -2
    for f in range(1, n // 4):
        re, im, mirror = _real(f), _real(f) + 1, _real(n // 2 - f)
        matrix[re, [re, mirror]] = 1, 1
        matrix[im, [im, mirror + 1]] = 1, -1
        matrix[odd + re, [re, mirror]] = 1, -1
        matrix[odd + im, [im, mirror + 1]] = 1, 1
    return matrix


def _rotate(k: int, n: int, bits: int, inverse: bool) -> Stage:
    """O_f to W**f O_f in every part of size n, or back."""
    matrix, shift = np.eye(n, dtype=np.int64), np.zeros(n, np.int64)
    for f in range(1, n // 4):
        re = n // 2 + _real(f)
        angle = 2 * np.pi * f / n * (-1 if inverse else 1)
        cos, sin = round(np.cos(angle) * 2**bits), round(np.sin(angle) * 2**bits)
        matrix[re : re + 2, re : re + 2] = [[cos, sin], [-sin, cos]]
        shift[re : re + 2] = bits
    return Stage(_tile(matrix, k), np.tile(shift, k // n))
