"""Layers at work: what runs frames and keeps state, and its obvious form."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from ernn.errors import UserError
from ernn.golden.arithmetic import Plainly
from ernn.golden.cell import Remembered, frame_through, numbers_of, remembered
from ernn.golden.part import Part, whole
from ernn.ir.integer_model import IntegerModel, value_format

Array = np.ndarray
Edges = dict[str, list[Array]]
"""By edge, one array (streams, values) a frame."""
State = Mapping[str, Array]
"""By layer and what it remembers ('l0.c'), integers (frames, length) before now, the last first."""


class Machine(Protocol):
    """A part of a model on a number of streams, with the state of each."""

    def reset(self, state: State | None = None) -> None:
        """Every stream back to the state before its first frame, or to the one given."""
        ...

    def state(self, stream: int = 0) -> dict[str, Array]:
        """What a stream remembers now."""
        ...

    def push(self, frames: Array, edges: Edges | None = None) -> Array:
        """What the part gives (time, streams, values) for the next frames of what it reads (time,
        streams, values), int64; notes every edge.

        Raises UserError, and does nothing, where the frames of the model's input are out of its
        range.
        """
        ...


class Implementation(Protocol):
    """A way to make a machine; where `part` is None, the whole model."""

    def __call__(
        self, model: IntegerModel, part: Part | None = None, streams: int = 1
    ) -> Machine: ...


def start(model: IntegerModel, part: Part, state: State | None = None) -> dict[str, Array]:
    """The memory before the first frame, of one stream: initial values, or those of `state`."""
    plain, memory = Plainly(model), {}
    for one in remembered(part):
        history = _history(model, one, state)
        for name, _, delay in one.names:
            values = history[delay - 1][None]
            own = name == numbers_of(one.kept, delay)
            memory[name] = values if own else plain.spectrum(one.edge, values)
    return memory


def _history(model: IntegerModel, one: Remembered, state: State | None) -> Array:
    """Values (frames, length) before the first frame, the last frame's first."""
    if state is None or one.kept not in state:
        return np.tile(one.layer.initial_value(one.name), (one.frames, 1))
    values, format = np.asarray(state[one.kept]), value_format(model, one.layer, one.name)
    shape = (one.frames, one.layer.lengths[one.name])
    if values.shape != shape or values.dtype != np.int64:
        raise UserError(
            f"the state of {one.kept} must be int64 {shape}, not {values.dtype} {values.shape}"
        )
    if values.size and not (format.low <= values.min() and values.max() <= format.high):
        raise UserError(f"the state of {one.kept} is outside {format.low}..{format.high}")
    return values


def check_state(part: Part, state: State | None) -> None:
    """Raises UserError where a state names what the part does not remember."""
    known = [one.kept for one in remembered(part)]
    unknown = [name for name in state or {} if name not in known]
    if unknown:
        kept = ", ".join(known) or "nothing"
        raise UserError(f"the network does not remember {unknown[0]}: it remembers {kept}")


class Plain:
    """The obvious implementation: frame after frame, the contract's words in NumPy."""

    def __init__(self, model: IntegerModel, part: Part | None = None, streams: int = 1) -> None:
        self._arithmetic, self._part = Plainly(model, streams), part or whole(model)
        self._streams = streams
        sizes = [model.signal(name).length for name in self._part.reads]
        self._cuts = np.cumsum(sizes)[:-1]
        self.reset()

    def reset(self, state: State | None = None) -> None:
        check_state(self._part, state)
        first = start(self._arithmetic.model, self._part, state)
        self._memory = {
            name: np.repeat(values, self._streams, axis=0) for name, values in first.items()
        }

    def state(self, stream: int = 0) -> dict[str, Array]:
        return {
            one.kept: np.array(
                [self._memory[numbers_of(one.kept, d + 1)][stream] for d in range(one.frames)]
            )
            for one in remembered(self._part)
        }

    def push(self, frames: Array, edges: Edges | None = None) -> Array:
        model = self._arithmetic.model
        length = sum(model.signal(name).length for name in self._part.gives)
        outputs = np.empty((*frames.shape[:2], length), np.int64)

        def note(edge: str, *values: Array) -> None:
            if edges is not None:
                joined = np.concatenate([v.reshape(len(v), -1) for v in values], axis=1)
                assert joined.dtype == np.int64, f"{edge} holds {joined.dtype}"
                edges.setdefault(edge, []).append(joined)

        for t, frame in enumerate(frames):
            inputs = np.split(frame, self._cuts, axis=1)
            given, self._memory = frame_through(
                self._arithmetic, self._part, inputs, self._memory, note
            )
            outputs[t] = np.concatenate(given, axis=1)
        return outputs
