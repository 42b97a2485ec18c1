"""Fixed-point formats, and the one way that precision is lost: round half up, then saturate."""

from dataclasses import dataclass

import numpy as np

from ernn.errors import UserError

LARGEST_FRAC = 1100
"""Beyond any number of 64-bit floating point."""


@dataclass(frozen=True)
class FixedFormat:
    """Two's complement integers of `width` bits, 2 to 62; an integer n stands for n * 2**-frac.

    `frac` may be negative, or larger than the width.  UserError for another width.
    """

    width: int
    frac: int

    def __post_init__(self) -> None:
        if not 1 < self.width <= 62:
            raise UserError(f"a fixed-point width must be 2..62 bits, not {self.width}")
        if abs(self.frac) > LARGEST_FRAC:
            raise UserError(
                f"fraction bits must be -{LARGEST_FRAC}..{LARGEST_FRAC}, not {self.frac}"
            )

    @property
    def low(self) -> int:
        return -(1 << (self.width - 1))

    @property
    def high(self) -> int:
        return (1 << (self.width - 1)) - 1

    @property
    def step(self) -> float:
        """Value of one unit in the last place."""
        return 2.0**-self.frac

    @property
    def reach(self) -> float:
        """Size of the lowest number, which is the largest."""
        return -self.low * self.step


def shift_round(value: np.ndarray, shift: int) -> np.ndarray:
    """int64 `value` times 2**-shift, rounded half up (towards plus infinity).

    A negative shift is exact.
    """
    if shift <= 0:
        return value << -shift
    return (value + (1 << (shift - 1))) >> shift


def saturate(value: np.ndarray, width: int) -> np.ndarray:
    """Clamp to the range of `width` bits."""
    return np.clip(value, -(1 << (width - 1)), (1 << (width - 1)) - 1)


def requantize(value: np.ndarray, frac: int, target: FixedFormat) -> np.ndarray:
    """Integers with `frac` fraction bits to `target`: round half up, saturate."""
    return saturate(shift_round(np.asarray(value, np.int64), frac - target.frac), target.width)


def requantize_rows(
    value: np.ndarray, frac: int, more: np.ndarray | None, target: FixedFormat
) -> np.ndarray:
    """As `requantize`, of integers (..., *more.shape, k) with `more` fraction bits row by row."""
    if more is None:
        return requantize(value, frac, target)
    found = np.empty_like(value)
    for own in np.unique(more):
        rows = more == own
        found[..., rows, :] = requantize(value[..., rows, :], frac + int(own), target)
    return found


def quantize(value: np.ndarray, target: FixedFormat) -> np.ndarray:
    """Real numbers to int64 in `target`: nearest (half up), saturating."""
    scaled = np.ldexp(np.asarray(value, np.float64), target.frac)
    floor = np.floor(
        scaled
    )  # not floor(scaled + 0.5): of the number just below a half that sum rounds up
    return np.clip(floor + (scaled - floor >= 0.5), target.low, target.high).astype(np.int64)


def dequantize(value: np.ndarray, source: FixedFormat) -> np.ndarray:
    """Integers in `source` to real numbers, exact in float64."""
    return np.ldexp(np.asarray(value, np.float64), -source.frac)


def fitting_frac(largest: float, width: int) -> int:
    """Most fraction bits with which +-`largest` does not saturate in `width` bits."""
    if not np.isfinite(largest):
        raise UserError(f"cannot choose a format for the range {largest}: a value is not finite")
    if largest <= 0:
        return width - 1
    return width - 1 - int(np.floor(np.log2(largest * (1 + 2.0 ** (1 - width)))) + 1)
