"""Weights rounded one column after the other, each making up for the errors of those before it.

The nearest integers have the least error weight by weight, not of a row's sums: where the numbers
that a matrix multiplies go together, as a spectrum's do, what one weight is off by can be taken
back by others.  With H the second moments of these numbers, H_ij = mean of x_i x_j* over the frames
that choose formats, and e_q the error that rounding column q has left, the columns F that are still
to be rounded change by

    e_q U_qF / U_qq,    inverse of H = U* U,    U upper triangular,

which leaves the least mean square of the sums (E. Frantar, S. Ashkboos, T. Hoefler, D. Alistarh:
GPTQ, ICLR 2023, after B. Hassibi, D. Stork: Optimal brain surgeon, NIPS 1993).  It costs nothing in
hardware.  Blocks are products bin by bin of their spectra: each bin is such a matrix, of complex
numbers.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from ernn.ir.edges import edge_name
from ernn.ir.fixed_point import FixedFormat, dequantize, quantize
from ernn.ir.network import Network
from ernn.ir.reference import observe
from ernn.quantization.block_sizes import Blocks
from ernn.quantization.integer_fft import packed_spectra

Array = np.ndarray

DAMPING = 0.1
"""Of each number's mean square, what is added to it: frames are few, and others differ."""
FRAMES = 4000
"""That moments are taken of, at most, and the rest of an utterance."""
TOGETHER = 64
"""Columns after which the others are changed, all at once."""
KEPT = 16
"""Roundings that are kept of what reads an edge: most trials of a search change none."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Second moments (bins, words, words) of what products read of an edge."""

    values: Array
    _rounded: OrderedDict[bytes, Array] = field(default_factory=OrderedDict[bytes, Array])

    def compensated(self, weights: Array, format: FixedFormat) -> Array:
        """Integers of packed spectra (gates, block rows, block columns, k) that multiply it; the
        last `KEPT` are kept."""
        given = f"{weights.shape} {format}".encode() + np.ascontiguousarray(weights).tobytes()
        key = blake2b(given, digest_size=16).digest()
        if key not in self._rounded:
            self._rounded[key] = compensated(weights, format, self.values)
        self._rounded.move_to_end(key)
        if len(self._rounded) > KEPT:
            self._rounded.popitem(last=False)
        return self._rounded[key]


def second_moments(
    network: Network, utterances: Sequence[Array], blocks: Blocks
) -> dict[str, Moments]:
    """By edge that a product reads, of its words' spectra."""
    counts = np.cumsum([len(frames) for frames in utterances])
    some = utterances[: 1 + int(np.searchsorted(counts, FRAMES))]
    read = {edge_name(source): blocks.parts(source) for source in network.multiplied}
    found: Mapping[str, list[Array]] = defaultdict(list)

    def record(edge: str, values: Array) -> None:
        if edge in read:
            found[edge].append(values)

    observe(network, some, record)
    return {
        edge: Moments(_moments(packed_spectra(np.concatenate(values), blocks.largest, read[edge])))
        for edge, values in found.items()
    }


def _moments(spectra: Array) -> Array:
    """Of packed spectra (frames, words, k)."""
    bins = _bins(spectra).transpose(2, 1, 0)
    return bins @ bins.conj().transpose(0, 2, 1) / max(1, len(spectra))


def compensated(weights: Array, format: FixedFormat, moments: Array) -> Array:
    """Integers of packed spectra (gates, block rows, block columns, k).

    moments: of what they multiply (bins, block columns, block columns).
    """
    gates, rows, columns, k = weights.shape
    flat = _bins(weights.reshape(gates * rows, columns, k)).transpose(2, 0, 1)
    rounded = np.stack([_rounded(*pair, format) for pair in zip(flat, moments, strict=True)])
    return quantize(_packed(rounded.transpose(1, 2, 0), k).reshape(weights.shape), format)


def _rounded(weights: Array, moments: Array, format: FixedFormat) -> Array:
    """One bin (rows, columns), column after column, that of the largest numbers first."""
    order = np.argsort(-np.real(np.diag(moments)), kind="stable")
    upper, left = _upper(moments[np.ix_(order, order)]), weights[:, order]
    for start in range(0, left.shape[1], TOGETHER):
        end = min(start + TOGETHER, left.shape[1])
        errors = np.zeros_like(left[:, start:end])
        for q in range(start, end):
            error = errors[:, q - start] = _nearest(left[:, q], format) - left[:, q]
            left[:, q:end] += error[:, None] * (upper[q, q:end] / upper[q, q])
        ratios = upper[start:end, end:] / np.diag(upper)[start:end, None]
        left[:, end:] += errors @ ratios
    return left[:, np.argsort(order)]


def _upper(moments: Array) -> Array:
    """U of U* U, the inverse of damped moments; of a number that is always 0 as of any other."""
    sizes = np.real(np.diag(moments))
    sizes = np.where(sizes > 0, sizes, sizes.max() or 1.0)
    scale = np.sqrt(sizes)
    alike = moments / np.outer(scale, scale) + np.diag(DAMPING + (np.diag(moments) == 0))
    lower = np.linalg.cholesky(np.linalg.inv(alike))
    return lower.conj().T / scale


def _nearest(values: Array, format: FixedFormat) -> Array:
    """Values of the format, of complex ones each part."""
    real, imaginary = (
        dequantize(quantize(part, format), format) for part in (np.real(values), np.imag(values))
    )
    return real + 1j * imaginary if np.iscomplexobj(values) else real


def _bins(packed: Array) -> Array:
    """Packed spectra (..., k) as (..., bins): Re X_0, Re X_k/2, and the complex ones between; of
    k = 1 and 2 real numbers."""
    if packed.shape[-1] <= 2:
        return packed
    return np.concatenate([packed[..., :2], packed[..., 2::2] + 1j * packed[..., 3::2]], axis=-1)


def _packed(bins: Array, k: int) -> Array:
    """Backwards."""
    if k <= 2:
        return bins
    inner = bins[..., 2:]
    pairs = np.stack([np.real(inner), np.imag(inner)], axis=-1).reshape(*bins.shape[:-1], k - 2)
    return np.concatenate([np.real(bins[..., :2]), pairs], axis=-1)
