"""Products in the frequency domain, in integers: bin by bin, summed exactly, then transformed
back.
"""

from collections.abc import Sequence

import numpy as np

from ernn.golden.fft import apply_stages
from ernn.ir.fixed_point import requantize, requantize_rows
from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import Product, SpectralMatrix
from ernn.ir.kronecker import RepeatedMatrix

Array = np.ndarray


def times(weights: Array, spectra: Array) -> Array:
    """Packed spectra (gates, rows, columns, k) and (..., columns, k), multiplied and summed over
    columns.
    """
    total = np.empty((*spectra.shape[:-2], *weights.shape[:2], weights.shape[3]), np.int64)
    w, x = np.moveaxis(weights, -1, 0), np.moveaxis(spectra, -1, 0)
    for real in (0, 1)[: len(w)]:
        total[..., real] = _sum(w[real], x[real])
    for re in range(2, len(w), 2):
        im = re + 1
        total[..., re] = _sum(w[re], x[re]) - _sum(w[im], x[im])
        total[..., im] = _sum(w[re], x[im]) + _sum(w[im], x[re])
    return total


def repeated(matrix: RepeatedMatrix, words: Array) -> Array:
    """(..., columns, 1) to (..., gates, rows, 1): the small matrix with every one of the vectors
    that it meets.
    """
    vectors = words.reshape(*words.shape[:-2], matrix.before, -1, matrix.after)
    found = np.tensordot(vectors, matrix.core, axes=([-2], [2]))  # (..., before, after, gates, p)
    ordered = np.moveaxis(found, (-2, -1, -3), (-4, -2, -1))
    return ordered.reshape(*words.shape[:-2], matrix.gates, matrix.rows, 1)


def _operand(matrix: SpectralMatrix | RepeatedMatrix, spectra: Array) -> Array:
    return (
        repeated(matrix, spectra)
        if isinstance(matrix, RepeatedMatrix)
        else times(matrix.weights, spectra)
    )


def _sum(w: Array, x: Array) -> Array:
    """(gates, rows, columns) and (..., columns) to (..., gates, rows)."""
    return np.tensordot(x, w, axes=([-1], [2]))


def product(model: IntegerModel, product: Product, spectra: Sequence[Array]) -> Array:
    """A product's output (..., gates, length) from the spectra (..., words, k) of the signals it
    reads.
    """
    pairs = zip(product.operands, spectra, strict=True)
    total = sum(_operand(operand.matrix, spectrum) for operand, spectrum in pairs)
    frac = model.product_frac(product)
    rows = requantize_rows(np.asarray(total), frac, product.exponents, product.rows)
    doublings = model.block.bit_length() - 1  # the inverse is not divided by k
    out = requantize(
        apply_stages(model.inverse, rows), product.rows.frac + doublings, product.output
    )
    kept = out[..., :: model.block // product.kept]
    return kept.reshape(*kept.shape[:-2], product.block_rows * product.kept)[..., : product.length]
