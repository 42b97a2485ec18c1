"""The compiled machine: equal to `Plain` on every integer, and fast enough to serve.

The cells' program is recorded once, weights are laid out once; a frame is one call.  Weights of up
to 15 bits with data of up to 16 are multiplied in 16-bit pairs (`ernn.golden.pairs`); anything
wider takes the same way in 64 bits.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ernn.golden.butterflies import butterflies
from ernn.golden.cell import Memory, OneWay, frame_through
from ernn.golden.frames import check_range
from ernn.golden.lanes import LANES, SIDE
from ernn.golden.lookup import tabulated
from ernn.golden.machine import Edges, one_way, start
from ernn.golden.packing import CHUNK_LIMIT, pack
from ernn.golden.pairs import STREAMS
from ernn.golden.play import Machine, play
from ernn.golden.recorder import Recorder, Vector
from ernn.golden.straight import is_usual
from ernn.golden.vectors import in_order, laid_out
from ernn.ir.integer_model import IntegerCell, IntegerLinear, IntegerLstm, IntegerModel

Array = np.ndarray


class Fast:
    """`ernn.golden.machine.Machine`, compiled."""

    def __init__(
        self, model: IntegerModel, layers: Sequence[OneWay] | None = None, streams: int = 1
    ) -> None:
        layers = one_way(model, layers)
        self._model, self._streams = model, streams
        self._recorder = recorder = Recorder(model, SIDE if streams >= SIDE // 2 else 1)
        self._input = recorder.of(model.signal(layers[0].input))
        self._edges: dict[str, tuple[Vector, ...]] = {}
        before = [_kept(recorder, layer) for layer in layers]
        self._output, after = frame_through(recorder, layers, self._input, before, self._note)
        for old, new in zip(before, after, strict=True):
            _carry(recorder, old, new)
        program, machine = _prepared(recorder)
        self._play = (program, *machine.forward, *machine.inverse, *machine[2:])
        self._ends = (
            *recorder.place(self._input),
            *recorder.place(self._output),
            *_range(model, layers[0].input),
        )
        self._memory = _first_memory(recorder, streams, _states(model, layers, before))
        self._start = self._memory.copy()

    def _note(self, edge: str, *vectors: Vector) -> None:
        self._edges[edge] = vectors

    def reset(self) -> None:
        self._memory[:] = self._start

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


def _kept(recorder: Recorder, layer: OneWay) -> Memory | None:
    """Vectors for what a layer keeps from frame to frame."""
    if isinstance(layer, IntegerLinear):
        return None
    if isinstance(layer, IntegerCell):
        return Memory(None, None, kept=_kept_steps(recorder, layer))
    signal = recorder.model.signal(layer.output)
    assert signal.spectrum is not None
    output = recorder.of(signal)
    spectrum = recorder.vector(output.size, -signal.spectrum.low)
    cell = (
        recorder.vector(layer.hidden_size, -layer.cell.low)
        if isinstance(layer, IntegerLstm)
        else None
    )
    return Memory(output, spectrum, cell)


def _kept_steps(recorder: Recorder, layer: IntegerCell) -> dict[str, Vector]:
    lengths, formats = layer.lengths, layer.format_of
    found = {step: recorder.vector(lengths[step], -formats[step].low) for step in layer.cell.states}
    for step in layer.cell.recurrent:
        signal = recorder.model.signal(layer.signal(step))
        assert signal.spectrum is not None
        size = recorder.vector(signal.length, -signal.format.low).size
        found[f"{signal.name}.spectrum"] = recorder.vector(size, -signal.spectrum.low)
    return found


def _pairs(one: Memory | None, other: Memory | None) -> list[tuple[Any, Any]]:
    """Parts of two memories that are there."""
    if one is None or other is None:
        return []
    parts = [(one.output, other.output), (one.spectrum, other.spectrum), (one.cell, other.cell)]
    parts += [(value, other.kept[name]) for name, value in one.kept.items()]
    return [pair for pair in parts if pair[0] is not None]


def _carry(recorder: Recorder, old: Memory | None, new: Memory | None) -> None:
    for to, value in _pairs(old, new):
        recorder.copy(to, value)


def _states(
    model: IntegerModel, layers: Sequence[OneWay], memories: Sequence[Memory | None]
) -> list[tuple[Vector, Array]]:
    """What is kept before the first frame."""
    return [
        (vector, laid_out(values.reshape(-1), model.block))
        for layer, memory in zip(layers, memories, strict=True)
        for vector, values in _pairs(memory, start(model, layer))
    ]


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
