"""The element-wise steps of any described cell (`ernn.ir.cell`), forward and backward, as compiled
loops over a table.

One compiled function runs every cell: what a step does is read from a table for each strip of
numbers, one sequence's units in one frame, so a strip costs a few look-ups and is worked on in
vector registers and the first level cache.

A table is two integer arrays, made once a cell by `table`:

    steps (steps, 3)   activation, the first of its terms, behind its last
    terms (terms, 5)   kind and row of the first factor, kind and row of the second (NONE: there is
    none), 1 if negative

Kinds say where a row is: GATE in gates (frames, batch, rows * hidden), NOW and BEFORE in values
(steps, 1 + time, batch, hidden), whose frame t + 1 is the outputs' frame t, VECTOR in vectors
(vectors, hidden).
"""

from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from numba.extending import register_jitable

from ernn.ir.cell import Cell, Read
from ernn.ir.network import Array
from ernn.nn.activations import ONE, logistic, tanh
from ernn.nn.loops import compiled

NONE, GATE, NOW, BEFORE, VECTOR = range(5)
SIGMOID, TANH, RELU = 1, 2, 3
_ACTIVATIONS = {None: 0, "sigmoid": SIGMOID, "tanh": TANH, "relu": RELU}
_ZERO = np.float32(0)


@dataclass(frozen=True, eq=False)
class Table:
    """`stages`: of each, its first step and behind its last. `output`: the row of the cell's
    output.
    """

    steps: Array
    terms: Array
    stages: tuple[tuple[int, int], ...]
    output: int


def table(cell: Cell) -> Table:
    rows = {step.name: row for row, step in enumerate(cell.steps)}
    gates = [f"{product.name}.{gate}" for product in cell.products for gate in range(product.gates)]
    steps, terms = [], []

    def factor(read: Read) -> tuple[int, int]:
        name = read.name
        if name in gates:
            return GATE, gates.index(name)
        if name in cell.vectors:
            return VECTOR, cell.vectors.index(name)
        return (BEFORE if read.delay else NOW), rows[name]

    for step in cell.steps:
        steps.append((_ACTIVATIONS[step.activation], len(terms), len(terms) + len(step.terms)))
        for term in step.terms:
            first, *others = (factor(read) for read in term.factors)
            terms.append((*first, *(others[0] if others else (NONE, 0)), int(term.negative)))
    ends = [0, *accumulate(len(stage.steps) for stage in cell.stages)]
    return Table(np.array(steps), np.array(terms), tuple(pairwise(ends)), rows[cell.outputs[0]])


@register_jitable
def _gate(row, frame, b, gates, size):
    return gates[frame, b, row * size : (row + 1) * size]


@register_jitable
def _value(kind, row, t, b, values, vectors):
    if kind == VECTOR:
        return vectors[row]
    return values[row, t + 1 if kind == NOW else t, b]


@compiled
def _add(out: Array, a: Array) -> None:
    for e in range(out.size):
        out[e] += a[e]


@compiled
def _add_product(out: Array, a: Array, b: Array) -> None:
    for e in range(out.size):
        out[e] += a[e] * b[e]


@compiled
def _subtract_product(out: Array, a: Array, b: Array) -> None:
    for e in range(out.size):
        out[e] -= a[e] * b[e]


@compiled
def _activate(activation: int, out: Array) -> None:
    if activation == SIGMOID:
        for e in range(out.size):
            out[e] = logistic(out[e])
    elif activation == TANH:
        for e in range(out.size):
            out[e] = tanh(out[e])
    elif activation == RELU:
        for e in range(out.size):
            out[e] = _ZERO if out[e] < _ZERO else out[e]  # so written, a NaN stays one


@compiled
def _activate_back(activation: int, value: Array, d: Array) -> None:
    if activation == SIGMOID:
        for e in range(d.size):
            d[e] *= value[e] * (ONE - value[e])
    elif activation == TANH:
        for e in range(d.size):
            d[e] *= ONE - value[e] * value[e]
    elif activation == RELU:
        for e in range(d.size):
            d[e] = _ZERO if value[e] <= _ZERO else d[e]


@register_jitable
def sum_terms(steps, terms, s, frame, t, b, gates, values, vectors):
    """The sum of step s's terms to its place in `values`, which is returned."""
    out = values[s, t + 1, b]
    out[:] = 0
    for k in range(steps[s, 1], steps[s, 2]):
        if terms[k, 0] == GATE:
            _add(out, _gate(terms[k, 1], frame, b, gates, out.size))
            continue
        a = _value(terms[k, 0], terms[k, 1], t, b, values, vectors)
        if terms[k, 2] == NONE:
            _add(out, a)
            continue
        other = _value(terms[k, 2], terms[k, 3], t, b, values, vectors)
        if terms[k, 4]:
            _subtract_product(out, a, other)
        else:
            _add_product(out, a, other)
    return out


@compiled
def steps_forward(
    steps: Array,
    terms: Array,
    begin: int,
    end: int,
    start: int,
    gates: Array,
    values: Array,
    vectors: Array,
) -> None:
    """Steps `begin` to `end` of the frames from `start` on for which there are gates (frames,
    batch, rows * hidden).
    """
    for b in range(values.shape[2]):
        for frame in range(gates.shape[0]):
            t = start + frame
            for s in range(begin, end):
                _activate(
                    steps[s, 0], sum_terms(steps, terms, s, frame, t, b, gates, values, vectors)
                )


@register_jitable
def _gradient(kind, row, t, b, d_values, d_vectors):
    if kind == VECTOR:
        return d_vectors[b, row]
    return d_values[row, (t + 1 if kind == NOW else t) % 2, b]


@register_jitable
def terms_back(steps, terms, s, frame, t, b, d, values, vectors, d_gates, d_values, d_vectors):
    """The gradient d of the sum of step s's terms, added to what they are made of."""
    for k in range(steps[s, 1], steps[s, 2]):
        if terms[k, 0] == GATE:
            _add(_gate(terms[k, 1], frame, b, d_gates, d.size), d)
            continue
        d_a = _gradient(terms[k, 0], terms[k, 1], t, b, d_values, d_vectors)
        if terms[k, 2] == NONE:
            _add(d_a, d)
            continue
        d_other = _gradient(terms[k, 2], terms[k, 3], t, b, d_values, d_vectors)
        a = _value(terms[k, 0], terms[k, 1], t, b, values, vectors)
        other = _value(terms[k, 2], terms[k, 3], t, b, values, vectors)
        if terms[k, 4]:
            _subtract_product(d_a, d, other)
            _subtract_product(d_other, d, a)
        else:
            _add_product(d_a, d, other)
            _add_product(d_other, d, a)


@compiled
def steps_back(
    steps: Array, terms: Array, begin: int, end: int, start: int, output: int, values: Array, vectors: Array,
    d_outputs: Array, d_gates: Array, d_values: Array, d_vectors: Array,
) -> None:  # fmt: skip
    """The reverse of `steps_forward`, for as many frames from `start` on as d_gates has.

    d_values (steps, 2, batch, hidden): gradients of frame t at (t + 1) % 2, of the frame before at
    t % 2. Those of a frame's outputs are added before its last step, and the frame's place is
    cleared after its first. d_gates, zero at first, and d_vectors (batch, vectors, hidden) are
    added to.
    """
    for b in range(values.shape[2]):
        for frame in range(d_gates.shape[0] - 1, -1, -1):
            t = start + frame
            now = (t + 1) % 2
            if end == len(steps):
                _add(d_values[output, now, b], d_outputs[t, b])
            for s in range(end - 1, begin - 1, -1):
                d = d_values[s, now, b]
                _activate_back(steps[s, 0], values[s, t + 1, b], d)
                terms_back(
                    steps, terms, s, frame, t, b, d, values, vectors, d_gates, d_values, d_vectors
                )
            if begin == 0:
                d_values[:, now, b] = 0
