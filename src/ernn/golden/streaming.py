"""A network as a service: frames in, frames out, state kept in between."""

import threading

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


class _OneThread:
    """Lets one thread in at a time."""

    def __init__(self) -> None:
        self._busy = threading.Lock()

    def __enter__(self) -> None:
        if not self._busy.acquire(blocking=False):
            raise UserError(
                "two threads use one stream at the same time, whose frames would mix: give each "
                "thread a Stream of its own"
            )

    def __exit__(self, *_: object) -> None:
        self._busy.release()


class Stream:
    """One endless utterance: state is kept between calls.

    `state`: what it begins with in the place of the model's initial values, integers (frames,
    length) by edge, the last frame's first; `Stream.state` gives such a one.
    `Compiled` by default: it prepares the weights for this processor once, here.
    Raises UserError for models with a layer that runs backward, and where two threads use it at
    the same time.
    """

    def __init__(
        self,
        model: IntegerModel,
        implementation: Implementation = Compiled,
        state: State | None = None,
    ) -> None:
        require_streaming(model)
        self._model, self._machine = model, implementation(model)
        self._alone = _OneThread()
        if state is not None:
            self._machine.reset(state)

    def reset(self, state: State | None = None) -> None:
        """Back to the state before the first frame, or to another one."""
        with self._alone:
            self._machine.reset(state)

    @property
    def state(self) -> dict[str, Array]:
        """What is remembered now, integers (frames, length) by edge, the last frame's first."""
        with self._alone:
            return self._machine.state()

    def push(self, frames: Array) -> Array:
        """Outputs (time, outputs) for the next frames (time, inputs), int64, as of `run`."""
        check_shape(self._model, frames)
        with self._alone:
            outputs = self._machine.push(frames[:, None])
        return last_step(self._model, outputs[:, 0])


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
        self._machine, self._alone = implementation(model, streams=count), _OneThread()

    def reset(self) -> None:
        """All streams back to the state before the first frame."""
        with self._alone:
            self._machine.reset()

    def push(self, frames: Array) -> Array:
        """Outputs (time, streams, outputs) for the next frames (time, streams, inputs), int64."""
        check_shape(self._model, frames, self._count)
        with self._alone:
            outputs = self._machine.push(frames)
        return last_step(self._model, outputs)
