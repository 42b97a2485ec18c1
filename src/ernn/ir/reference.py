"""The float reference: a `Network` run in float64 by the obvious loop over time (equations:
REFERENCE.md section 2).

`run` takes one utterance and carries state, so a stream may be cut anywhere; `run_all` and
`observe` take many utterances of any lengths at once, and `observe` hands out the values of the
intermediate edges, for calibration:

| layer | edge: values, one row a frame |
|---|---|
| every | `input` (input,) |
| LSTM | `gates` (4, hidden): products alone; `c` (hidden,); `m` (hidden,): before the projection; `h` (output,) |
| GRU, reset after | `rz` (2, hidden), `nx`, `nh` (hidden,): products alone; `h` (hidden,) |
| GRU, reset before | `rz` (2, hidden), `n` (hidden,): products alone; `rh` = r * h and `h` (hidden,) |
| Linear | `y` (output,): product alone; `output` (output,) |
| described | by its product's name (gates, rows); by its step's name, with `signal.` where products read it |
| bidirectional | the edges of both layers as `forward.h`, `backward.h`, ...; `h` joined |

"Products alone" leaves out bias and peepholes. Initial states are not among the values.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import numpy as np

from ernn.errors import UserError
from ernn.ir.cell import INPUT
from ernn.ir.network import (
    Array,
    BidirectionalLayer,
    CellLayer,
    GruLayer,
    Layer,
    LinearLayer,
    LstmLayer,
    Network,
)

Record = Callable[[int, str, Array], None]
_Note = Callable[[str, Array], None]


@dataclass(frozen=True, eq=False)
class LstmState:
    """y_{t-1} (output,) and c_{t-1} (hidden,)."""

    output: Array
    cell: Array


@dataclass(frozen=True, eq=False)
class GruState:
    """h_{t-1} (hidden,)."""

    output: Array


@dataclass(frozen=True, eq=False)
class CellState:
    """Every step's values of the frame before."""

    values: dict[str, Array]


LayerState = LstmState | GruState | CellState | None
State = tuple[LayerState, ...]
"""One entry a layer; None for the layers that keep none between calls (Linear, bidirectional)."""


def initial_state(network: Network) -> State:
    """The state before the first frame."""
    return tuple(_initial(layer) for layer in network.layers)


def run(network: Network, frames: Array, state: State | None = None) -> tuple[Array, State]:
    """Outputs (time, outputs) of one utterance (time, inputs), and the state after its last frame.

    With `last_step` outputs are (1, outputs). Running chunks, each from the state of the one
    before, gives the outputs of the whole, unless a layer is bidirectional: that needs the whole
    utterance, and a `state` raises UserError.
    """
    if state is not None:
        _check_state(network, state)
    outputs, end = _run(
        network, _batch(network, [frames]), state or initial_state(network), _ignore
    )
    return outputs[0], tuple(_single(after) for after in end)


def run_all(network: Network, utterances: Sequence[Array]) -> list[Array]:
    """Outputs of each of many independent utterances, as `run` gives them; faster than one by
    one.
    """
    batch = _batch(network, utterances)
    outputs, _ = _run(network, batch, initial_state(network), _ignore)
    if network.last_step:
        return list(outputs)
    return [row[:length] for row, length in zip(outputs, batch.lengths, strict=True)]


def observe(network: Network, utterances: Array | Sequence[Array], record: Record) -> None:
    """Run over one utterance (time, inputs) or many, and call `record(layer, edge, values)` for
    every edge.

    values is (n, ...), one row a frame, edges and shapes as in the module's docstring. An edge is
    recorded many times, typically once a time step with n the number of utterances that still last:
    reduce as they come (the rows of two edges do not match one another).
    """
    many = [utterances] if isinstance(utterances, np.ndarray) else utterances
    _run(network, _batch(network, many), initial_state(network), record)


class _Batch(NamedTuple):
    frames: Array  # (utterances, time, inputs), zeros after the end
    lengths: Array  # (utterances,)


def _batch(network: Network, utterances: Sequence[Array]) -> _Batch:
    if len(utterances) == 0:
        raise UserError("there is no utterance to run")
    for frames in utterances:
        _check_frames(network, frames)
    lengths = np.array([len(frames) for frames in utterances])
    padded = np.zeros((len(utterances), lengths.max(), network.input_size))
    for row, frames in zip(padded, utterances, strict=True):
        row[: len(frames)] = frames
    return _Batch(padded, lengths)


def _check_frames(network: Network, frames: Array) -> None:
    if frames.ndim != 2 or frames.shape[1] != network.input_size:
        raise UserError(f"frames must be (time, {network.input_size}), not {frames.shape}")
    if network.last_step and len(frames) == 0:
        raise UserError("a network that gives its last step's output needs at least one frame")


def _check_state(network: Network, state: State) -> None:
    if any(isinstance(layer, BidirectionalLayer) for layer in network.layers):
        raise UserError(
            "a bidirectional layer needs the whole utterance at once: run it without a state"
        )
    expected = [_shapes(s) for s in initial_state(network)]
    if [_shapes(s) for s in state] != expected:
        raise UserError(f"the state must hold arrays of shapes {expected}, one entry a layer")


def _shapes(state: LayerState) -> tuple[tuple[int, ...], ...]:
    match state:
        case LstmState():
            return state.output.shape, state.cell.shape
        case GruState():
            return (state.output.shape,)
        case CellState():
            return tuple(values.shape for values in state.values.values())
        case None:
            return ()


def _run(network: Network, batch: _Batch, state: State, record: Record) -> tuple[Array, State]:
    values, end = batch.frames, []
    for index, (layer, before) in enumerate(zip(network.layers, state, strict=True)):

        def note(edge: str, rows: Array, index: int = index) -> None:
            record(index, edge, rows)

        note("input", values[_valid(batch)])
        values, after = _layer(
            layer, _Batch(values, batch.lengths), _spread(before, len(values)), note
        )
        end.append(after)
    if network.last_step:
        values = values[np.arange(len(values)), batch.lengths - 1][:, None]
    return values, tuple(end)


def _layer(layer: Layer, batch: _Batch, state: LayerState, note: _Note) -> tuple[Array, LayerState]:
    match layer, state:
        case LinearLayer(), _:
            return _linear(layer, batch, note), None
        case BidirectionalLayer(), _:
            return _bidirectional(layer, batch, note), None
        case LstmLayer(), LstmState():
            return _lstm(layer, batch, state, note)
        case GruLayer(), GruState():
            return _gru(layer, batch, state, note)
        case CellLayer(), CellState():
            return _cell(layer, batch, state, note)
    raise TypeError(f"{type(layer).__name__} with {type(state).__name__}")


def _linear(layer: LinearLayer, batch: _Batch, note: _Note) -> Array:
    product = _times(batch.frames, layer.weight.value)[:, :, 0]
    output = product + layer.bias
    valid = _valid(batch)
    note("y", product[valid])
    note("output", output[valid])
    return output


def _bidirectional(layer: BidirectionalLayer, batch: _Batch, note: _Note) -> Array:
    starts = [
        _spread(_initial(part), len(batch.frames)) for part in (layer.forward, layer.backward)
    ]
    forward, _ = _layer(
        layer.forward, batch, starts[0], lambda edge, rows: note(f"forward.{edge}", rows)
    )
    mirrored = _Batch(_reverse(batch), batch.lengths)
    backward, _ = _layer(
        layer.backward, mirrored, starts[1], lambda edge, rows: note(f"backward.{edge}", rows)
    )
    joined = np.concatenate([forward, _reverse(_Batch(backward, batch.lengths))], axis=-1)
    note("h", joined[_valid(batch)])
    return joined


def _lstm(
    layer: LstmLayer, batch: _Batch, state: LstmState, note: _Note
) -> tuple[Array, LstmState]:
    from_input = _times(batch.frames, layer.input_weight.value)
    y, c = state.output, state.cell
    outputs = np.zeros((*batch.frames.shape[:2], layer.output_size))
    for t in range(batch.frames.shape[1]):
        live = t < batch.lengths
        products = from_input[:, t] + _times(y, layer.recurrent_weight.value)
        step = _lstm_step(layer, products, c)
        for edge, values in zip(("gates", "c", "m", "h"), (products, *step), strict=True):
            note(edge, values[live])
        y, c = _where(live, step.y, y), _where(live, step.c, c)
        outputs[:, t] = y
    return outputs, LstmState(y, c)


class _LstmStep(NamedTuple):
    c: Array
    m: Array
    y: Array


def _lstm_step(layer: LstmLayer, products: Array, c: Array) -> _LstmStep:
    i, f, g, o = np.moveaxis(products + layer.bias, 1, 0)
    p_i, p_f, p_o = layer.peephole if layer.peephole is not None else (0.0, 0.0, 0.0)
    c_new = _sigmoid(f + p_f * c) * c + _sigmoid(i + p_i * c) * np.tanh(g)
    m = _sigmoid(o + p_o * c_new) * np.tanh(c_new)
    y = m if layer.projection is None else _times(m, layer.projection.value)[:, 0]
    return _LstmStep(c_new, m, y)


def _gru(layer: GruLayer, batch: _Batch, state: GruState, note: _Note) -> tuple[Array, GruState]:
    step = _gru_after if layer.reset == "after" else _gru_before
    from_input = _times(batch.frames, layer.input_weight.value)
    h = state.output
    outputs = np.zeros((*batch.frames.shape[:2], layer.output_size))
    for t in range(batch.frames.shape[1]):
        live = t < batch.lengths
        edges = step(layer, from_input[:, t], h)
        for edge, values in edges._asdict().items():
            note(edge, values[live])
        h = _where(live, edges.h, h)
        outputs[:, t] = h
    return outputs, GruState(h)


class _AfterEdges(NamedTuple):
    rz: Array
    nx: Array
    nh: Array
    h: Array


class _BeforeEdges(NamedTuple):
    rz: Array
    n: Array
    rh: Array
    h: Array


def _gru_after(layer: GruLayer, from_input: Array, h: Array) -> _AfterEdges:
    from_state = _times(h, layer.recurrent_weight.value)
    rz = from_input[:, :2] + from_state[:, :2]
    r, z = _reset_and_update(layer, rz)
    nx, nh = from_input[:, 2], from_state[:, 2]
    n = np.tanh(nx + layer.input_bias[2] + r * (nh + layer.recurrent_bias[2]))
    return _AfterEdges(rz, nx, nh, (1 - z) * n + z * h)


def _gru_before(layer: GruLayer, from_input: Array, h: Array) -> _BeforeEdges:
    for_gates, for_candidate = layer.recurrent_weight.value[:2], layer.recurrent_weight.value[2:]
    rz = from_input[:, :2] + _times(h, for_gates)
    r, z = _reset_and_update(layer, rz)
    rh = r * h
    product = from_input[:, 2] + _times(rh, for_candidate)[:, 0]
    n = np.tanh(product + layer.input_bias[2] + layer.recurrent_bias[2])
    return _BeforeEdges(rz, product, rh, (1 - z) * n + z * h)


def _reset_and_update(layer: GruLayer, products: Array) -> tuple[Array, Array]:
    gates = _sigmoid(products + layer.input_bias[:2] + layer.recurrent_bias[:2])
    return gates[:, 0], gates[:, 1]


def _cell(
    layer: CellLayer, batch: _Batch, state: CellState, note: _Note
) -> tuple[Array, CellState]:
    outputs = np.zeros((*batch.frames.shape[:2], layer.output_size))
    values = state.values
    for t in range(batch.frames.shape[1]):
        live = t < batch.lengths
        new = cell_frame(
            layer, batch.frames[:, t], values, lambda edge, rows, live=live: note(edge, rows[live])
        )
        values = {name: _where(live, new[name], values[name]) for name in values}
        outputs[:, t] = values[layer.cell.output]
    return outputs, CellState(values)


def _as_it_is(product: str, name: str, values: Array) -> Array:
    return values


def cell_frame(
    layer: CellLayer,
    x: Array,
    before: dict[str, Array],
    note: _Note = lambda edge, rows: None,
    look: Callable[[str, str, Array], Array] = _as_it_is,
    kept: Callable[[str, Array], Array] = lambda name, values: values,
) -> dict[str, Array]:
    """Every step's values of one frame (utterances, length) from those of the frame before.

    `look`: what a product sees of a vector that it reads, from the product's and the vector's names
    and the values. `kept`: what is kept of a step's values, from its name and them.
    """
    cell, values = layer.cell, dict(before)
    constants = dict(zip(cell.vectors, layer.vectors, strict=True))
    weights = dict(
        zip(
            (p.name for p in cell.products),
            zip(layer.weights, layer.biases, strict=True),
            strict=True,
        )
    )
    for stage in cell.stages:
        gates: dict[str, Array] = {}
        for product in stage.products:
            matrices, bias = weights[product.name]
            read = [
                look(product.name, name, x if name == INPUT else values[name])
                for name in product.reads
            ]
            total = reduce(
                np.add, [_times(v, m.value) for v, m in zip(read, matrices, strict=True)]
            )
            note(product.name, total)
            biased = total if bias is None else total + bias
            gates |= {f"{product.name}.{gate}": biased[:, gate] for gate in range(product.gates)}
        for step in stage.steps:
            known = gates | constants | values
            terms = [
                (-1.0 if term.negative else 1.0) * _multiplied(term.factors, known)
                for term in step.terms
            ]
            values[step.name] = kept(step.name, _FUNCTIONS[step.activation](reduce(np.add, terms)))
            note(
                f"signal.{step.name}" if step.name in cell.signals else step.name, values[step.name]
            )
    return values


def _multiplied(names: tuple[str, ...], values: dict[str, Array]) -> Array:
    first, *others = (values[name] for name in names)
    return first * others[0] if others else first


def _times(vectors: Array, weight: Array) -> Array:
    """Vectors (..., columns) times weights (gates, rows, columns): (..., gates, rows)."""
    gates, rows, columns = weight.shape
    return (vectors @ weight.reshape(gates * rows, columns).T).reshape(
        *vectors.shape[:-1], gates, rows
    )


def _sigmoid(x: Array) -> Array:
    return 0.5 + 0.5 * np.tanh(0.5 * x)  # 1 / (1 + exp(-x)) without its overflow


_FUNCTIONS: dict[str | None, Callable[[Array], Array]] = {
    None: lambda values: values,
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "relu": lambda values: np.maximum(values, 0.0),
}


def _where(live: Array, new: Array, old: Array) -> Array:
    return np.where(live[:, None], new, old)


def _valid(batch: _Batch) -> Array:
    return np.arange(batch.frames.shape[1]) < batch.lengths[:, None]


def _reverse(batch: _Batch) -> Array:
    """Each utterance reversed in time; what lies after its end stays there."""
    t = np.arange(batch.frames.shape[1])
    order = np.where(_valid(batch), batch.lengths[:, None] - 1 - t, t)
    return np.take_along_axis(batch.frames, order[:, :, None], axis=1)


def _initial(layer: Layer) -> LayerState:
    match layer:
        case LstmLayer():
            return LstmState(
                _or_zeros(layer.initial_output, layer.output_size),
                _or_zeros(layer.initial_cell, layer.hidden_size),
            )
        case GruLayer():
            return GruState(_or_zeros(layer.initial_output, layer.output_size))
        case CellLayer():
            return CellState({name: np.zeros(size) for name, size in layer.lengths.items()})
        case LinearLayer() | BidirectionalLayer():
            return None


def _spread(state: LayerState, utterances: int) -> LayerState:
    """The same state for each of many utterances: one more axis, in front."""
    match state:
        case LstmState():
            return LstmState(
                np.tile(state.output, (utterances, 1)), np.tile(state.cell, (utterances, 1))
            )
        case GruState():
            return GruState(np.tile(state.output, (utterances, 1)))
        case CellState():
            return CellState(
                {name: np.tile(values, (utterances, 1)) for name, values in state.values.items()}
            )
        case None:
            return None


def _single(state: LayerState) -> LayerState:
    """The state of the only utterance, without the axis that `_spread` made."""
    match state:
        case LstmState():
            return LstmState(state.output[0], state.cell[0])
        case GruState():
            return GruState(state.output[0])
        case CellState():
            return CellState({name: values[0] for name, values in state.values.items()})
        case None:
            return None


def _or_zeros(vector: Array | None, size: int) -> Array:
    return np.zeros(size) if vector is None else vector


def _ignore(layer: int, edge: str, values: Array) -> None:
    """Record nothing."""
