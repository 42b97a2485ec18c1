"""The float reference: a `Network` in float64, layer after layer, by the obvious loop over time.

`run` takes one utterance and carries state, so a stream may be cut anywhere; `run_all` and
`observe` take many utterances of any lengths at once, and `observe` hands out the values of every
edge, for calibration.  Edges are named as in the integer model: `x` is the network's input;
of layer number 0, `l0.gates` is a product (gates, rows) without its bias, `l0.c` a step's values,
`l0.i input` what its function is taken of.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import numpy as np

from ernn.errors import UserError
from ernn.ir.activations import FUNCTIONS
from ernn.ir.cell import CellProduct, CellTerm, Read
from ernn.ir.edges import edge_name
from ernn.ir.network import NETWORK, Array, Layer, Matrix, Network, Source

Record = Callable[[str, Array], None]
LayerState = Mapping[str, Array]
"""By remembered step or input: its values (frames, length) before now, the last frame's first."""
State = tuple[LayerState, ...]
"""One entry a layer."""


def initial_state(network: Network) -> State:
    """The state before the first frame."""
    return tuple(_initial(layer) for layer in network.layers)


def run(network: Network, frames: Array, state: State | None = None) -> tuple[Array, State]:
    """Outputs (time, outputs) of one utterance (time, inputs), and the state after its last frame.

    With `last_step` outputs are (1, outputs). Running chunks, each from the state of the one
    before, gives the outputs of the whole, unless a layer runs backward: that needs the whole
    utterance, and a `state` raises UserError.
    """
    if state is not None:
        _check_state(network, state)
    outputs, end = _run(network, _batch(network, [frames]), state or initial_state(network))
    return outputs[0], tuple({name: rows[0] for name, rows in after.items()} for after in end)


def run_all(network: Network, utterances: Sequence[Array]) -> list[Array]:
    """Outputs of each of many independent utterances, as `run` gives them, but faster."""
    batch = _batch(network, utterances)
    outputs, _ = _run(network, batch, initial_state(network))
    if network.last_step:
        return list(outputs)
    return [row[:length] for row, length in zip(outputs, batch.lengths, strict=True)]


def observe(network: Network, utterances: Array | Sequence[Array], record: Record) -> None:
    """Run over one utterance (time, inputs) or many; `record(edge, values)` for every edge.

    values is (n, ...), one row a frame. An edge is recorded many times, typically once a time step
    with n the number of utterances that still last: reduce as they come (the rows of two edges do
    not match one another). Initial values are not among them.
    """
    many = [utterances] if isinstance(utterances, np.ndarray) else utterances
    _run(network, _batch(network, many), initial_state(network), record)


class _Batch(NamedTuple):
    frames: Array  # (utterances, time, values), zeros after the end
    lengths: Array  # (utterances,)

    @property
    def valid(self) -> Array:
        return np.arange(self.frames.shape[1]) < self.lengths[:, None]


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
    if not network.streams:
        raise UserError(
            "a backward layer needs the whole utterance at once: run it without a state"
        )
    expected = [_shapes(one) for one in initial_state(network)]
    if [_shapes(one) for one in state] != expected:
        raise UserError(f"the state must hold arrays of shapes {expected}, one entry a layer")


def _shapes(state: LayerState) -> dict[str, tuple[int, ...]]:
    return {name: values.shape for name, values in state.items()}


def _initial(layer: Layer) -> dict[str, Array]:
    cell = layer.cell
    return {
        name: np.tile(layer.initial_value(name), (cell.delays.get(name, 1), 1))
        for name in cell.remembered
    }


def _run(
    network: Network, batch: _Batch, state: State, record: Record | None = None
) -> tuple[Array, State]:
    """Outputs (utterances, time, outputs), and states with an axis of utterances in front."""
    known: dict[Source, Array] = {NETWORK: batch.frames}
    end = []
    if record is not None:
        record(edge_name(NETWORK), batch.frames[batch.valid])
    for index, (layer, before) in enumerate(zip(network.layers, state, strict=True)):
        pairs = zip(layer.cell.inputs, network.sources(index), strict=True)
        given = {name: known[source] for name, source in pairs}
        start = {name: np.tile(v, (len(batch.lengths), 1, 1)) for name, v in before.items()}
        run = _LayerRun(layer, index, batch.lengths, given, start, record)
        outputs = run.outputs()
        known |= {Source(index, name): values for name, values in outputs.items()}
        end.append(run.state)
    found = np.concatenate([known[source] for source in network.results], axis=-1)
    if network.last_step:
        found = found[np.arange(len(found)), batch.lengths - 1][:, None]
    return found, tuple(end)


@dataclass
class _LayerRun:
    """One layer on a batch: `inputs` (utterances, time, values); `state` (utterances, frames back,
    values), which moves on.
    """

    layer: Layer
    index: int
    lengths: Array
    inputs: dict[str, Array]
    state: dict[str, Array]
    record: Record | None

    def outputs(self) -> dict[str, Array]:
        """Every output (utterances, time, values)."""
        if not self.layer.backward:
            return self._forward()
        self.inputs = {name: self._reversed(values) for name, values in self.inputs.items()}
        return {name: self._reversed(values) for name, values in self._forward().items()}

    def _forward(self) -> dict[str, Array]:
        self.of_inputs = self._products_of_inputs()
        everything = slice(None)
        found = self._loop() if self.layer.cell.recurrent else self._frame(everything)
        for name in self.layer.cell.inputs:
            if name in self.state:
                self.state[name] = self._last_of_input(name)
        return {name: found[name] for name in self.layer.cell.outputs}

    def _loop(self) -> dict[str, Array]:
        shape = next(iter(self.inputs.values())).shape[:2]
        names = self.layer.cell.outputs
        outputs = {name: np.zeros((*shape, self.layer.lengths[name])) for name in names}
        kept = [name for name in self.state if name not in self.layer.cell.inputs]
        for t in range(shape[1]):
            values = self._frame(t)
            live = (t < self.lengths)[:, None]
            for name in names:
                outputs[name][:, t] = values[name]
            for name in kept:
                old = self.state[name]
                new = np.concatenate([values[name][:, None], old[:, :-1]], axis=1)
                self.state[name] = np.where(live[..., None], new, old)
        return outputs

    def _frame(self, t: int | slice) -> dict[str, Array]:
        """Every step's values at time t (utterances, length), or at all times."""
        layer, cell = self.layer, self.layer.cell
        values = {name: given[:, t] for name, given in self.inputs.items()}
        everywhere = next(iter(values.values())).shape[:-1]
        constants = {
            name: np.broadcast_to(vector, (*everywhere, len(vector)))
            for name, vector in zip(cell.vectors, layer.vectors, strict=True)
        }
        numbers = dict(zip((p.name for p in cell.products), layer.biases, strict=True))
        for stage in cell.stages:
            gates: dict[str, Array] = {}
            for product in stage.products:
                total, bias = self._product(product, values, t), numbers[product.name]
                self._note(product.name, total, t)
                biased = total if bias is None else total + bias
                for gate in range(product.gates):
                    gates[f"{product.name}.{gate}"] = biased[..., gate, :]
            for step in stage.steps:
                known = gates | constants | values
                total = reduce(np.add, [self._term(term, known, t) for term in step.terms])
                if step.activation is not None:
                    self._note(f"{step.name} input", total, t)
                values[step.name] = FUNCTIONS[step.activation](total)
                self._note(step.name, values[step.name], t)
        return values

    def _term(self, term: CellTerm, known: Mapping[str, Array], t: int | slice) -> Array:
        factors = [self._read(read, known, t) for read in term.factors]
        return (-1.0 if term.negative else 1.0) * reduce(np.multiply, factors)

    def _read(self, read: Read, known: Mapping[str, Array], t: int | slice) -> Array:
        if not read.delay:
            return known[read.name]
        if read.name in self.inputs:
            return self._delayed(read)[:, t]
        return self.state[read.name][:, read.delay - 1]

    def _product(self, product: CellProduct, values: Mapping[str, Array], t: int | slice) -> Array:
        """(utterances, gates, rows), or with time before the gates."""
        parts = []
        for number, (read, matrix) in enumerate(self._operands(product)):
            whole = self.of_inputs.get((product.name, number))
            if whole is None:
                parts.append(_times(self._read(read, values, t), matrix.value))
            else:
                parts.append(whole[:, t])
        return reduce(np.add, parts)

    def _operands(self, product: CellProduct) -> Iterable[tuple[Read, Matrix]]:
        """What a product reads, perhaps twice the same, each with its matrix."""
        number = self.layer.cell.products.index(product)
        return zip(product.reads, self.layer.weights[number], strict=True)

    def _products_of_inputs(self) -> dict[tuple[str, int], Array]:
        """What is multiplied with inputs, of all frames at once; by product and number of read."""
        return {
            (product.name, number): _times(self._delayed(read), matrix.value)
            for product in self.layer.cell.products
            for number, (read, matrix) in enumerate(self._operands(product))
            if read.name in self.inputs
        }

    def _delayed(self, read: Read) -> Array:
        """An input (utterances, time, values) as it was `delay` frames ago."""
        given, delay = self.inputs[read.name], read.delay
        if not delay:
            return given
        before = self.state[read.name][:, :delay][:, ::-1]
        return np.concatenate([before, given], axis=1)[:, : given.shape[1]]

    def _last_of_input(self, name: str) -> Array:
        """An input's last frames of each utterance, the last one first."""
        before, depth = self.state[name], self.state[name].shape[1]
        whole = np.concatenate([before[:, ::-1], self.inputs[name]], axis=1)
        places = self.lengths[:, None] + depth - 1 - np.arange(depth)
        return np.take_along_axis(whole, places[..., None], axis=1)

    def _note(self, name: str, values: Array, t: int | slice) -> None:
        if self.record is not None:
            self.record(edge_name(Source(self.index, name)), values[self._live(t)])

    def _live(self, t: int | slice) -> Array:
        """Which utterances last at time t, or (utterances, time) at all times."""
        if isinstance(t, int):
            return t < self.lengths
        times = np.arange(next(iter(self.inputs.values())).shape[1])
        return times[t] < self.lengths[:, None]

    def _reversed(self, values: Array) -> Array:
        """Each utterance reversed in time; what lies after its end stays there."""
        t = np.arange(values.shape[1])
        last = self.lengths[:, None] - 1
        order = np.where(t <= last, last - t, t)
        return np.take_along_axis(values, order[:, :, None], axis=1)


def _times(vectors: Array, weight: Array) -> Array:
    """Vectors (..., columns) times weights (gates, rows, columns): (..., gates, rows)."""
    gates, rows, columns = weight.shape
    product = vectors @ weight.reshape(gates * rows, columns).T
    return product.reshape(*vectors.shape[:-1], gates, rows)
