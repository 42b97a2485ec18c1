"""Layers at work: what runs frames and keeps state, and its obvious form."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ernn.golden.arithmetic import Plainly
from ernn.golden.cell import Memory, OneWay, frame_through
from ernn.ir.integer_model import IntegerCell, IntegerLinear, IntegerLstm, IntegerModel

Array = np.ndarray
Edges = dict[str, list[Array]]
"""By edge, one array (streams, values) a frame."""


class Machine(Protocol):
    """One-way layers that follow one another, on a number of streams, with the state of each."""

    def reset(self) -> None:
        """Every stream back to the state before its first frame."""
        ...

    def push(self, frames: Array, edges: Edges | None = None) -> Array:
        """Outputs (time, streams, outputs) for the next frames (time, streams, inputs), int64;
        notes every edge.

        Raises UserError, and does nothing, where the frames of the model's input are out of its
        range.
        """
        ...


class Implementation(Protocol):
    """A way to make a machine; where `layers` is None, the whole model."""

    def __call__(
        self, model: IntegerModel, layers: Sequence[OneWay] | None = None, streams: int = 1
    ) -> Machine: ...


def one_way(model: IntegerModel, layers: Sequence[OneWay] | None) -> Sequence[OneWay]:
    """`layers`, or the whole model's."""
    if layers is not None:
        return layers
    assert all(isinstance(layer, OneWay) for layer in model.layers)
    return [layer for layer in model.layers if isinstance(layer, OneWay)]


def start(model: IntegerModel, layer: OneWay) -> Memory | None:
    """A layer's memory before the first frame, of one stream."""
    if isinstance(layer, IntegerLinear):
        return None
    if isinstance(layer, IntegerCell):
        return Memory(None, None, kept=_first(model, layer))
    signal = model.signal(layer.output)
    output = _or_zero(layer.initial_output, signal.length)
    spectrum = Plainly(model).spectrum(layer.output, output)
    if not isinstance(layer, IntegerLstm):
        return Memory(output, spectrum)
    return Memory(output, spectrum, _or_zero(layer.initial_cell, layer.hidden_size))


def _first(model: IntegerModel, layer: IntegerCell) -> dict[str, Array]:
    """Zeros for what a described layer keeps."""
    found = {step: _or_zero(None, layer.lengths[step]) for step in layer.cell.states}
    for step in layer.cell.recurrent:
        signal = layer.signal(step)
        found[f"{signal}.spectrum"] = Plainly(model).spectrum(
            signal, _or_zero(None, layer.lengths[step])
        )
    return found


def _or_zero(vector: Array | None, length: int) -> Array:
    return (np.zeros(length, np.int64) if vector is None else vector)[None]


class Plain:
    """The obvious implementation: frame after frame, the contract's words in NumPy."""

    def __init__(
        self, model: IntegerModel, layers: Sequence[OneWay] | None = None, streams: int = 1
    ) -> None:
        self._arithmetic, self._layers = Plainly(model), one_way(model, layers)
        self.reset()

    def reset(self) -> None:
        self._memories = [start(self._arithmetic.model, layer) for layer in self._layers]

    def push(self, frames: Array, edges: Edges | None = None) -> Array:
        length = self._arithmetic.model.signal(self._layers[-1].output).length
        outputs = np.empty((*frames.shape[:2], length), np.int64)

        def note(edge: str, *values: Array) -> None:
            if edges is not None:
                joined = np.concatenate([value.reshape(len(value), -1) for value in values], axis=1)
                assert joined.dtype == np.int64, f"{edge} holds {joined.dtype}"
                edges.setdefault(edge, []).append(joined)

        for t, frame in enumerate(frames):
            outputs[t], self._memories = frame_through(
                self._arithmetic, self._layers, frame, self._memories, note
            )
        return outputs
