"""The compiled machine: equal to `Plain` on every integer, and fast enough to serve.

The cells' program is recorded once, weights are laid out once; a push is one call of c/play.c.
Weights of up to 15 bits with data of up to 16 are multiplied in 16-bit pairs; anything wider takes
the same way in 64 bits.
"""

import warnings

import numpy as np

from ernn.golden.cell import numbers_of, remembered
from ernn.golden.frames import check_range
from ernn.golden.machine import Edges, Machine, Plain, State, check_state, start
from ernn.golden.part import Part, whole
from ernn.golden.program import Layout, recorded
from ernn.golden.recorder import Vector
from ernn.golden.vectors import in_order, laid_out
from ernn.ir.integer_model import IntegerModel

try:
    from ernn.golden import _play
except ImportError:
    _play = None

Array = np.ndarray

NOT_BUILT = (
    "golden runs in NumPy, a hundred times slower than it could: there was no C compiler when ernn "
    "was installed. Install one (apt install gcc), then ernn again."
)


class Compiled:
    """`ernn.golden.machine.Machine`, in C; where that was not built, `Plain`, with a warning."""

    def __init__(self, model: IntegerModel, part: Part | None = None, streams: int = 1) -> None:
        if _play is None:
            warnings.warn(NOT_BUILT, RuntimeWarning, stacklevel=1)  # so that it is shown once
        made = Plain if _play is None else Player
        self._machine: Machine = made(model, part, streams)

    def reset(self, state: State | None = None) -> None:
        self._machine.reset(state)

    def state(self, stream: int = 0) -> dict[str, Array]:
        return self._machine.state(stream)

    def push(self, frames: Array, edges: Edges | None = None) -> Array:
        return self._machine.push(frames, edges)


class Player:
    """A recorded program, its memory, and the variant of c/play.c that plays it: the fastest that
    runs here, if not one of `_play.variants()`.
    """

    def __init__(
        self,
        model: IntegerModel,
        part: Part | None = None,
        streams: int = 1,
        variant: str | None = None,
    ) -> None:
        assert _play is not None, "c/play.c was not compiled"
        side = _play.SIDE if streams >= _play.SIDE // 2 else 1
        self._layout = Layout(_play.LANES, _play.ROWS, _play.WIDTH, side, _play.ENTRIES)
        self._model, self._part, self._streams = model, part or whole(model), streams
        self._play = _play.play
        self._load(noted=False)
        kind = "narrow" if self._program.narrow else "wide"
        self.variant = variant or [name for name in _play.variants() if name.startswith(kind)][-1]
        assert self.variant.startswith(kind), f"{self.variant} does not play {kind} numbers"
        self.reset()

    def _load(self, noted: bool) -> None:
        self._program = recorded(self._model, self._part, self._layout, noted)
        memory, *others = self._program.rooms.values()
        self._memory = _aligned(np.tile(memory, -(-self._streams // self._layout.side)))
        self._buffers = (*self._program.tables.values(), self._memory, *map(_aligned, others))

    def _note(self) -> None:
        """Every edge in a place of its own from now on."""
        kept = {name: self._rows(vector).copy() for name, vector in self._program.kept.items()}
        self._load(noted=True)
        for name, vector in self._program.kept.items():
            self._rows(vector)[:] = kept[name]

    def reset(self, state: State | None = None) -> None:
        check_state(self._part, state)
        self._play(self.variant, self._buffers, None, None, self._streams)
        if state is not None:
            first, k = start(self._model, self._part, state), self._model.block
            for name, vector in self._program.kept.items():
                self._rows(vector)[:] = laid_out(first[name].reshape(-1), k)[:, None]

    def state(self, stream: int = 0) -> dict[str, Array]:
        kept = self._program.kept
        return {
            one.kept: np.array(
                [
                    self._read(kept[numbers_of(one.kept, delay)])[stream]
                    for delay in range(1, one.frames + 1)
                ]
            )
            for one in remembered(self._part)
        }

    def push(self, frames: Array, edges: Edges | None = None) -> Array:
        frames, program = np.ascontiguousarray(frames), self._program
        assert frames.dtype == np.int64 and frames.shape[1:] == (self._streams, program.inputs)
        outputs = np.empty((len(frames), self._streams, program.outputs), np.int64)
        if edges is None:
            self._run(frames, outputs)
            return outputs
        if not program.edges:
            self._note()
        for t in range(len(frames)):
            self._run(frames[t : t + 1], outputs[t : t + 1])
            for edge, vectors in self._program.edges.items():
                values = np.concatenate([self._read(vector) for vector in vectors], axis=1)
                edges.setdefault(edge, []).append(values)
        return outputs

    def _run(self, frames: Array, outputs: Array) -> None:
        if not self._play(self.variant, self._buffers, frames, outputs, self._streams):
            check_range(self._model, frames)

    def _read(self, vector: Vector) -> Array:
        """A vector (streams, length) as it is now."""
        rows = self._rows(vector).swapaxes(1, 2).reshape(-1, vector.size)[: self._streams]
        return in_order(rows.astype(np.int64), self._model.block, vector.length)

    def _rows(self, vector: Vector) -> Array:
        """Where a vector lies: (memories, numbers, streams of a memory)."""
        side = self._layout.side
        memories = self._memory.reshape(-(-self._streams // side), -1, side)
        return memories[:, vector.at : vector.at + vector.size]


def _aligned(room: Array) -> Array:
    """A copy that begins with a line of the cache: so no row lies on two more lines than it
    fills.
    """
    line, width = 64, room.itemsize
    copy = np.zeros(room.size + line // width, room.dtype)
    copy = copy[-copy.ctypes.data % line // width :][: room.size]
    copy[:] = room
    return copy
