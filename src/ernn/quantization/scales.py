"""Products before their scales are settled, and the rule that settles them.

All operands of a product must have the same fraction bits, spectrum's plus weights', so that their
sum is exact. Weights of fewer bits than the network's widest are followed by zeros, up to as many
bits, so that they meet the others'. Operands with more than the least are reduced, a bit of
precision at a time where it costs least: first the signal's spectrum, as long as it keeps as many
significant bits as the widest weight has, then these zeros, then the weights.  A spectrum is shared
by all products that read it, so reducing one may call for another: repeated until nothing changes.
Fractions only ever fall, a spectrum's by at most its bits less the widest weight's, and reducing
weights changes no other product: it ends.

Then rows whose weights are small in every operand get fraction bits of their own
(`Product.exponents`), up to what their weights' width holds: the engine shifts their sums further
down as they leave.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2

import numpy as np

from ernn.ir.fixed_point import FixedFormat, dequantize, fitting_frac, quantize
from ernn.ir.integer_parts import Operand, Product, Signal, SpectralMatrix
from ernn.ir.kronecker import Repeated, RepeatedMatrix
from ernn.quantization.compensation import Moments

Array = np.ndarray

_SPARE_FRACTION = 8
"""A range below 2**-8 is given no more fraction bits than 2**-8 itself: nothing downstream would
see them.
"""

MOST = 15
"""Fraction bits that a row may have beyond those of its matrix."""
WORTH = 0.25
"""Of the mean square of the weights' rounding, what must remain at most for rows to have any."""


def fit(largest: float, width: int) -> FixedFormat:
    """The finest format of `width` bits that holds +-`largest`."""
    return FixedFormat(width, min(fitting_frac(largest, width), width - 1 + _SPARE_FRACTION))


def fracs_of_rows(largest: Array, width: int) -> Array:
    """Most fraction bits with which rows do not saturate whose largest weights these are."""
    sizes = np.where(largest > 0, largest, 1.0) * (1 + 2.0 ** (1 - width))
    return width - 2 - np.floor(np.log2(sizes)).astype(np.int64)


@dataclass
class SignalDraft:
    """A signal whose spectrum's fraction bits may still fall; None where no product reads it."""

    name: str
    length: int
    format: FixedFormat
    spectrum: FixedFormat | None
    spare: int = 0  # bits by which the spectrum's fraction may fall

    def finish(self) -> Signal:
        return Signal(self.name, self.length, self.format, self.spectrum)


@dataclass
class OperandDraft:
    """Real packed spectra (gates, block rows, block columns, k) to be multiplied with a signal's;
    where they are `repeated`, those of the small matrix.

    moments: of the signal's spectra, where rounding is to make up for itself.
    own: their format, without the `zeros` that follow.
    """

    signal: SignalDraft
    weights: Array
    own: FixedFormat
    zeros: int
    rows: int
    columns: int
    kept: int
    repeated: Repeated | None = None
    delay: int = 0
    moments: Moments | None = None

    @property
    def spectrum(self) -> FixedFormat:
        assert self.signal.spectrum is not None, f"{self.signal.name} is read by a product"
        return self.signal.spectrum

    @property
    def frac(self) -> int:
        return self.spectrum.frac + self.own.frac + self.zeros

    def reduce(self, bits: int) -> None:
        """Give up `bits` fraction bits: what the spectrum can spare, then zeros, the weights the
        rest.
        """
        signal = self.signal
        spared = min(bits, signal.spare)
        signal.spare -= spared
        signal.spectrum = FixedFormat(self.spectrum.width, self.spectrum.frac - spared)
        dropped = min(bits - spared, self.zeros)
        self.zeros -= dropped
        self.own = FixedFormat(self.own.width, self.own.frac - (bits - spared - dropped))

    @property
    def spare_rows(self) -> Array:
        """Fraction bits that the weights of each row (gates, block rows) could have beyond those of
        the format; of rows of zeros, any number."""
        largest = np.abs(self.weights).max(axis=(2, 3))
        fracs = fracs_of_rows(largest, self.own.width)
        return np.where(largest > 0, fracs - self.own.frac, np.inf)

    def finish(self, exponents: Array | None) -> Operand:
        more = 0 if exponents is None else exponents[..., None, None]
        weights, own = np.ldexp(self.weights, more), self.own
        integers = quantize(weights, own)
        worst = float(np.abs(dequantize(integers, own) - weights).max(initial=0))
        if worst > own.step / 2:
            raise AssertionError(f"a weight read with {self.signal.name} saturates in {own}")
        if self.moments is not None:
            integers = self.moments.compensated(weights, own)
        integers, format = (
            integers << self.zeros,
            FixedFormat(own.width + self.zeros, own.frac + self.zeros),
        )
        if self.repeated is not None:
            times = self.repeated.before, self.repeated.after
            matrix = RepeatedMatrix(integers[..., 0], format, *times)
            return Operand(self.signal.name, matrix, self.delay)
        sizes = self.rows, self.columns, self.kept, self.zeros
        return Operand(self.signal.name, SpectralMatrix(integers, format, *sizes), self.delay)


@dataclass
class ProductDraft:
    """A product whose operands may still differ in fraction bits.

    `width`: bits of what it rounds on its way.  `clipped`: bits before the point that the output
    would need more, to hold all that was seen.
    """

    name: str
    operands: tuple[OperandDraft, ...]
    output: FixedFormat
    width: int
    clipped: int = 0

    @property
    def frac(self) -> int:
        return min(operand.frac for operand in self.operands)

    def balance(self) -> bool:
        """Bring all operands to the fraction bits of the least; whether anything changed."""
        least, changed = self.frac, False
        for operand in self.operands:
            if operand.frac > least:
                operand.reduce(operand.frac - least)
                changed = True
        return changed

    def finish(self) -> Product:
        exponents = self._exponents()
        operands = tuple(operand.finish(exponents) for operand in self.operands)
        return Product(self.name, operands, self._rows(operands, exponents), self.output, exponents)

    def _exponents(self) -> Array | None:
        """Fraction bits that rows get beyond the common ones, as all operands can spare them; None
        where the mean square of the rounding would not fall to a quarter.
        """
        if any(operand.repeated is not None for operand in self.operands):
            return None
        spare = np.min([operand.spare_rows for operand in self.operands], axis=0)
        spare = np.where(np.isfinite(spare), np.clip(spare, 0, MOST), 0).astype(np.int64)
        return spare if (4.0**-spare).mean() <= WORTH else None

    def _rows(self, operands: tuple[Operand, ...], exponents: Array | None) -> FixedFormat:
        """The format before the inverse transform, with range for k outputs.

        It has two more fraction bits than the output has, or would have at full width, and holds
        what the output clips: saturated before the transform it would spoil the block's others.
        Where a row keeps but some numbers of its inverse transform, the others are unrelated to any
        output: there the range must also hold the worst case, lest saturation spoil those kept.
        """
        k = operands[0].matrix.weights.shape[3]
        most = 0 if exponents is None else int(exponents.max())
        frac = min(self.output.frac + self.width - self.output.width + 2, self.frac + most)
        width = self.width + int(log2(k)) + 2
        if self.kept == k:
            return FixedFormat(width + (self.clipped if k > 1 else 0), frac)
        worst = sum(
            _largest_sum(operand.matrix.weights, exponents) * -draft.spectrum.low
            for operand, draft in zip(operands, self.operands, strict=True)
        )
        return FixedFormat(
            max(width, ceil(log2(max(1, worst) * 2.0 ** (frac - self.frac) + 1)) + 1), frac
        )

    @property
    def kept(self) -> int:
        return self.operands[0].kept


def _largest_sum(weights: Array, exponents: Array | None) -> float:
    """Largest sum over block columns of a complex bin's |Re| + |Im|, or of a real bin's size, in
    steps of rows without an exponent.
    """
    total = np.abs(weights).sum(axis=2)
    if exponents is not None:
        total = total * 2.0 ** -exponents[..., None]
    pairs = total[..., 2:].reshape(*total.shape[:-1], -1, 2).sum(-1)
    return float(max(total[..., :2].max(), pairs.max(initial=0)))


def balance(products: Sequence[ProductDraft]) -> None:
    """Settle all scales; see the module's docstring."""
    while any([product.balance() for product in products]):
        pass
