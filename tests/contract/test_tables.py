"""Activation tables: their stated error is the true one, over every input integer, in plain
Python.
"""

import math
from typing import get_args

import numpy as np
import pytest
import torch

from ernn.ir.activations import EXACT, FUNCTIONS, Function
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_parts import ActivationTable
from ernn.quantization.activation_tables import activation_table


def _evaluate(table: ActivationTable, v: int) -> int:
    low_bits = table.input.width - table.segment_bits
    u = v - table.input.low
    s, rest = u >> low_bits, u & ((1 << low_bits) - 1)
    half = 1 << (table.slope_shift - 1) if table.slope_shift else 0
    value = (
        int(table.base[s]) * 2**table.slope_shift + int(table.slope[s]) * rest + half
    ) >> table.slope_shift
    return min(max(value, table.output.low), table.output.high)


def _true(function: str, x: float) -> float:
    found = {
        "sigmoid": lambda: 1 / (1 + math.exp(-x)),
        "tanh": lambda: math.tanh(x),
        "hard_sigmoid": lambda: min(max(x / 6 + 0.5, 0), 1),
        "hard_tanh": lambda: min(max(x, -1), 1),
        "softplus": lambda: math.log1p(math.exp(x)),
        "silu": lambda: x / (1 + math.exp(-x)),
        "gelu": lambda: x * 0.5 * (1 + math.erf(x / math.sqrt(2))),
    }
    return found[function]()


TABLES = sorted(set(get_args(Function)) - EXACT)


@pytest.mark.parametrize("function", TABLES)
def test_functions_are_torchs(function: str) -> None:
    torchs = getattr(torch.nn.functional, function.replace("_", ""), None)
    x = torch.linspace(-11, 11, 4001, dtype=torch.float64)
    expected = (torchs or getattr(torch, function))(x).numpy()
    np.testing.assert_allclose(FUNCTIONS[function](x.numpy()), expected, atol=1e-8)


@pytest.mark.parametrize("function", TABLES)
@pytest.mark.parametrize("width", [4, 7, 8, 12, 16])
@pytest.mark.parametrize("whole", [1, 2])
def test_stated_error_is_the_largest_over_every_input(function, width, whole):
    """`whole`: of the output's bits, the sign among them; with one, the function's ends
    saturate.
    """
    table = activation_table(
        function, FixedFormat(width, width - 4), FixedFormat(width, width - whole)
    )
    errors = (
        abs(_evaluate(table, v) * table.output.step - _true(function, v * table.input.step))
        for v in range(table.input.low, table.input.high + 1)
    )
    assert table.max_error == pytest.approx(max(errors), abs=1e-12)


@pytest.mark.parametrize("width", range(4, 19))
def test_error_is_below_one_percent_or_half_a_step(width):
    for function in ("sigmoid", "tanh"):
        table = activation_table(
            function, FixedFormat(width, width - 4), FixedFormat(width, width - 2)
        )
        assert table.max_error <= max(0.01, 0.51 * table.output.step)
        assert table.max_error <= max(4e-4, 1.5 * table.output.step)


def test_slopes_are_as_narrow_as_stated():
    for width in range(4, 19):
        table = activation_table(
            "tanh", FixedFormat(width, width - 4), FixedFormat(width, width - 2)
        )
        low_bits = width - table.segment_bits
        assert table.slope_shift == (low_bits + 3 if low_bits else 0)
        assert abs(table.slope).max() < 1 << (low_bits + 5)


@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
@pytest.mark.parametrize("segment_bits", [2, 3, 5])
def test_no_lines_are_nearer_by_more_than_a_step(function, segment_bits):
    """Where a function bends one way, as here in every segment, the best line errs half as much as
    the chord does.
    """
    table = activation_table(function, FixedFormat(12, 8), FixedFormat(12, 10), segment_bits)
    inputs = np.arange(-(1 << 11), 1 << 11).reshape(1 << segment_bits, -1) * table.input.step
    true = np.vectorize(lambda x: _true(function, x))(inputs)
    share = (inputs - inputs[:, :1]) / (inputs[:, -1:] - inputs[:, :1])
    chord = true[:, :1] * (1 - share) + true[:, -1:] * share
    assert table.max_error <= np.abs(true - chord).max() / 2 + table.output.step
