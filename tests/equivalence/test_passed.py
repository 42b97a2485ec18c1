"""What dense networks pass by changes no integer: all numbers of small formats."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ernn.ir.fixed_point import FixedFormat, requantize, saturate, shift_round
from ernn.scheduling.passed import always_fits, rounds_at_once

FORMATS = st.builds(FixedFormat, st.integers(2, 7), st.integers(-2, 6))
SUMS = np.arange(-4096, 4096)


@given(FORMATS, st.integers(0, 4), st.integers(0, 3), st.integers(0, 10))
def test_two_roundings_are_one(output: FixedFormat, then: int, spare: int, frac: int) -> None:
    rows = FixedFormat(output.width + then + spare, output.frac + then)
    assert rounds_at_once(rows, output)
    first = frac - rows.frac
    exact, first = SUMS << max(0, -first), max(0, first)
    halves = ((1 << first) >> 1) + ((1 << then) >> 1 << first)
    once = saturate((exact + halves) >> first + then, output.width)
    assert (requantize(requantize(SUMS, frac, rows), rows.frac, output) == once).all()


@given(FORMATS, FORMATS)
def test_what_always_fits_is_never_saturated(own: FixedFormat, wanted: FixedFormat) -> None:
    numbers = np.arange(own.low, own.high + 1)
    rounded = shift_round(numbers, own.frac - wanted.frac)
    if always_fits(own, wanted):
        assert (requantize(numbers, own.frac, wanted) == rounded).all()
