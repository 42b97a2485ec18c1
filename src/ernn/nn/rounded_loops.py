"""The steps of `ernn.nn.rounded` as compiled loops: those of `ernn.nn.cell_loops`, every edge
rounded.

Formats are rows (scale, low, high, step) of the numbers' own type, what `format_row` gives.  A
product has two: of its sum on the way (a row of zeros: it is not rounded there) and of its result.
What is rounded is kept for the way back: raw (time, batch, gates * hidden) the sums of products,
before (steps, time, batch, hidden) those of steps.
"""

import numpy as np
from numba.extending import register_jitable

from ernn.ir.fixed_point import FixedFormat
from ernn.ir.network import Array
from ernn.nn.activations import ONE, logistic, tanh
from ernn.nn.cell_loops import RELU, SIGMOID, TANH, sum_terms, terms_back
from ernn.nn.loops import compiled

_HALF, _ZERO = np.float32(0.5), np.float32(0)


def format_row(format: FixedFormat) -> tuple[float, float, float, float]:
    """(scale, low, high, step)."""
    return 2.0**format.frac, format.low, format.high, format.step


@register_jitable(inline="always")
def _nearest(x, format):
    """Halves up, as `ernn.nn.fakequant.floor_half_up`: not clamped."""
    scaled = x * format[0]
    below = np.floor(scaled)
    return below + ONE if scaled - below >= _HALF else below


@compiled
def _round(x: Array, out: Array, format: Array) -> None:
    low, high, step = format[1], format[2], format[3]
    for e in range(x.size):
        value = _nearest(x[e], format)
        value = low if value < low else value
        value = high if value > high else value
        out[e] = value * step


@compiled
def _round_back(x: Array, d: Array, format: Array) -> None:
    """No gradient where x saturates."""
    low, high = format[1], format[2]
    for e in range(x.size):
        value = _nearest(x[e], format)
        d[e] = _ZERO if value < low or value > high else d[e]


@compiled
def _look_up(x: Array, out: Array, format: Array, results: Array) -> None:
    low, high = format[1], format[2]
    for e in range(x.size):
        value = _nearest(x[e], format)
        if value != value:  # a diverged training must be seen
            out[e] = value
            continue
        value = low if value < low else value
        value = high if value > high else value
        out[e] = results[int(value - low)]


@compiled
def _slope(activation: int, x: Array, d: Array) -> None:
    if activation == SIGMOID:
        for e in range(x.size):
            y = logistic(x[e])
            d[e] *= y * (ONE - y)
    else:
        for e in range(x.size):
            y = tanh(x[e])
            d[e] *= ONE - y * y


@compiled
def rounded_forward(
    steps: Array, terms: Array, stage: tuple[int, int, int, int], t: int, formats: Array, products: Array,
    sigmoid: Array, tangent: Array, biases: Array, raw: Array, gates: Array, before: Array, values: Array,
    vectors: Array,
) -> None:  # fmt: skip
    """One stage of frame t. stage: its first gate, behind its last, its first step, behind its
    last.

    formats (steps, 4), of steps with a table that of its input; products (gates, 2, 4); sigmoid,
    tangent: what the tables give; biases (gates * hidden,); gates (1, batch, gates * hidden), where
    results are written.
    """
    size = values.shape[3]
    for b in range(values.shape[2]):
        for g in range(stage[0], stage[1]):
            x, out = raw[t, b, g * size : (g + 1) * size], gates[0, b, g * size : (g + 1) * size]
            if products[g, 0, 0] != 0:
                _round(x, out, products[g, 0])
                _round(out, out, products[g, 1])
            else:
                _round(x, out, products[g, 1])
            for e in range(size):
                out[e] += biases[g * size + e]
        for s in range(stage[2], stage[3]):
            out = sum_terms(steps, terms, s, 0, t, b, gates, values, vectors)
            kept = before[s, t, b]
            kept[:] = out
            if steps[s, 0] == SIGMOID:
                _look_up(kept, out, formats[s], sigmoid)
            elif steps[s, 0] == TANH:
                _look_up(kept, out, formats[s], tangent)
            else:
                _round(kept, out, formats[s])
                if steps[s, 0] == RELU:
                    for e in range(size):
                        out[e] = _ZERO if out[e] < _ZERO else out[e]


@compiled
def rounded_back(
    steps: Array, terms: Array, stage: tuple[int, int, int, int], t: int, output: int, formats: Array,
    products: Array, raw: Array, before: Array, values: Array, vectors: Array, d_outputs: Array, d_gates: Array,
    d_values: Array, d_vectors: Array, d_biases: Array,
) -> None:  # fmt: skip
    """The reverse of `rounded_forward`; arrays of gradients as in `ernn.nn.cell_loops.steps_back`,
    of all frames.

    d_biases (batch, gates * hidden) is added to.
    """
    size, now = values.shape[3], (t + 1) % 2
    for b in range(values.shape[2]):
        if stage[3] == len(steps):
            for e in range(size):
                d_values[output, now, b, e] += d_outputs[t, b, e]
        for s in range(stage[3] - 1, stage[2] - 1, -1):
            d, x = d_values[s, now, b], before[s, t, b]
            if steps[s, 0] == SIGMOID or steps[s, 0] == TANH:
                _slope(steps[s, 0], x, d)
            else:
                if steps[s, 0] == RELU:
                    for e in range(size):
                        d[e] = _ZERO if values[s, t + 1, b, e] <= _ZERO else d[e]
                _round_back(x, d, formats[s])
            terms_back(steps, terms, s, t, t, b, d, values, vectors, d_gates, d_values, d_vectors)
        for g in range(stage[0], stage[1]):
            x, d = raw[t, b, g * size : (g + 1) * size], d_gates[t, b, g * size : (g + 1) * size]
            for e in range(size):
                d_biases[b, g * size + e] += d[e]
            if products[g, 0, 0] != 0:
                _round_back(x, d, products[g, 0])
            _round_back(x, d, products[g, 1])
        if stage[2] == 0:
            d_values[:, now, b] = 0
