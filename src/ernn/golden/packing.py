"""Weights laid out once for the processor: in tiles of rows, and as pairs of numbers that are
multiplied together.

A complex weight a + ib and a number p + iq of a spectrum give  re = (a, b) . (p, -q)  and  im = (a,
b) . (q, p);  of a real bin, two columns make a pair.  -q may not fit in 16 bits; ~q = -q - 1 does.
So data has ~q in q's place, and what is missing, the sum of all b, is one more pair: (high, low) .
(SPLIT, 1).

Sums of a chunk of columns are formed in 32 bits.  Chunks are as long as the largest sum that the
weights can give with any data of its width still fits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from math import ceil

import numpy as np

from ernn.golden.pairs import LANES
from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import Product

Array = np.ndarray

SPLIT = 1 << 12
LIMIT = (1 << 31) - 1
"""The largest number in 32 bits."""
CHUNK_LIMIT = LIMIT - (1 << 24)
"""The largest sum of a chunk, so that half of what is rounded away can be added to it."""


@dataclass(frozen=True, eq=False)
class Packed:
    """A product's weights (tiles, bins, chunks, pairs, LANES, 2) in a row.

    Bins 0 and k/2 are real and have `real_pairs` pairs a chunk of `columns` columns, the others
    `complex_pairs`. `gate_lanes` rows of a gate follow one another.
    """

    weights: Array
    tiles: int
    chunks: int
    columns: int
    real_pairs: int
    complex_pairs: int
    gate_lanes: int

    @property
    def tile_size(self) -> int:
        """Numbers in a tile."""
        return len(self.weights) // self.tiles

    def data_size(self, k: int) -> int:
        """Numbers of data in pairs, of one stream."""
        reals, complexes = min(k, 2), max(k - 2, 0) // 2
        return self.chunks * 2 * (reals * self.real_pairs + 2 * complexes * self.complex_pairs)


def pack(model: IntegerModel, product: Product, limit: int | None = CHUNK_LIMIT) -> Packed:
    """For sums up to `limit`; None: whatever the sums, in 64 bits."""
    rows = _rows(product, model.block)
    gate_lanes = len(rows) // product.gates
    rows = np.pad(rows, [(0, -len(rows) % LANES), (0, 0), (0, 0)])
    tiles = rows.reshape(-1, LANES, *rows.shape[1:])
    widest = max(_width(model, operand.signal) for operand in product.operands)
    chunks = 1 if limit is None else _chunks(rows, 1 << (widest - 1), limit)
    columns = ceil(rows.shape[1] / chunks)
    chunks = ceil(rows.shape[1] / columns)
    real_pairs, complex_pairs = _even(ceil(columns / 2)), _even(columns + 1)
    banks = [_real(tiles[..., at], columns, real_pairs) for at in (0, 1)[: model.block]]
    banks += [
        _complex(tiles[..., at], tiles[..., at + 1], columns, complex_pairs)
        for at in range(2, model.block, 2)
    ]
    flat = np.concatenate([bank.reshape(len(tiles), -1) for bank in banks], axis=1).reshape(-1)
    kind = np.int64 if limit is None else np.int16
    assert limit is None or np.abs(flat).max(initial=0) < 1 << 15, (
        "a sum of weights does not fit a pair"
    )
    return Packed(
        flat.astype(kind), len(tiles), chunks, columns, real_pairs, complex_pairs, gate_lanes
    )


def _width(model: IntegerModel, signal: str) -> int:
    spectrum = model.signal(signal).spectrum
    assert spectrum is not None
    return spectrum.width


def _even(pairs: int) -> int:
    return pairs + pairs % 2


def _rows(product: Product, k: int) -> Array:
    """(gates * rows, block columns, k); dense rows in the order of `ernn.golden.vectors`."""
    weights = np.concatenate([operand.matrix.weights for operand in product.operands], axis=2)
    if product.kept == 1:
        weights = np.pad(weights, [(0, 0), (0, -product.length % k), (0, 0), (0, 0)])
        gates, rows, columns, _ = weights.shape
        weights = weights.reshape(gates, rows // k, k, columns, k).swapaxes(1, 2)
    return weights.reshape(-1, *weights.shape[-2:])


def _chunks(rows: Array, largest: int, limit: int) -> int:
    """The fewest equal chunks of columns whose sums stay within `limit`, for data up to
    +-largest.
    """
    reals, pairs = np.abs(rows[..., :2]), np.abs(rows[..., 2:])
    each = np.concatenate([reals, pairs[..., 0::2] + pairs[..., 1::2]], axis=-1) * largest

    def fits(chunks: int) -> bool:
        return all(
            part.sum(axis=1).max() <= limit
            for part in _split(each, 1, ceil(each.shape[1] / chunks))
        )

    return next(filter(fits, count(1)))


def _split(values: Array, axis: int, size: int) -> Sequence[Array]:
    return np.split(values, range(size, values.shape[axis], size), axis=axis)


def _in_chunks(bank: Array, columns: int) -> Iterator[Array]:
    """(tiles, LANES, all columns) to (tiles, columns, LANES), the last one filled with zeros."""
    for part in _split(bank.swapaxes(1, 2), 1, columns):
        yield np.pad(part, [(0, 0), (0, columns - part.shape[1]), (0, 0)])


def _real(bank: Array, columns: int, pairs: int) -> Array:
    chunks = []
    for part in _in_chunks(bank, columns):
        padded = np.pad(part, [(0, 0), (0, 2 * pairs - columns), (0, 0)])
        chunks.append(padded.reshape(len(part), pairs, 2, LANES).swapaxes(2, 3))
    return np.stack(chunks, axis=1)


def _complex(real: Array, imaginary: Array, columns: int, pairs: int) -> Array:
    chunks = []
    for a, b in zip(_in_chunks(real, columns), _in_chunks(imaginary, columns), strict=True):
        chunk = np.zeros((len(a), pairs, LANES, 2), np.int64)
        chunk[:, :columns, :, 0], chunk[:, :columns, :, 1] = a, b
        high = (b.sum(axis=1) + SPLIT // 2) // SPLIT
        chunk[:, columns, :, 0], chunk[:, columns, :, 1] = high, b.sum(axis=1) - high * SPLIT
        chunks.append(chunk)
    return np.stack(chunks, axis=1)
