"""Piecewise-linear functions as integer tables, with their largest error over every input integer.

On each segment the line is chosen by trying bases and slopes near the chord shifted by half its
error, and keeping the best by exact evaluation of the table's own arithmetic.  With `low_bits` =
input width - segment bits, slopes have low_bits + 3 fraction bits (`slope_shift`): over a segment
the rounding of a slope costs at most 1/16 of an output step, and a slope needs at most low_bits + 6
bits where the output has two fraction bits more than the input.

An input at an end of its format stands for everything beyond.  So of a function that levels off the
first and the last line end in its limits: a forget gate of an LSTM that is far open keeps its cell.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ernn.ir.activations import BOUNDED, FUNCTIONS, Function
from ernn.ir.fixed_point import FixedFormat, dequantize
from ernn.ir.integer_parts import ActivationTable

Array = np.ndarray

_TRIALS = (-1, 0, 1)


class _Lines(NamedTuple):
    """A line a segment, and its largest error in steps of the output."""

    base: Array
    slope: Array
    error: Array


@lru_cache(maxsize=1000)
def activation_table(
    function: Function, input: FixedFormat, output: FixedFormat, segment_bits: int = 8
) -> ActivationTable:
    """The function as 2**min(segment_bits, input.width) segments over all of `input`'s range."""
    segment_bits = min(segment_bits, input.width)
    low_bits = input.width - segment_bits
    slope_shift = low_bits + 3 if low_bits else 0
    exact = FUNCTIONS[function](dequantize(np.arange(input.low, input.high + 1), input))
    wanted = exact.reshape(1 << segment_bits, 1 << low_bits) * 2.0**output.frac
    lines = _best_lines(wanted, slope_shift, output)
    if function in BOUNDED:
        lines = _to_limits(lines, function, wanted, slope_shift, output)
    error = float(lines.error.max()) * output.step
    return ActivationTable(function, input, output, segment_bits, slope_shift, *lines[:2], error)


def every_value(table: ActivationTable) -> Array:
    """What the table gives, by the input integer, the lowest first."""
    inputs = 1 << (table.input.width - table.segment_bits)
    return _evaluate(table.base, table.slope, inputs, table.slope_shift, table.output).ravel()


def _to_limits(
    lines: _Lines, function: Function, wanted: Array, slope_shift: int, output: FixedFormat
) -> _Lines:
    """The same, but the outer end of the first and the last line is the function's limit."""
    base, slope, error = (numbers.copy() for numbers in lines)
    limits = FUNCTIONS[function](np.array([-1e9, 1e9])) * 2.0**output.frac
    low, high = np.clip(np.rint(limits), output.low, output.high).astype(np.int64)
    further = wanted.shape[1] - 1
    base[0], base[-1] = low, base[-1] if further else high
    slope[0] = np.rint((wanted[0, -1] - low) * 2.0**slope_shift / max(1, further))
    slope[-1] = np.rint((high - base[-1]) * 2.0**slope_shift / max(1, further))
    found = _evaluate(base[[0, -1]], slope[[0, -1]], wanted.shape[1], slope_shift, output)
    error[[0, -1]] = np.abs(found - wanted[[0, -1]]).max(1)
    return _Lines(base, slope, error)


def _best_lines(wanted: Array, slope_shift: int, output: FixedFormat) -> _Lines:
    """The best lines for `wanted` (segments, inputs of one)."""
    start, rise = _shifted_chord(wanted)
    best_base, best_slope = np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.int64)
    best_error = np.full(len(wanted), np.inf)
    for base_trial in _TRIALS:
        for slope_trial in _TRIALS if wanted.shape[1] > 1 else (0,):
            base = np.clip(np.rint(start).astype(np.int64) + base_trial, output.low, output.high)
            slope = np.rint(rise * 2.0**slope_shift).astype(np.int64) + slope_trial
            error = np.abs(
                _evaluate(base, slope, wanted.shape[1], slope_shift, output) - wanted
            ).max(1)
            better = error < best_error
            best_base, best_slope = (
                np.where(better, base, best_base),
                np.where(better, slope, best_slope),
            )
            best_error = np.minimum(error, best_error)
    return _Lines(best_base, best_slope, best_error)


def _shifted_chord(wanted: Array) -> tuple[Array, Array]:
    """Start and rise per input of each segment's chord.

    The chord is moved by half its largest distance from the function.
    """
    inputs = wanted.shape[1]
    rise = (wanted[:, -1] - wanted[:, 0]) / max(1, inputs - 1)
    distance = wanted - wanted[:, :1] - rise[:, None] * np.arange(inputs)
    return wanted[:, 0] + (distance.max(1) + distance.min(1)) / 2, rise


def _evaluate(
    base: Array, slope: Array, inputs: int, slope_shift: int, output: FixedFormat
) -> Array:
    half = (1 << slope_shift) >> 1
    value = (
        (base[:, None] << slope_shift) + slope[:, None] * np.arange(inputs) + half
    ) >> slope_shift
    return np.clip(value, output.low, output.high)
