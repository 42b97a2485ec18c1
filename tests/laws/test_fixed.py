"""Fixed point against exact fractions."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernn.errors import UserError
from ernn.ir.fixed_point import FixedFormat, dequantize, fitting_frac, quantize, requantize

FORMATS = st.builds(FixedFormat, st.integers(2, 30), st.integers(-8, 40))


def _rounded(value: Fraction, target: FixedFormat) -> int:
    """Nearest integer, half up, clamped."""
    return min(
        max(floor(value * Fraction(2) ** target.frac + Fraction(1, 2)), target.low), target.high
    )


@given(st.integers(-(1 << 40), 1 << 40), st.integers(-8, 40), FORMATS)
def test_requantize_is_the_nearest_half_up_and_saturates(value, frac, target):
    if frac < target.frac - 20:  # a left shift this long leaves int64
        return
    expected = _rounded(Fraction(value) / Fraction(2) ** frac, target)
    assert requantize(np.array([value]), frac, target)[0] == expected


@given(st.floats(-1e6, 1e6), FORMATS)
def test_quantize_is_the_nearest_half_up_and_saturates(value, target):
    if abs(value) * 2.0**target.frac < 2**50:  # adding one half is exact in float64 up to there
        assert abs(quantize(np.array([value]), target)[0] - _rounded(Fraction(value), target)) == 0


@given(FORMATS, st.data())
def test_dequantize_then_quantize_is_the_identity(target, data):
    value = data.draw(st.integers(target.low, target.high))
    assert quantize(dequantize(np.array([value]), target), target)[0] == value
    assert (
        Fraction(float(dequantize(np.array([value]), target)[0]))
        == Fraction(value) / Fraction(2) ** target.frac
    )


@given(st.floats(1e-6, 1e6), st.integers(4, 30))
def test_fitting_frac_is_the_most_that_does_not_saturate(largest, width):
    frac = fitting_frac(largest, width)
    target = FixedFormat(width, frac)
    for value in (largest, -largest):
        kept = dequantize(quantize(np.array([value]), target), target)[0]
        assert abs(kept - value) <= target.step / 2 * (1 + 1e-9)
    assert largest * 2.0 ** (frac + 1) >= target.high


def test_ranges_without_a_format_are_refused():
    with pytest.raises(UserError, match="a value is not finite"):
        fitting_frac(float("nan"), 16)
    with pytest.raises(UserError, match=r"a fixed-point width must be 2\.\.62 bits, not 1"):
        FixedFormat(1, 0)
    assert fitting_frac(0.0, 16) == 15
    with pytest.raises(UserError, match="not 63"):
        FixedFormat(63, 0)
    assert (FixedFormat(62, 0).low, FixedFormat(62, 0).high) == (-(2**61), 2**61 - 1)


def test_halves_round_up() -> None:
    """Numbers and integers; random ones are seldom a half."""
    halves = np.array([-5, -3, -1, 1, 3, 5])
    assert quantize(halves / 2, FixedFormat(8, 0)).tolist() == [-2, -1, 0, 1, 2, 3]
    assert requantize(halves, 1, FixedFormat(8, 0)).tolist() == [-2, -1, 0, 1, 2, 3]


def test_the_number_just_below_a_half_rounds_down() -> None:
    """0.49999999999999994 + 0.5 is 1.0 in double precision."""
    below = np.nextafter(np.array([0.5, -0.5, 2.5]), -np.inf)
    assert quantize(below, FixedFormat(8, 0)).tolist() == [0, -1, 2]
