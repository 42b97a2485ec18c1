"""A network as a service: frames in, frames out, state kept in between."""

import numpy as np

from ernn.errors import UserError
from ernn.golden.compiled import Compiled
from ernn.golden.frames import check_shape, last_step
from ernn.golden.machine import Implementation, State
from ernn.ir.integer_model import IntegerModel

Array = np.ndarray


def require_streaming(model: IntegerModel) -> None:
    """UserError where a layer needs the whole utterance."""
    for layer in model.backward:
        raise UserError(
            f"{layer.name} runs backward and needs the whole utterance: it cannot be streamed"
        )


class Stream:
    """One endless utterance: state is kept between calls.

    `state`: what it begins with in the place of the model's initial values, integers (frames,
    length) by edge, the last frame's first; `Stream.state` gives such a one.
    `Compiled` by default: it prepares the weights for this processor once, here.
    Raises UserError for models with a layer that runs backward.
    """

    def __init__(
        self,
        model: IntegerModel,
        implementation: Implementation = Compiled,
        state: State | None = None,
    ) -> None:
        require_streaming(model)
        self._model, self._machine = model, implementation(model)
        if state is not None:
            self._machine.reset(state)

    def reset(self, state: State | None = None) -> None:
        """Back to the state before the first frame, or to another one."""
        self._machine.reset(state)

    @property
    def state(self) -> dict[str, Array]:
        """What is remembered now, integers (frames, length) by edge, the last frame's first."""
        return self._machine.state()

    def push(self, frames: Array) -> Array:
        """Outputs (time, outputs) for the next frames (time, inputs), int64, as of `run`."""
        check_shape(self._model, frames)
        return last_step(self._model, self._machine.push(frames[:, None])[:, 0])


class Streams:
    """`count` endless utterances side by side, one frame of each at a time: each equal to a
    `Stream` of its own.

    Weights are read once for several streams, so a frame takes less time than in a `Stream`.
    """

    def __init__(
        self, model: IntegerModel, count: int, implementation: Implementation = Compiled
    ) -> None:
        if count < 1:
            raise UserError(f"the number of streams must be at least 1, not {count}")
        require_streaming(model)
        self._model, self._count = model, count
        self._machine = implementation(model, streams=count)

    def reset(self) -> None:
        """All streams back to the state before the first frame."""
        self._machine.reset()

    def push(self, frames: Array) -> Array:
        """Outputs (time, streams, outputs) for the next frames (time, streams, inputs), int64."""
        check_shape(self._model, frames, self._count)
        return last_step(self._model, self._machine.push(frames))
