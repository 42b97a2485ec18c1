"""Sums of aligned terms, and activation tables, in integers."""

import numpy as np

from ernn.ir.fixed_point import FixedFormat, requantize, saturate
from ernn.ir.integer_parts import ActivationTable

Array = np.ndarray
Term = tuple[Array, int]
"""Integers and their fraction bits."""


def rounded_sum(target: FixedFormat, *terms: Term) -> Array:
    """The exact sum of the terms, rounded once to `target`."""
    frac = max(frac for _, frac in terms)
    total = sum(values << (frac - own) for values, own in terms)
    return requantize(np.asarray(total), frac, target)


def activate(table: ActivationTable, v: Array) -> Array:
    """The table's function of integers in its input format."""
    low_bits = table.input.width - table.segment_bits
    u = v - table.input.low
    segment, rest = u >> low_bits, u & ((1 << low_bits) - 1)
    half = (1 << table.slope_shift) >> 1
    line = (table.base[segment] << table.slope_shift) + table.slope[segment] * rest + half
    return saturate(line >> table.slope_shift, table.output.width)
