"""One frame through layers, in integers, said once for every `Arithmetic`.

Edges are noted by name: a layer's gates as '<layer>.i' and so on, products and signals by their own
names, spectra as '<signal>.spectrum'.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ernn.golden.arithmetic import Arithmetic, Array, Term, Value
from ernn.ir.cell import CellStep
from ernn.ir.integer_model import (
    ActivationTable,
    IntegerCell,
    IntegerGru,
    IntegerLinear,
    IntegerLstm,
    Product,
)

Note = Callable[..., None]
"""Takes an edge's name and its value, or a product's values gate by gate."""
OneWay = IntegerLstm | IntegerGru | IntegerLinear | IntegerCell


@dataclass(frozen=True, eq=False)
class Memory:
    """What a recurrent layer keeps from frame to frame: its output, that output's spectrum, an
    LSTM's cell.
    """

    output: Value
    spectrum: Value
    cell: Value = None
    kept: Mapping[str, Value] = field(default_factory=dict)
    """Of a described layer, by step's name, and by signal's name with `.spectrum`."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame on its way through one layer: what is computed is noted."""

    arithmetic: Arithmetic
    layer: str
    note: Note

    def emit(self, signal: str, value: Value) -> Value:
        """Note a signal, and its spectrum where a product reads it; returns the spectrum, or
        None.
        """
        self.note(signal, value)
        if self.arithmetic.model.signal(signal).spectrum is None:
            return None
        spectrum = self.arithmetic.spectrum(signal, value)
        self.note(f"{signal}.spectrum", spectrum)
        return spectrum

    def product(self, product: Product, spectra: dict[str, Value]) -> list[Term]:
        """One term a gate."""
        gates = self.arithmetic.product(product, spectra)
        self.note(product.name, *gates)
        return [Term((gate,), product.output.frac) for gate in gates]

    def constant(self, values: Array, frac: int) -> Term:
        return Term((self.arithmetic.constant(values),), frac)

    def gate(self, letter: str, table: ActivationTable, *terms: Term) -> Term:
        total = self.arithmetic.rounded_sum(self.arithmetic.model.activation_input, *terms)
        value = self.arithmetic.activate(table, total)
        self.note(f"{self.layer}.{letter}", value)
        return Term((value,), table.output.frac)


def frame_through(
    arithmetic: Arithmetic,
    layers: Sequence[OneWay],
    x: Value,
    before: Sequence[Memory | None],
    note: Note,
) -> tuple[Value, list[Memory | None]]:
    """The last layer's output for a frame x of the first layer's input, and every layer's memory
    after it.
    """
    spectrum, after = Frame(arithmetic, "", note).emit(layers[0].input, x), []
    for layer, memory in zip(layers, before, strict=True):
        frame = Frame(arithmetic, layer.name, note)
        if isinstance(layer, IntegerLinear):
            x, spectrum = _linear(frame, layer, spectrum)
            after.append(None)
        else:
            assert memory is not None
            after.append(_recurrent(frame, layer, spectrum, memory))
            x, spectrum = after[-1].output, after[-1].spectrum
    return x, after


def _recurrent(
    frame: Frame, layer: IntegerLstm | IntegerGru | IntegerCell, x: Value, before: Memory
) -> Memory:
    if isinstance(layer, IntegerCell):
        return _described(frame, layer, x, before)
    if isinstance(layer, IntegerLstm):
        return _lstm(frame, layer, x, before)
    return _gru(frame, layer, x, before)


def _lstm(frame: Frame, layer: IntegerLstm, x: Value, before: Memory) -> Memory:
    model, arithmetic, bias_frac = frame.arithmetic.model, frame.arithmetic, layer.gates.output.frac
    products = frame.product(layer.gates, {layer.input: x, layer.output: before.spectrum})
    p_i, p_f, p_g, p_o = [
        (p, frame.constant(b, bias_frac)) for p, b in zip(products, layer.bias, strict=True)
    ]

    def peephole(index: int, cell: Term) -> list[Term]:
        if layer.peephole is None or layer.peephole_format is None:
            return []
        return [frame.constant(layer.peephole[index], layer.peephole_format.frac).by(cell)]

    old = Term((before.cell,), layer.cell.frac)
    i = frame.gate("i", model.sigmoid, *p_i, *peephole(0, old))
    f = frame.gate("f", model.sigmoid, *p_f, *peephole(1, old))
    g = frame.gate("g", model.tanh, *p_g)
    cell = arithmetic.rounded_sum(layer.cell, f.by(old), i.by(g))
    frame.note(f"{layer.name}.c", cell)
    new = Term((cell,), layer.cell.frac)
    o = frame.gate("o", model.sigmoid, *p_o, *peephole(2, new))
    t = frame.gate("t", model.tanh, new)
    m = arithmetic.rounded_sum(model.signal(layer.cell_output).format, o.by(t))
    spectrum = frame.emit(layer.cell_output, m)
    if layer.projection is None:
        return Memory(m, spectrum, cell)
    (y,) = frame.product(layer.projection, {layer.cell_output: spectrum})
    output = arithmetic.rounded_sum(model.signal(layer.output).format, y)
    return Memory(output, frame.emit(layer.output, output), cell)


def _gru(frame: Frame, layer: IntegerGru, x: Value, before: Memory) -> Memory:
    model, bias_frac = frame.arithmetic.model, layer.gates.output.frac
    spectra = {layer.input: x, layer.output: before.spectrum}
    h = Term((before.output,), model.signal(layer.output).format.frac)
    p_r, p_z = frame.product(layer.gates, spectra)
    r = frame.gate("r", model.sigmoid, p_r, frame.constant(layer.bias[0], bias_frac))
    z = frame.gate("z", model.sigmoid, p_z, frame.constant(layer.bias[1], bias_frac))
    candidate = _after if layer.reset == "after" else _before
    n = frame.gate("n", model.tanh, *candidate(frame, layer, spectra, r, h))
    output = frame.arithmetic.rounded_sum(
        model.signal(layer.output).format, z.by(h), z.by(n).negated(), n
    )
    return Memory(output, frame.emit(layer.output, output))


def _after(
    frame: Frame, layer: IntegerGru, spectra: dict[str, Value], r: Term, h: Term
) -> list[Term]:
    assert layer.candidate_input is not None and layer.candidate_bias is not None
    (from_input,) = frame.product(layer.candidate_input, spectra)
    (from_state,) = frame.product(layer.candidate, spectra)
    format = layer.candidate.output
    u = frame.arithmetic.rounded_sum(
        format, from_state, frame.constant(layer.candidate_bias, format.frac)
    )
    frame.note(f"{layer.name}.u", u)
    bias = frame.constant(layer.bias[2], layer.candidate_input.output.frac)
    return [from_input, bias, r.by(Term((u,), format.frac))]


def _before(
    frame: Frame, layer: IntegerGru, spectra: dict[str, Value], r: Term, h: Term
) -> list[Term]:
    assert layer.reset_state is not None
    s = frame.arithmetic.rounded_sum(
        frame.arithmetic.model.signal(layer.reset_state).format, r.by(h)
    )
    reset = {**spectra, layer.reset_state: frame.emit(layer.reset_state, s)}
    (product,) = frame.product(layer.candidate, reset)
    return [product, frame.constant(layer.bias[2], layer.candidate.output.frac)]


def _described(frame: Frame, layer: IntegerCell, x: Value, before: Memory) -> Memory:
    cell, values = layer.cell, dict(before.kept)
    values[f"{layer.input}.spectrum"] = x
    for stage in cell.stages:
        gates: dict[str, list[Term]] = {}
        for named in stage.products:
            product, bias = layer.product(named.name)
            spectra = {
                layer.signal(read): values[f"{layer.signal(read)}.spectrum"] for read in named.reads
            }
            for gate, term in enumerate(frame.product(product, spectra)):
                added = [] if bias is None else [frame.constant(bias[gate], product.output.frac)]
                gates[f"{named.name}.{gate}"] = [term, *added]
        for step in stage.steps:
            values[step.name] = _step(frame, layer, step, gates, values)
            signal = layer.signal(step.name)
            if step.name in cell.signals:
                values[f"{signal}.spectrum"] = frame.emit(signal, values[step.name])
    kept = {name: values[name] for name in before.kept}
    return Memory(values[cell.output], values[f"{layer.output}.spectrum"], kept=kept)


def _step(
    frame: Frame,
    layer: IntegerCell,
    step: CellStep,
    gates: Mapping[str, list[Term]],
    values: Mapping[str, Value],
) -> Value:
    """A step's value; noted by the step's name, unless as a signal it is noted as that."""
    arithmetic, model, terms = frame.arithmetic, frame.arithmetic.model, []
    for part in step.terms:
        first, *others = part.factors
        exact = gates[first] if first in gates else [_known(frame, layer, first, values)]
        for other in others:
            exact = [term.by(_known(frame, layer, other, values)) for term in exact]
        terms += [term.negated() if part.negative else term for term in exact]
    if step.activation in ("sigmoid", "tanh"):
        table = model.sigmoid if step.activation == "sigmoid" else model.tanh
        value = arithmetic.activate(table, arithmetic.rounded_sum(model.activation_input, *terms))
    else:
        value = arithmetic.rounded_sum(
            layer.format_of[step.name], *terms, positive=step.activation == "relu"
        )
    if step.name not in layer.cell.signals:
        frame.note(f"{layer.name}.{step.name}", value)
    return value


def _known(frame: Frame, layer: IntegerCell, name: str, values: Mapping[str, Value]) -> Term:
    frac = layer.format_of[name].frac
    if name in layer.cell.vectors:
        return frame.constant(layer.vectors[layer.cell.vectors.index(name)], frac)
    return Term((values[name],), frac)


def _linear(frame: Frame, layer: IntegerLinear, x: Value) -> tuple[Value, Value]:
    """The layer's output, and its spectrum."""
    (product,) = frame.product(layer.product, {layer.input: x})
    format = frame.arithmetic.model.signal(layer.output).format
    bias = frame.constant(layer.bias, layer.product.output.frac)
    output = frame.arithmetic.rounded_sum(format, product, bias)
    return output, frame.emit(layer.output, output)
