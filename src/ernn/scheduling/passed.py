"""What a dense network (blocks of 1) passes by: there is no transform between two roundings."""

from dataclasses import dataclass

from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_model import IntegerModel


@dataclass(frozen=True)
class Passed:
    """`combining`: complex products, of which there are none; `second`: a product's second
    rounding, made with the first; `spectra`: cycles of the rounding of spectra where no number is
    beyond their format, None where they may have to be saturated."""

    combining: bool = False
    second: bool = False
    spectra: int | None = None

    @classmethod
    def of(cls, model: IntegerModel) -> "Passed":
        if model.block > 1:
            return cls()
        products = [product for layer in model.layers for product in layer.products]
        read = [(one.format, one.spectrum) for one in model.signals if one.spectrum is not None]
        rounds = any(given.frac != wanted.frac for given, wanted in read)
        return cls(
            combining=all(product.exponents is None for product in products),
            second=all(rounds_at_once(product.rows, product.output) for product in products),
            spectra=int(rounds) if all(always_fits(*formats) for formats in read) else None,
        )


def rounds_at_once(rows: FixedFormat, output: FixedFormat) -> bool:
    """Whether a number rounded to `rows` and then to `output` is rounded once, with both halves
    added: the second drops bits, and what the first saturates the second would, too."""
    dropped = rows.frac - output.frac
    return dropped >= 0 and rows.width - dropped >= output.width


def always_fits(given: FixedFormat, wanted: FixedFormat) -> bool:
    """Whether every number of a format fits another, one that is rounded up as well."""
    lost = given.frac - wanted.frac
    return given.width - lost + (lost > 0) <= wanted.width
