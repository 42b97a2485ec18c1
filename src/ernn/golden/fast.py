"""The compiled machine: equal to `Plain` on every integer, and fast enough to serve.

The cells' program is recorded once, weights are laid out once; a frame is one call.  Weights of up
to 15 bits with data of up to 16 are multiplied in 16-bit pairs (`ernn.golden.pairs`); anything
wider takes the same way in 64 bits.
"""

from typing import Any

import numpy as np

from ernn.golden.butterflies import butterflies
from ernn.golden.cell import frame_through, numbers_of, remembered
from ernn.golden.frames import check_range
from ernn.golden.lanes import LANES, SIDE
from ernn.golden.lookup import tabulated
from ernn.golden.machine import Edges, State, check_state, start
from ernn.golden.packing import CHUNK_LIMIT, pack
from ernn.golden.pairs import STREAMS
from ernn.golden.part import Part, whole
from ernn.golden.play import Machine, play
from ernn.golden.recorder import Recorder, Vector
from ernn.golden.straight import is_usual
from ernn.golden.vectors import in_order, laid_out
from ernn.ir.integer_model import IntegerModel, value_format

Array = np.ndarray


class Fast:
    """`ernn.golden.machine.Machine`, compiled."""

    def __init__(self, model: IntegerModel, part: Part | None = None, streams: int = 1) -> None:
        self._part = part = part or whole(model)
        self._model, self._streams = model, streams
        self._recorder = recorder = Recorder(model, SIDE if streams >= SIDE // 2 else 1)
        inputs = [recorder.of(model.signal(name)) for name in part.reads]
        self._edges: dict[str, tuple[Vector, ...]] = {}
        before = _kept(recorder, part)
        outputs, after = frame_through(recorder, part, inputs, before, self._note)
        for name, value in after.items():
            recorder.copy(before[name], value)
        assert len(inputs) == len(outputs) == 1
        self._input, self._output, self._before = inputs[0], outputs[0], before
        program, machine = _prepared(recorder)
        self._play = (program, *machine.forward, *machine.inverse, *machine[2:])
        self._ends = (
            *recorder.place(self._input),
            *recorder.place(self._output),
            *_range(model, part.reads[0]),
        )
        self._memory = self._first(None)
        self._start = self._memory.copy()

    def _first(self, state: State | None) -> Array:
        values = start(self._model, self._part, state)
        states = [
            (vector, laid_out(values[name].reshape(-1), self._model.block))
            for name, vector in self._before.items()
        ]
        return _first_memory(self._recorder, self._streams, states)

    def _note(self, edge: str, *vectors: Vector) -> None:
        self._edges[edge] = vectors

    def reset(self, state: State | None = None) -> None:
        check_state(self._part, state)
        self._memory[:] = self._start if state is None else self._first(state)

    def state(self, stream: int = 0) -> dict[str, Array]:
        return {
            one.edge: np.array(
                [
                    self._read(self._before[numbers_of(one.edge, d + 1)])[stream]
                    for d in range(one.frames)
                ]
            )
            for one in remembered(self._part)
        }

    def push(self, frames: Array, edges: Edges | None = None) -> Array:
        if not frames.flags.carray:
            frames = frames.copy()  # Numba would compile once more for another layout
        outputs = np.empty((frames.shape[0], frames.shape[1], self._output.length), np.int64)
        if edges is None:
            self._run(frames, outputs)
            return outputs
        for t in range(len(frames)):
            self._run(frames[t : t + 1], outputs[t : t + 1])
            for edge, vectors in self._edges.items():
                edges.setdefault(edge, []).append(
                    np.concatenate([self._read(v) for v in vectors], axis=1)
                )
        return outputs

    def _run(self, frames: Array, outputs: Array) -> None:
        if not play(*self._play, self._memory, frames, outputs, self._ends):
            check_range(self._model, frames)

    def _read(self, vector: Vector) -> Array:
        """A vector (streams, length) as it is now."""
        at, step = self._recorder.place(vector)
        side = self._recorder.side
        rows = [
            self._memory[at + stream // side * step + stream % side :][: vector.size * side : side]
            for stream in range(self._streams)
        ]
        return in_order(np.array(rows, np.int64), self._model.block, vector.length)


def _range(model: IntegerModel, signal: str) -> tuple[int, int]:
    format = model.signal(signal).format
    return format.low, format.high


def _kept(recorder: Recorder, part: Part) -> dict[str, Vector]:
    """Vectors for what is kept from frame to frame."""
    found = {}
    for one in remembered(part):
        format = value_format(recorder.model, one.layer, one.name)
        length = one.layer.lengths[one.name]
        for name, _, delay in one.names:
            bound = -format.low
            if name != numbers_of(one.edge, delay):
                spectrum = recorder.model.signal(one.edge).spectrum
                assert spectrum is not None
                bound = -spectrum.low
            size = laid_out(np.zeros(length), recorder.model.block).size
            found[name] = recorder.vector(size if bound != -format.low else length, bound)
    return found


def _first_memory(recorder: Recorder, streams: int, states: list[tuple[Vector, Array]]) -> Array:
    side, constants = recorder.side, np.concatenate([*recorder.constants, np.zeros(0, np.int64)])
    memories = -(-streams // side)
    memory = _aligned(
        (recorder.constants_size + memories * recorder.size) * side + 2 * LANES, recorder.kind
    )
    memory[: recorder.constants_size * side] = np.repeat(constants, side)
    for vector, values in states:
        at, step = recorder.place(vector)
        for number in range(memories):
            memory[at + number * step :][: vector.size * side] = np.repeat(values, side)
    return memory


def _aligned(size: int, kind: Any) -> Array:
    """Zeros that begin with a line of the cache: so no row lies on two more lines than it fills."""
    line, width = 64, np.dtype(kind).itemsize
    zeros = np.zeros(size + line // width, kind)
    return zeros[-zeros.ctypes.data % line // width :][:size]


def _prepared(recorder: Recorder) -> tuple[Array, Machine]:
    """The program, and what it works with."""
    model, k = recorder.model, recorder.model.block
    packed = [
        pack(model, product, CHUNK_LIMIT if recorder.narrow else None)
        for product in recorder.products
    ]
    (forward, some), (inverse, more) = butterflies(model.forward, k), butterflies(model.inverse, k)
    weights = np.concatenate([one.weights for one in packed])
    width = LANES * max(STREAMS, recorder.side)
    machine = Machine(
        forward,
        inverse,
        np.array(
            [(*recorder.place(vector), vector.size // k) for vector in recorder.operands], np.int64
        ),
        weights,
        tabulated(recorder.tables, recorder.narrow),
        _aligned(max(some, more) * width, recorder.kind),
        _aligned(2 * width, recorder.kind),
        _aligned(k * width, np.int64),
        _aligned(
            max(one.data_size(k) for one in packed) * max(STREAMS, recorder.side) + 4 * LANES,
            weights.dtype,
        ),
        recorder.side,
        recorder.narrow and is_usual(forward, inverse),
    )
    return recorder.program(packed), machine
