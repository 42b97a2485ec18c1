"""Operations on labelled tensors become signals: what both front ends record into."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ernn.errors import UserError
from ernn.frontends.graph import (
    Affine,
    Apply,
    Operation,
    Output,
    Outside,
    Product,
    Recurrent,
    Signal,
    Sum,
    Times,
    Vector,
)
from ernn.frontends.labels import Framed, Space, varies
from ernn.frontends.reasons import reason
from ernn.ir.activations import Function
from ernn.ir.network import Layer, Matrix

Array = np.ndarray


class OnHost(Exception):  # noqa: N818  # not a mistake: a decision
    """Why only the host can compute an operation."""


@dataclass(eq=False)
class _Step:
    """A layer that is called once a frame: its first signal, what it reads, and the next frame."""

    signal: int
    read: bytes
    frame: int


@dataclass(eq=False)
class Recorder:
    """The graph so far.

    Every method takes and gives labels, and gives None where no frame can be made of its
    operation's result out of what it reads: then it is the host's.
    """

    space: Space = field(default_factory=Space)
    signals: list[Signal] = field(default_factory=list)
    where: str = ""
    """The operation that is recorded, in the user's words."""
    refused: list[str] = field(default_factory=list)
    """Why recurrent layers are not the accelerator's."""
    _known: dict[tuple[object, ...], int] = field(default_factory=dict)
    _steps: dict[object, _Step] = field(default_factory=dict)

    def outside(
        self,
        shape: Sequence[int],
        time: int | None,
        batch: int | None,
        *reads: Array,
        why: str = "",
        work: int = 0,
    ) -> Array:
        """A tensor that the host gives, its axes of time and of the batch.

        work: multiplications for all of the example.
        """
        sizes = [shape[axis] if axis is not None else 1 for axis in (batch, time)]
        size = int(np.prod(shape)) // int(np.prod(sizes))
        vectors = tuple(self._everything(one) for one in reads)
        single = frozenset(number for one in reads for number in self._single(one))
        every = self.space.shape(0)[:2] if len(self.space) else (1, 1)
        operation = Outside(vectors, single, work // int(np.prod(every)))
        signal = Signal(operation, size, sizes[1], self.where, why)
        labels = self._new(signal, sizes[0])
        kept = [axis for axis in (batch, time) if axis is not None]
        rest = [axis for axis in range(len(shape)) if axis not in kept]
        moved = labels.reshape([shape[axis] for axis in (*kept, *rest)])
        return moved.transpose(np.argsort([*kept, *rest]))

    def on_host(
        self, shape: Sequence[int], reads: Sequence[Array], why: str, work: int = 0
    ) -> Array:
        """A tensor that the host makes of others: its axes are those of one of the same shape."""
        time = batch = None
        for labels in reads:
            framed = self.space.framed(labels)
            if framed is None or labels.ndim != len(shape):
                continue
            origin = self.space.origin(labels)
            for axis in framed.axes:
                if shape[axis] == labels.shape[axis]:
                    if varies(origin.sequences, axis):
                        batch = axis
                    else:
                        time = axis
            if time is not None:
                break
        count = max((int(self.space.origin(one).sequences.max()) + 1 for one in reads), default=1)
        if batch is None and count > 1:
            batch = next((axis for axis, size in enumerate(shape) if size == count), None)
        why = why or reason(self.where)
        return self.outside(shape, time, batch, *reads, why=why, work=work)

    def refuse(self, why: str) -> None:
        """A recurrent layer stays on the host."""
        self.refused.append(f"{self.where} {why}, and there is no other recurrent layer")

    def state(self, labels: Array) -> Vector | None:
        """What a state (batch, values) begins with, where it is an input of the network."""
        framed = self.space.framed(labels, [1])
        if framed is None or len(framed.vectors) != 1 or framed.frames != 1:
            return None
        return framed.vectors[0]

    def step(
        self,
        identity: object,
        labels: Array,
        before: Sequence[Array | None],
        make: Callable[[], tuple[Layer, Sequence[tuple[str, Vector]]]],
        others: Sequence[str] = (),
    ) -> list[Array] | None:
        """One call of a layer that is called frame after frame, on (batch, values).

        identity: of the layer.  before: the states that it is given.  make: the layer, and what its
        states begin with.
        """
        framed = self.space.framed(labels, [1])
        if framed is None or len(np.unique(framed.times)) != 1 or len(framed.vectors) != 1:
            return None
        now, read = int(framed.times[0]), framed.vector.key
        if now == 0:
            layer, states = make()
            operation = Recurrent((framed.vector,), layer, tuple(states))
            self._steps[identity] = _Step(len(self.signals), read, 0)
            self._layer(operation, framed.frames, len(labels), others)
        known = self._steps.get(identity)
        if known is None or (known.read, known.frame) != (read, now):
            return None
        signals = range(known.signal, known.signal + 1 + len(others))
        if now and not all(
            given is not None and np.array_equal(given, self.space.of(one)[:, now - 1])
            for one, given in zip(signals, before, strict=False)
        ):
            return None
        known.frame += 1
        return [self.space.of(one)[:, now] for one in signals]

    def _layer(
        self, operation: Recurrent, frames: int, sequences: int, others: Sequence[str]
    ) -> list[Array]:
        """Labels (sequence, time, values) of a layer's first output, and of `others`."""
        names, first = (operation.layer.cell.outputs[0], *others), len(self.signals)
        found = []
        for name in names:
            one = operation if name == names[0] else Output(first, name)
            signal = Signal(one, operation.layer.lengths[name], frames, self.where)
            found.append(self._new(signal, sequences))
        return found

    def _single(self, labels: Array) -> Iterator[int]:
        """Signals of which a tensor has one frame, neither the first nor the last."""
        origin = self.space.origin(labels)
        for signal in np.unique(origin.signals[origin.signals >= 0]).tolist():
            times = np.unique(origin.times[origin.signals == signal])
            if len(times) == 1 and times[0] not in (0, self.signals[signal].frames - 1):
                yield signal

    def _everything(self, labels: Array) -> Vector:
        """The signals of a tensor, whatever is read of them."""
        found = np.unique(self.space.origin(labels).signals)
        found = found[found >= 0]
        return Vector(found, np.zeros_like(found), np.zeros_like(found))

    def _new(self, signal: Signal, sequences: int) -> Array:
        self.signals.append(signal)
        return self.space.add(sequences, signal.frames, signal.size)

    def product(self, labels: Array, weight: Array | Matrix, bias: Array | None) -> Array | None:
        """weight (rows, columns) times the last axis; or a matrix, which has a structure."""
        framed = self.space.framed(labels, [labels.ndim - 1])
        if framed is None or not framed.vectors:
            return None
        matrix = weight if isinstance(weight, Matrix) else Matrix(self._finite(weight)[None])
        shift = None if bias is None else self._finite(bias)
        key = ("product", matrix.value.tobytes(), None if shift is None else shift.tobytes())
        made = self._made(key, framed, Product(framed.vectors, matrix, shift), matrix.rows)
        return self._placed(made, framed, (*labels.shape[:-1], matrix.rows))

    def _finite(self, values: Array) -> Array:
        if not np.isfinite(values).all():
            raise UserError(f"{self.where} has a number that is not finite: the training diverged")
        return np.asarray(values, float)

    def affine(self, labels: Array, scale: Array, shift: Array) -> Array | None:
        """scale * x + shift; both broadcast to the tensor."""
        framed = self.space.framed(labels)
        given = [
            self._constant(np.broadcast_to(one, labels.shape), framed) for one in (scale, shift)
        ]
        factor, offset = given
        if framed is None or factor is None or offset is None:
            return None
        order = _order(framed.vector)
        factor, offset = self._finite(factor[order]), self._finite(offset[order])
        operation = Affine((framed.vector[order],), factor, offset)
        key = ("affine", factor.tobytes(), offset.tobytes())
        return self._placed(self._made(key, framed, operation, 1), framed, labels.shape, order)

    def _constant(self, values: Array, framed: Framed | None) -> Array | None:
        """Of each part the value; None where it is not the same in all frames."""
        if framed is None:
            return None
        rest = [axis for axis in range(values.ndim) if axis not in framed.axes]
        rows = values.transpose([*framed.axes, *rest]).reshape(len(framed.times), -1)
        return rows[0].astype(float) if (rows == rows[0]).all() else None

    def apply(self, labels: Array, function: Function) -> Array | None:
        """An element-wise function."""
        framed = self.space.framed(labels)
        if framed is None:
            return None
        order = _order(framed.vector)
        operation = Apply((framed.vector[order],), function)
        made = self._made((function,), framed, operation, 1)
        return self._placed(made, framed, labels.shape, order)

    def sum(self, first: Array, second: Array, negative: bool = False) -> Array | None:
        """First plus second, or minus."""
        return self._pair(("sum", negative), first, second, lambda a, b: Sum((a, b), negative))

    def times(self, first: Array, second: Array) -> Array | None:
        """First times second."""
        return self._pair(("times",), first, second, lambda a, b: Times((a, b)))

    def _pair(
        self,
        key: tuple[object, ...],
        first: Array,
        second: Array,
        make: Callable[[Vector, Vector], Operation],
    ) -> Array | None:
        both = np.stack(np.broadcast_arrays(first, second), axis=-1)
        framed = self.space.framed(both, [both.ndim - 1])
        if framed is None:
            return None
        one, other = framed.vector[0::2], framed.vector[1::2]
        order = _order(one)
        operation = make(one[order], other[order])
        made = self._made(key, framed, operation, 1)
        return self._placed(made, framed, both.shape[:-1], order)

    def recurrent(
        self,
        labels: Array,
        layer: Layer,
        states: Sequence[tuple[str, Vector]] = (),
        others: Sequence[str] = (),
    ) -> list[Array] | None:
        """A layer over (time, batch, values): its first output and `others`, each alike."""
        framed = self.space.framed(labels, [2])
        if framed is None or len(framed.times) != labels.shape[0] * labels.shape[1]:
            return None
        times = framed.times.reshape(labels.shape[:2])
        if framed.frames != len(labels) or (times != np.arange(len(labels))[:, None]).any():
            return None
        operation = Recurrent((framed.vector,), layer, tuple(states))
        made = self._layer(operation, framed.frames, labels.shape[1], others)
        return [one.transpose(1, 0, 2) for one in made]

    def _made(
        self, key: tuple[object, ...], framed: Framed, operation: Operation, rows: int
    ) -> Array:
        """The labels of a signal that may be there already, of another frame."""
        read = tuple(vector.key for vector in operation.reads)
        identity = (*key, read, framed.frames)
        if identity not in self._known:
            self._known[identity] = len(self.signals)
            size = rows * len(framed.vectors)
            sequences = int(framed.sequences.max()) + 1
            self._new(Signal(operation, size, framed.frames, self.where), sequences)
        return self.space.of(self._known[identity])

    def _placed(
        self, made: Array, framed: Framed, shape: Sequence[int], order: Array | None = None
    ) -> Array:
        """A signal's labels as a tensor whose samples run over the axes that `framed` found.

        order: which value of the tensor's frame each of the signal's is.
        """
        rows = made[framed.sequences, framed.times]
        if order is not None:
            rows = rows[:, np.argsort(order)]
        rest = [axis for axis in range(len(shape)) if axis not in framed.axes]
        axes = [*framed.axes, *rest]
        return rows.reshape([shape[axis] for axis in axes]).transpose(np.argsort(axes))


def _order(vector: Vector) -> Array:
    """Values in the order that their signals have, so that a whole signal is seen as one."""
    return np.lexsort((vector.places, vector.delays, vector.signals))
