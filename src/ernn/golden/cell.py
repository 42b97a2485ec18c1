"""One frame through one layer, in integers. Arrays have one leading axis of utterances.

Edges are noted by name: a layer's gates as '<layer>.i' and so on, products and signals by their own names, spectra
as '<signal>.spectrum'.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ernn.golden.arithmetic import Arithmetic
from ernn.golden.elementwise import Term, activate, rounded_sum
from ernn.integer_model import ActivationTable, IntegerGru, IntegerLinear, IntegerLstm, Product

Array = np.ndarray
Note = Callable[[str, Array], None]


@dataclass(frozen=True, eq=False)
class Memory:
    """What a recurrent layer keeps from frame to frame: its output, that output's spectrum, an LSTM's cell."""

    output: Array
    spectrum: Array
    cell: Array

    def first(self, count: int) -> "Memory":
        """The memory of the first `count` utterances."""
        return Memory(self.output[:count], self.spectrum[:count], self.cell[:count])


def start(arithmetic: Arithmetic, layer: IntegerLstm | IntegerGru, utterances: int) -> Memory:
    """Memory before the first frame."""
    length = arithmetic.model.signal(layer.output).length
    output = _repeated(layer.initial_output, length, utterances)
    cell = layer.initial_cell if isinstance(layer, IntegerLstm) else None
    cells = _repeated(cell, layer.hidden_size, utterances)
    return Memory(output, arithmetic.spectrum(layer.output, output), cells)


def _repeated(vector: Array | None, length: int, utterances: int) -> Array:
    return np.tile(np.zeros(length, np.int64) if vector is None else vector, (utterances, 1))


def emit(arithmetic: Arithmetic, signal: str, values: Array, note: Note) -> Array:
    """Note a signal, and its spectrum where a product reads it; returns the spectrum (no words where none does)."""
    note(signal, values)
    if arithmetic.model.signal(signal).spectrum is None:
        return np.empty((len(values), 0, arithmetic.model.block), np.int64)
    spectrum = arithmetic.spectrum(signal, values)
    note(f"{signal}.spectrum", _joined(spectrum))
    return spectrum


def _joined(values: Array) -> Array:
    """(utterances, a, b) to (utterances, a * b)."""
    return values.reshape(len(values), values.shape[1] * values.shape[2])


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame on its way through one layer: what is computed is noted."""

    arithmetic: Arithmetic
    layer: str
    note: Note

    def emit(self, signal: str, values: Array) -> Array:
        """`emit` into this frame."""
        return emit(self.arithmetic, signal, values, self.note)

    def product(self, product: Product, spectra: dict[str, Array]) -> list[Term]:
        """One term a gate."""
        out = self.arithmetic.product(product, spectra)
        self.note(product.name, _joined(out))
        return [(out[:, gate], product.output.frac) for gate in range(product.gates)]

    def gate(self, letter: str, table: ActivationTable, *terms: Term) -> Term:
        value = activate(table, rounded_sum(self.arithmetic.model.activation_input, *terms))
        self.note(f"{self.layer}.{letter}", value)
        return value, table.output.frac


def _by(a: Term, b: Term, sign: int = 1) -> Term:
    return sign * a[0] * b[0], a[1] + b[1]


def lstm_step(arithmetic: Arithmetic, layer: IntegerLstm, x: Array, before: Memory, note: Note) -> Memory:
    """The layer's memory after a frame whose input has the spectrum x."""
    model, frame = arithmetic.model, Frame(arithmetic, layer.name, note)
    sigmoid, tanh, bias_frac = model.sigmoid, model.tanh, layer.gates.output.frac
    products = frame.product(layer.gates, {layer.input: x, layer.output: before.spectrum})
    p_i, p_f, p_g, p_o = [(p, (bias, bias_frac)) for p, bias in zip(products, layer.bias, strict=True)]

    def peephole(index: int, cell: Term) -> list[Term]:
        if layer.peephole is None or layer.peephole_format is None:
            return []
        return [_by((layer.peephole[index], layer.peephole_format.frac), cell)]

    old = (before.cell, layer.cell.frac)
    i = frame.gate("i", sigmoid, *p_i, *peephole(0, old))
    f = frame.gate("f", sigmoid, *p_f, *peephole(1, old))
    g = frame.gate("g", tanh, *p_g)
    cell = rounded_sum(layer.cell, _by(f, old), _by(i, g))
    note(f"{layer.name}.c", cell)
    new = (cell, layer.cell.frac)
    o = frame.gate("o", sigmoid, *p_o, *peephole(2, new))
    t = frame.gate("t", tanh, new)
    m = rounded_sum(model.signal(layer.cell_output).format, _by(o, t))
    spectrum = frame.emit(layer.cell_output, m)
    if layer.projection is None:
        return Memory(m, spectrum, cell)
    (y,) = frame.product(layer.projection, {layer.cell_output: spectrum})
    output = rounded_sum(model.signal(layer.output).format, y)
    return Memory(output, frame.emit(layer.output, output), cell)


def gru_step(arithmetic: Arithmetic, layer: IntegerGru, x: Array, before: Memory, note: Note) -> Memory:
    """The layer's memory after a frame whose input has the spectrum x."""
    model, frame = arithmetic.model, Frame(arithmetic, layer.name, note)
    spectra = {layer.input: x, layer.output: before.spectrum}
    h: Term = (before.output, model.signal(layer.output).format.frac)
    p_r, p_z = frame.product(layer.gates, spectra)
    bias_frac = layer.gates.output.frac
    r = frame.gate("r", model.sigmoid, p_r, (layer.bias[0], bias_frac))
    z = frame.gate("z", model.sigmoid, p_z, (layer.bias[1], bias_frac))
    candidate = _after if layer.reset == "after" else _before
    n = frame.gate("n", model.tanh, *candidate(frame, layer, spectra, r, h))
    output = rounded_sum(model.signal(layer.output).format, _by(z, h), _by(z, n, -1), n)
    return Memory(output, frame.emit(layer.output, output), before.cell)


def _after(frame: Frame, layer: IntegerGru, spectra: dict[str, Array], r: Term, h: Term) -> list[Term]:
    assert layer.candidate_input is not None and layer.candidate_bias is not None
    (from_input,) = frame.product(layer.candidate_input, spectra)
    (from_state,) = frame.product(layer.candidate, spectra)
    format = layer.candidate.output
    u = rounded_sum(format, from_state, (layer.candidate_bias, format.frac))
    frame.note(f"{layer.name}.u", u)
    return [from_input, (layer.bias[2], layer.candidate_input.output.frac), _by(r, (u, format.frac))]


def _before(frame: Frame, layer: IntegerGru, spectra: dict[str, Array], r: Term, h: Term) -> list[Term]:
    assert layer.reset_state is not None
    s = rounded_sum(frame.arithmetic.model.signal(layer.reset_state).format, _by(r, h))
    reset = {**spectra, layer.reset_state: frame.emit(layer.reset_state, s)}
    (product,) = frame.product(layer.candidate, reset)
    return [product, (layer.bias[2], layer.candidate.output.frac)]


def linear_step(arithmetic: Arithmetic, layer: IntegerLinear, x: Array, note: Note) -> tuple[Array, Array]:
    """The layer's output, and its spectrum, for a frame whose input has the spectrum x."""
    frame = Frame(arithmetic, layer.name, note)
    (product,) = frame.product(layer.product, {layer.input: x})
    format = arithmetic.model.signal(layer.output).format
    output = rounded_sum(format, product, (layer.bias, layer.product.output.frac))
    return output, frame.emit(layer.output, output)
