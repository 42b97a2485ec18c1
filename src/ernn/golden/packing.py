"""Weights laid out once for the processor: in tiles of rows, and as pairs of numbers that are
multiplied together.

A complex weight a + ib and a number p + iq of a spectrum give  re = (a, b) . (p, -q)  and  im = (a,
b) . (q, p);  of a real bin, two columns make a pair.  -q may not fit in 16 bits; ~q = -q - 1 does.
So data has ~q in q's place, and sums begin with what is missing, the sum of all b: a correction.

Sums of a chunk of pairs are formed in 32 bits.  Chunks are as long as the largest sum that the
weights can give with any data of its width still fits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from math import ceil

import numpy as np

from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import Product

Array = np.ndarray

LIMIT = (1 << 31) - 1
"""The largest number in 32 bits."""
CHUNK_LIMIT = LIMIT - (1 << 24)
"""The largest sum of a chunk, so that half of what is rounded away can be added to it."""


@dataclass(frozen=True, eq=False)
class Packed:
    """A product's weights (tiles, bins, pairs, rows of a tile, 2) and corrections (tiles, complex
    bins, rows of a tile), each in a row.

    `rows`: of a gate, in so many `parts`, part s of them numbers s * kept ... of every word.
    Bins 0 and k/2 are real and have half as many pairs as there are `columns`, the others as many.
    Sums of `chunk` pairs fit.
    """

    weights: Array
    corrections: Array
    rows: int
    parts: int
    columns: int
    chunk: int

    def pairs(self, k: int) -> int:
        """Of data, of all bins."""
        return min(k, 2) * ceil(self.columns / 2) + 2 * (max(k - 2, 0) // 2) * self.columns

    def chunked(self, k: int) -> bool:
        """Whether any sum is formed in several chunks."""
        return self.chunk < (self.columns if k > 2 else ceil(self.columns / 2))


def pack(model: IntegerModel, product: Product, tile: int, limit: int | None) -> Packed:
    """For sums up to `limit`, in tiles of so many rows; None: whatever the sums, in 64 bits."""
    rows = _rows(product, model.block)
    columns, longest = rows.shape[1], max(rows.shape[1], 2)
    widest = max(_width(model, operand.signal) for operand in product.operands)
    chunk = longest if limit is None else _chunk(rows, 1 << (widest - 1), limit)
    tiles = np.pad(rows, [(0, -len(rows) % tile), (0, 0), (0, 0)])
    tiles = tiles.reshape(-1, tile, *tiles.shape[1:])
    banks = [bank.reshape(len(tiles), -1) for bank in _banks(tiles)]
    corrections = tiles[..., 3::2].sum(axis=2).swapaxes(1, 2)
    return Packed(
        np.concatenate(banks, axis=1).reshape(-1),
        corrections.reshape(-1),
        len(rows) // product.gates,
        1 if product.kept == 1 else model.block // product.kept,  # dense rows lie side by side
        columns,
        chunk,
    )


def _width(model: IntegerModel, signal: str) -> int:
    spectrum = model.signal(signal).spectrum
    assert spectrum is not None
    return spectrum.width


def _rows(product: Product, k: int) -> Array:
    """(gates * rows, block columns, k)."""
    weights = np.concatenate([operand.matrix.weights for operand in product.operands], axis=2)
    return in_rows(product, weights, k)


def in_rows(product: Product, values: Array, k: int) -> Array:
    """Of every row of a product something (gates, block rows, ...) to (gates * rows, ...); rows
    of several that make a word in the order of `ernn.golden.vectors`.
    """
    gates, rows, *others = values.shape
    parts = k // product.kept
    values = np.pad(values, [(0, 0), (0, -rows % parts), *[(0, 0)] * len(others)])
    return values.reshape(gates, -1, parts, *others).swapaxes(1, 2).reshape(-1, *others)


def _banks(tiles: Array) -> Iterator[Array]:
    """(tiles, rows, columns, k) to (tiles, pairs, rows, 2), bin by bin."""
    count, rows, columns, k = tiles.shape
    even = np.pad(tiles[..., : min(k, 2)], [(0, 0), (0, 0), (0, columns % 2), (0, 0)])
    for real in np.moveaxis(even, -1, 0):
        yield real.reshape(count, rows, -1, 2).swapaxes(1, 2)
    for at in range(2, k, 2):
        yield tiles[..., at : at + 2].swapaxes(1, 2)


def _chunk(rows: Array, largest: int, limit: int) -> int:
    """Pairs of the fewest equal chunks whose sums stay within `limit`, for data up to +-largest."""
    reals, a, b = np.abs(rows[..., :2]), np.abs(rows[..., 2::2]), np.abs(rows[..., 3::2])
    even = np.pad(reals, [(0, 0), (0, rows.shape[1] % 2), (0, 0)])
    paired = even.reshape(len(rows), -1, 2, even.shape[-1]).sum(axis=2)
    room = limit - int(b.sum(axis=1).max(initial=0))  # a chunk may begin with a correction

    def fits(pairs: int) -> bool:
        return all(_largest(sums, pairs) * largest <= room for sums in (paired, a + b))

    longest = (a + b if a.size else paired).shape[1]
    return next(pairs for n in count(1) if fits(pairs := ceil(longest / n)))


def _largest(sums: Array, pairs: int) -> int:
    """Of so many neighbours' sums."""
    starts = np.arange(0, sums.shape[1], pairs)
    return int(np.add.reduceat(sums, starts, axis=1).max(initial=0))
