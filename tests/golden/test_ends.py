"""What trained networks seldom meet: sums that are a half, table lines that saturate; against
Python's integers.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ernn.golden import elementwise
from ernn.golden.fft import apply_stages
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_parts import ActivationTable, Stage, Transform
from tests.golden import exact

SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from([1, 2, 4, 8]), st.integers(1, 3))
def test_stages_round_halves_up(seed: int, k: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    stages = tuple(Stage(rng.integers(-3, 4, (k, k)), rng.integers(0, 3, k)) for _ in range(count))
    words = rng.integers(-20, 20, (5, k))
    found = apply_stages(Transform(stages, 0), words)
    assert found.tolist() == [exact.stages(Transform(stages, 0), word) for word in words.tolist()]


def steep(rng: np.random.Generator, width: int, segment_bits: int, shift: int) -> ActivationTable:
    """Bases and slopes of any size: many lines leave the output's range."""
    output = FixedFormat(8, 6)
    base, slope = (
        rng.integers(output.low, output.high + 1, 1 << segment_bits),
        rng.integers(-60, 60, 1 << segment_bits),
    )
    return ActivationTable(
        "tanh", FixedFormat(width, 4), output, segment_bits, shift, base, slope, 0.0
    )


@pytest.mark.parametrize(
    ("width", "segment_bits", "shift"), [(4, 4, 0), (7, 3, 1), (10, 8, 1), (10, 6, 2)]
)
def test_lines_saturate_at_both_ends(width: int, segment_bits: int, shift: int) -> None:
    table = steep(np.random.default_rng(width), width, segment_bits, shift)
    low, high = table.output.low, table.output.high
    inputs = np.arange(table.input.low, table.input.high + 1)
    expected = [int(exact.activation(table, v) * 2**table.output.frac) for v in inputs.tolist()]
    assert width == segment_bits or {low, high} <= set(expected)
    assert elementwise.activate(table, inputs).tolist() == expected
