"""An integer model run over frames: whole, in chunks, or with every edge on record. Integers in, integers out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ernn.errors import UserError
from ernn.golden.arithmetic import Arithmetic, Plain
from ernn.golden.cell import Memory, Note, emit, gru_step, linear_step, lstm_step, start
from ernn.integer_model import IntegerBidirectional, IntegerGru, IntegerLayer, IntegerLinear, IntegerLstm, IntegerModel

Array = np.ndarray
Implementation = Callable[[IntegerModel], Arithmetic]
Edges = dict[str, list[Array]]


def run(model: IntegerModel, frames: Array, implementation: Implementation = Plain) -> Array:
    """Outputs (time, outputs) for one utterance (time, inputs), int64; (1, outputs) where the model has `last_step`."""
    return run_all(model, [frames], implementation)[0]


def run_all(model: IntegerModel, utterances: Sequence[Array], implementation: Implementation = Plain) -> list[Array]:
    """As `run`, for independent utterances of any lengths; `ernn.golden.fast.Fast` is the implementation for many."""
    return [_last(model, out) for out in _outputs(implementation(model), utterances, None)]


def trace(model: IntegerModel, frames: Array, implementation: Implementation = Plain) -> dict[str, Array]:
    """Every edge (time, values) of one utterance by name, in the order they are first computed.

    Signals: 'x', '<layer>.h', '<layer>.m' (before a projection), '<layer>.s' (a GRU's r * h); '<signal>.spectrum' words
    in a row; products by name, gate by gate; LSTM '.i .f .g .c .o .t' (t: tanh of the cell); GRU '.r .z .u .n'.
    Edges of a backward layer are given in the order of the frames, not of its computation.
    """
    edges: Edges = {}
    _outputs(implementation(model), [frames], edges)
    return {name: np.concatenate(rows) for name, rows in edges.items()}


class Stream:
    """One endless utterance: state is kept between calls.  Raises UserError for bidirectional models."""

    def __init__(self, model: IntegerModel, implementation: Implementation = Plain) -> None:
        for layer in model.layers:
            if isinstance(layer, IntegerBidirectional):
                raise UserError(f"{layer.name} is bidirectional and needs the whole utterance: it cannot be streamed")
        self._arithmetic = implementation(model)
        self.reset()

    def reset(self) -> None:
        """Back to the state before the first frame."""
        layers = self._arithmetic.model.layers
        self._memories = [_start(self._arithmetic, layer, 1) for layer in layers]

    def push(self, frames: Array) -> Array:
        """Outputs for the next frames, as `run` gives them."""
        model = self._arithmetic.model
        x = _read(self._arithmetic, [frames], None)
        for index, layer in enumerate(model.layers):
            x, self._memories[index] = _layer(self._arithmetic, layer, x, self._memories[index], None)
        return _last(model, x.values[:, 0])


@dataclass(frozen=True, eq=False)
class _Batch:
    """Values (time, utterances, n) and spectra (time, utterances, words, k); the longest utterances come first."""

    values: Array
    spectra: Array
    lengths: Array

    def live(self, t: int) -> int:
        """How many utterances last beyond frame t."""
        return int((self.lengths > t).sum())


def _outputs(arithmetic: Arithmetic, utterances: Sequence[Array], edges: Edges | None) -> list[Array]:
    order = sorted(range(len(utterances)), key=lambda index: -len(utterances[index]))
    x = _read(arithmetic, [utterances[index] for index in order], edges)
    for layer in arithmetic.model.layers:
        x, _ = _layer(arithmetic, layer, x, _start(arithmetic, layer, len(order)), edges)
    place = {index: row for row, index in enumerate(order)}
    return [x.values[: len(frames), place[index]] for index, frames in enumerate(utterances)]


def _last(model: IntegerModel, outputs: Array) -> Array:
    if not model.last_step:
        return outputs
    if len(outputs) == 0:
        raise UserError("a network that gives its last step's output needs at least one frame")
    return outputs[-1:]


def _read(arithmetic: Arithmetic, utterances: Sequence[Array], edges: Edges | None) -> _Batch:
    if not utterances:
        raise UserError("there is no utterance to run")
    signal = arithmetic.model.input
    for frames in utterances:
        _check(frames, signal.length, signal.format.low, signal.format.high)
    lengths = np.array([len(frames) for frames in utterances])
    values = np.zeros((int(lengths.max()), len(utterances), signal.length), np.int64)
    for index, frames in enumerate(utterances):
        values[: len(frames), index] = frames
    return _with_spectra(arithmetic, signal.name, values, lengths, edges)


def _check(frames: Array, length: int, low: int, high: int) -> None:
    if frames.ndim != 2 or frames.shape[1] != length:
        raise UserError(f"frames must be (time, {length}), not {frames.shape}")
    if frames.dtype != np.int64:
        raise UserError(f"frames must be int64, not {frames.dtype}: quantize_input makes them from real features")
    if frames.size and not (low <= frames.min() and frames.max() <= high):
        raise UserError(f"a frame holds {frames.min()}..{frames.max()}, outside the input's range {low}..{high}")


def _with_spectra(arithmetic: Arithmetic, signal: str, values: Array, lengths: Array, edges: Edges | None) -> _Batch:
    flat = values.reshape(-1, values.shape[-1])
    spectra = emit(arithmetic, signal, flat, _noting(edges))
    return _Batch(values, spectra.reshape(*values.shape[:2], *spectra.shape[1:]), lengths)


def _noting(edges: Edges | None) -> Note:
    if edges is None:
        return _ignore

    def note(edge: str, values: Array) -> None:
        assert values.dtype == np.int64, f"{edge} holds {values.dtype}"
        edges.setdefault(edge, []).append(values)

    return note


def _ignore(edge: str, values: Array) -> None:
    """Keep nothing."""


def _start(arithmetic: Arithmetic, layer: IntegerLayer, utterances: int) -> Memory | None:
    return start(arithmetic, layer, utterances) if isinstance(layer, IntegerLstm | IntegerGru) else None


def _layer(
    arithmetic: Arithmetic, layer: IntegerLayer, x: _Batch, memory: Memory | None, edges: Edges | None
) -> tuple[_Batch, Memory | None]:
    match layer:
        case IntegerLinear():
            return _linear(arithmetic, layer, x, edges), None
        case IntegerBidirectional():
            return _bidirectional(arithmetic, layer, x, edges), None
        case IntegerLstm() | IntegerGru():
            assert memory is not None
            return _recurrent(arithmetic, layer, x, memory, edges)


def _linear(arithmetic: Arithmetic, layer: IntegerLinear, x: _Batch, edges: Edges | None) -> _Batch:
    flat = x.spectra.reshape(-1, *x.spectra.shape[2:])
    values, spectra = linear_step(arithmetic, layer, flat, _noting(edges))
    shape = x.values.shape[:2]
    return _Batch(values.reshape(*shape, values.shape[-1]), spectra.reshape(*shape, *spectra.shape[1:]), x.lengths)


def _recurrent(
    arithmetic: Arithmetic, layer: IntegerLstm | IntegerGru, x: _Batch, memory: Memory, edges: Edges | None
) -> tuple[_Batch, Memory]:
    """Utterances that have ended drop out; the memory returned is that of those that last to the end."""
    note = _noting(edges)
    shape = x.values.shape[:2]
    values = np.zeros((*shape, memory.output.shape[1]), np.int64)
    spectra = np.zeros((*shape, *memory.spectrum.shape[1:]), np.int64)
    for t in range(shape[0]):
        live = x.live(t)
        memory = _step(arithmetic, layer, x.spectra[t, :live], memory.first(live), note)
        values[t, :live], spectra[t, :live] = memory.output, memory.spectrum
    return _Batch(values, spectra, x.lengths), memory


def _step(arithmetic: Arithmetic, layer: IntegerLstm | IntegerGru, x: Array, memory: Memory, note: Note) -> Memory:
    if isinstance(layer, IntegerLstm):
        return lstm_step(arithmetic, layer, x, memory, note)
    return gru_step(arithmetic, layer, x, memory, note)


def _bidirectional(arithmetic: Arithmetic, layer: IntegerBidirectional, x: _Batch, edges: Edges | None) -> _Batch:
    utterances = x.values.shape[1]
    forward, _ = _recurrent(arithmetic, layer.forward, x, start(arithmetic, layer.forward, utterances), edges)
    mirrored: Edges | None = None if edges is None else {}
    backward, _ = _recurrent(
        arithmetic, layer.backward, _reversed(x), start(arithmetic, layer.backward, utterances), mirrored
    )
    if edges is not None and mirrored is not None:
        edges.update({name: rows[::-1] for name, rows in mirrored.items()})
    values = np.concatenate([forward.values, _reversed(backward).values], axis=-1)
    return _with_spectra(arithmetic, layer.output, values, x.lengths, edges)


def _reversed(x: _Batch) -> _Batch:
    """Each utterance backwards in time; what lies after its end stays there."""
    t = np.arange(len(x.values))[:, None]
    order = np.where(t < x.lengths, x.lengths - 1 - t, t)
    columns = np.arange(len(x.lengths))
    return _Batch(x.values[order, columns], x.spectra[order, columns], x.lengths)
