"""The same two operations compiled, for whole test sets; equal to `Plain` on every integer.

Stages are kept as the few entries of each matrix row that are not zero.  Weights lie as (gates * rows, k, columns) and
spectra as (utterances, k, columns) in 32 bits, so that a bin's sum over columns is one contiguous loop; sums are 64
bits wide.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numba import njit

from ernn.fixed import FixedFormat
from ernn.golden.fft import words_of
from ernn.integer_model import IntegerModel, Product, Transform

Array = np.ndarray


class _Rows(NamedTuple):
    """Stages as (stages, k, entries) columns and coefficients, and (stages, k) shifts."""

    column: Array
    coefficient: Array
    shift: Array


def _sparse(transform: Transform, k: int) -> _Rows:
    entries = max((int((stage.matrix != 0).sum(1).max()) for stage in transform.stages), default=1)
    shape = (len(transform.stages), k, entries)
    rows = _Rows(np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape[:2], np.int64))
    for index, stage in enumerate(transform.stages):
        rows.shift[index] = stage.shift
        for row, values in enumerate(stage.matrix):
            (where,) = np.nonzero(values)
            rows.column[index, row, : len(where)] = where
            rows.coefficient[index, row, : len(where)] = values[where]
    return rows


@dataclass(frozen=True, eq=False)
class Fast:
    """`ernn.golden.arithmetic.Arithmetic`, compiled."""

    model: IntegerModel

    @cached_property
    def _forward(self) -> _Rows:
        return _sparse(self.model.forward, self.model.block)

    @cached_property
    def _inverse(self) -> _Rows:
        return _sparse(self.model.inverse, self.model.block)

    @cached_property
    def _weights(self) -> dict[tuple[str, int], Array]:
        """By product's name and operand's index."""
        return {
            (product.name, index): _laid_out(operand.matrix.weights)
            for layer in self.model.layers
            for product in layer.products
            for index, operand in enumerate(product.operands)
        }

    def spectrum(self, signal: str, values: Array) -> Array:
        found = self.model.signal(signal)
        assert found.spectrum is not None and values.dtype == np.int64
        words = np.ascontiguousarray(words_of(values, self.model.block))
        guard = self.model.forward.guard
        drop = found.format.frac + guard - found.spectrum.frac
        flat = words.reshape(-1, self.model.block)
        _transform(flat, -guard, _UNBOUNDED, drop, _bounds(found.spectrum), *self._forward)
        return words

    def product(self, product: Product, spectra: Mapping[str, Array]) -> Array:
        k, count = self.model.block, len(next(iter(spectra.values())))
        total = np.zeros((count, product.gates * product.block_rows, k), np.int64)
        for index, operand in enumerate(product.operands):
            x = np.ascontiguousarray(np.swapaxes(spectra[operand.signal], 1, 2)).astype(np.int32)
            _multiply(self._weights[product.name, index], x, total)
        first = self.model.product_frac(product) - product.rows.frac
        last = product.rows.frac + (k.bit_length() - 1) - product.output.frac
        _transform(total.reshape(-1, k), first, _bounds(product.rows), last, _bounds(product.output), *self._inverse)
        kept = total[..., : product.kept].reshape(count, product.gates, product.block_rows * product.kept)
        return kept[..., : product.length]


_UNBOUNDED = (-(1 << 62), 1 << 62)


def _bounds(format: FixedFormat) -> tuple[int, int]:
    return format.low, format.high


def _laid_out(weights: Array) -> Array:
    gates, rows, columns, k = weights.shape
    return np.ascontiguousarray(weights.reshape(gates * rows, columns, k).swapaxes(1, 2)).astype(np.int32)


@njit(cache=True)
def _round(value, shift, low, high):
    rounded = (value + (1 << (shift - 1))) >> shift if shift > 0 else value << -shift
    return min(max(rounded, low), high)


@njit(cache=True)
def _transform(words, first, first_bounds, last, last_bounds, column, coefficient, shift):
    """Words (n, k) in place: rounded by `first` bits, through the stages, rounded by `last` bits."""
    k, entries = words.shape[1], column.shape[2]
    old, new = np.empty(k, np.int64), np.empty(k, np.int64)
    for word in words:
        for i in range(k):
            old[i] = _round(word[i], first, first_bounds[0], first_bounds[1])
        for stage in range(len(shift)):
            for i in range(k):
                total = np.int64(0)
                for entry in range(entries):
                    total += coefficient[stage, i, entry] * old[column[stage, i, entry]]
                by = shift[stage, i]
                new[i] = (total + ((1 << by) >> 1)) >> by
            old, new = new, old
        for i in range(k):
            word[i] = _round(old[i], last, last_bounds[0], last_bounds[1])


@njit(cache=True)
def _multiply(weights, spectra, total):
    """Add weights (rows, k, columns) times spectra (utterances, k, columns) to total (utterances, rows, k)."""
    rows, k, columns = weights.shape
    for row in range(rows):
        for utterance in range(len(spectra)):
            w, x, out = weights[row], spectra[utterance], total[utterance, row]
            for real in range(min(k, 2)):
                for c in range(columns):
                    out[real] += np.int64(w[real, c]) * np.int64(x[real, c])
            for re in range(2, k, 2):
                out_re, out_im = np.int64(0), np.int64(0)
                for c in range(columns):
                    a, b = np.int64(w[re, c]), np.int64(w[re + 1, c])
                    p, q = np.int64(x[re, c]), np.int64(x[re + 1, c])
                    out_re += a * p - b * q
                    out_im += a * q + b * p
                out[re] += out_re
                out[re + 1] += out_im
