"""What a front end makes of a user's network: a small graph of operations on signals.

A signal is so many numbers a frame.  An operation reads vectors put together from any values of any
signals, of this frame or earlier ones, so views, slices, permutations, concatenations and the taps
of a convolution are no operations: they are what a `Vector` says.
"""

from dataclasses import dataclass

import numpy as np

from ernn.ir.activations import Function
from ernn.ir.network import Layer, Matrix

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Vector:
    """Values that an operation reads each frame, three whole numbers for each.

    signals: whose value it is; -1 is a zero.
    delays: of how many frames ago; below 0 of a later frame, which only the host can know.
    places: which value of the signal.
    """

    signals: Array
    delays: Array
    places: Array

    def __getitem__(self, index: "int | slice | Array") -> "Vector":
        return Vector(self.signals[index], self.delays[index], self.places[index])

    def __len__(self) -> int:
        return len(self.signals)

    @property
    def read(self) -> frozenset[int]:
        """The signals."""
        return frozenset(int(one) for one in np.unique(self.signals) if one >= 0)

    @property
    def table(self) -> Array:
        """(3, values)."""
        return np.stack([self.signals, self.delays, self.places])

    @property
    def rows(self) -> list[tuple[int, int, int]]:
        """One after another: signal, delay and place."""
        return list(map(tuple, self.table.T.tolist()))  # type: ignore[arg-type]

    @property
    def key(self) -> bytes:
        """Equal for vectors of the same values."""
        return self.table.tobytes()


@dataclass(frozen=True, eq=False)
class Outside:
    """What the host gives: an input of the user's network, or what an operation that does not
    stream makes of other signals.

    single: signals of which one frame is read, neither the first nor the last.
    work: multiplications by weights, of one frame.
    """

    reads: tuple[Vector, ...] = ()
    single: frozenset[int] = frozenset()
    work: int = 0


@dataclass(frozen=True, eq=False)
class Product:
    """A matrix times each vector of `reads`, plus bias (rows,).

    matrix: (1, rows, columns).

    The results follow one another part by part.
    """

    reads: tuple[Vector, ...]
    matrix: Matrix
    bias: Array | None = None

    @property
    def weight(self) -> Array:
        """(rows, columns)."""
        return self.matrix.value[0]


@dataclass(frozen=True, eq=False)
class Affine:
    """scale * x + shift, a number of each for each value."""

    reads: tuple[Vector]
    scale: Array
    shift: Array


@dataclass(frozen=True, eq=False)
class Apply:
    """An element-wise function."""

    reads: tuple[Vector]
    function: Function


@dataclass(frozen=True, eq=False)
class Sum:
    """The first plus the second; `negative`: minus the second."""

    reads: tuple[Vector, Vector]
    negative: bool = False


@dataclass(frozen=True, eq=False)
class Times:
    """The product of two signals."""

    reads: tuple[Vector, Vector]


@dataclass(frozen=True, eq=False)
class Recurrent:
    """A layer that reads one vector.

    states: its initial values that are the sequence's, by name; all others are in the layer.
    """

    reads: tuple[Vector]
    layer: Layer
    states: tuple[tuple[str, Vector], ...] = ()


@dataclass(frozen=True, eq=False)
class Output:
    """Another output, by name, of the layer whose first output is signal number `of`."""

    of: int
    name: str
    reads: tuple[Vector, ...] = ()


Operation = Outside | Product | Affine | Apply | Sum | Times | Recurrent | Output


@dataclass(frozen=True, eq=False)
class Signal:
    """What one operation gives: `size` numbers a frame, of `frames` frames in the example.

    where: its operation in the user's words.
    host: why only the host can compute it; empty where the accelerator can.
    """

    operation: Operation
    size: int
    frames: int
    where: str
    host: str = ""

    @property
    def read(self) -> frozenset[int]:
        """The signals that it follows from."""
        vectors = list(self.operation.reads)
        match self.operation:
            case Recurrent(states=states):
                vectors += [vector for _, vector in states]
            case Output(of=of):
                return frozenset({of})
        return frozenset[int]().union(*(vector.read for vector in vectors))

    @property
    def multiplications(self) -> int:
        """Of one frame, by weights, as the user's network has them."""
        match self.operation:
            case Outside(work=work):
                return work
            case Product(reads, matrix):
                return len(reads) * matrix.value.size
            case Recurrent(_, layer):
                return sum(matrix.value.size for matrix in layer.matrices)
        return 0
