"""A trained recurrent network as plain arrays: what the training side hands on, and what is
quantized.

Every layer is a typed, frozen value; weights are float64 NumPy arrays.  The order of gates is
torch's: LSTM i, f, g, o; GRU r, z, n.  `Matrix.value` has one matrix per gate: (gates, rows,
columns).  Equations: REFERENCE.md section 2.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from ernn.errors import UserError
from ernn.ir.cell import INPUT, Cell
from ernn.ir.structure import Dense, Structure

Array = np.ndarray
ResetGate = Literal["after", "before"]


def _require(ok: bool, message: str) -> None:
    if not ok:
        raise UserError(message)


def _require_state(name: str, vector: Array | None, size: int) -> None:
    if vector is not None:
        _require(vector.shape == (size,), f"{name} must be {(size,)}, not {vector.shape}")


@dataclass(frozen=True, eq=False)
class Matrix:
    """Weights (gates, rows, columns) and the structure they have."""

    value: Array
    structure: Structure = Dense()

    def __post_init__(self) -> None:
        _require(
            self.value.ndim == 3,
            f"a weight is (gates, rows, columns), not of shape {self.value.shape}",
        )
        _require(
            bool(np.isfinite(self.value).all()), "a weight is not finite: the training diverged"
        )

    def part(self, first: int, last: int) -> "Matrix":
        """Gates `first` up to `last`."""
        return Matrix(self.value[first:last], self.structure)

    @property
    def columns(self) -> int:
        return self.value.shape[2]

    @property
    def rows(self) -> int:
        return self.value.shape[1]

    @property
    def stored(self) -> int:
        """Numbers stored, padding counted."""
        return self.structure.stored(self.value.shape)


@dataclass(frozen=True, eq=False)
class Factored(Matrix):
    """A matrix kept as a product of matrices (`ernn.ir.structure.Factors`)."""

    factors: tuple[Matrix, ...] = field(kw_only=True)

    def part(self, first: int, last: int) -> "Factored":
        """Gates `first` up to `last`, with the same factors where the gates share them."""
        left, *others = self.factors
        own = [one if len(one.value) == 1 else one.part(first, last) for one in others]
        return Factored(
            self.value[first:last], self.structure, factors=(left.part(first, last), *own)
        )


@dataclass(frozen=True, eq=False)
class LstmLayer:
    """LSTM (Sak et al. 2014), optionally with peepholes (3, hidden: i, f, o) and a projection (1,
    projected, hidden).

    input_weight (4, hidden, input); recurrent_weight (4, hidden, output); bias (4, hidden).
    `initial_output` and `initial_cell` are the state before the first frame; None is zero.
    """

    input_weight: Matrix
    recurrent_weight: Matrix
    bias: Array
    peephole: Array | None = None
    projection: Matrix | None = None
    initial_output: Array | None = None
    initial_cell: Array | None = None

    def __post_init__(self) -> None:
        hidden = self.hidden_size
        _require(self.input_weight.value.shape[0] == 4, "an LSTM has 4 gates")
        expected = (4, hidden, self.output_size)
        _require(
            self.recurrent_weight.value.shape == expected,
            f"recurrent weight must be {expected}, not {self.recurrent_weight.value.shape}",
        )
        _require(
            self.bias.shape == (4, hidden), f"bias must be {(4, hidden)}, not {self.bias.shape}"
        )
        if self.peephole is not None:
            _require(
                self.peephole.shape == (3, hidden),
                f"peephole must be {(3, hidden)}, not {self.peephole.shape}",
            )
        if self.projection is not None:
            expected = (1, self.output_size, hidden)
            shape = self.projection.value.shape
            _require(shape == expected, f"projection must be {expected}, not {shape}")
        _require_state("initial_output", self.initial_output, self.output_size)
        _require_state("initial_cell", self.initial_cell, hidden)

    @property
    def input_size(self) -> int:
        return self.input_weight.columns

    @property
    def hidden_size(self) -> int:
        return self.input_weight.rows

    @property
    def output_size(self) -> int:
        return self.projection.rows if self.projection is not None else self.hidden_size

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        return (self.input_weight, self.recurrent_weight) + (
            (self.projection,) if self.projection else ()
        )


@dataclass(frozen=True, eq=False)
class GruLayer:
    """GRU. `reset="after"` is torch's and cuDNN's r * (W_hn h + b_hn); "before" is E-RNN's W_hn (r
    * h).

    input_weight (3, hidden, input); recurrent_weight (3, hidden, hidden); input_bias,
    recurrent_bias (3, hidden).
    """

    input_weight: Matrix
    recurrent_weight: Matrix
    input_bias: Array
    recurrent_bias: Array
    reset: ResetGate = "after"
    initial_output: Array | None = None

    def __post_init__(self) -> None:
        hidden = self.hidden_size
        _require(self.input_weight.value.shape[0] == 3, "a GRU has 3 gates")
        _require(
            self.recurrent_weight.value.shape == (3, hidden, hidden),
            f"recurrent weight must be {(3, hidden, hidden)}, not "
            f"{self.recurrent_weight.value.shape}",
        )
        for name, bias in (
            ("input_bias", self.input_bias),
            ("recurrent_bias", self.recurrent_bias),
        ):
            _require(bias.shape == (3, hidden), f"{name} must be {(3, hidden)}, not {bias.shape}")
        _require(
            self.reset in ("after", "before"),
            f"reset must be 'after' or 'before', not {self.reset!r}",
        )
        _require_state("initial_output", self.initial_output, hidden)

    @property
    def input_size(self) -> int:
        return self.input_weight.columns

    @property
    def hidden_size(self) -> int:
        return self.input_weight.rows

    @property
    def output_size(self) -> int:
        return self.hidden_size

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        return (self.input_weight, self.recurrent_weight)


@dataclass(frozen=True, eq=False)
class LinearLayer:
    """y = W x + b; weight (1, output, input), bias (output,)."""

    weight: Matrix
    bias: Array

    def __post_init__(self) -> None:
        _require(self.weight.value.shape[0] == 1, "a linear layer has one matrix")
        expected = (self.output_size,)
        _require(self.bias.shape == expected, f"bias must be {expected}, not {self.bias.shape}")

    @property
    def input_size(self) -> int:
        return self.weight.columns

    @property
    def output_size(self) -> int:
        return self.weight.rows

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        return (self.weight,)


@dataclass(frozen=True, eq=False)
class BidirectionalLayer:
    """Two recurrent layers, the second over reversed time; outputs joined [forward, backward].
    Software only.
    """

    forward: LstmLayer | GruLayer
    backward: LstmLayer | GruLayer

    def __post_init__(self) -> None:
        sizes = (self.forward.input_size, self.backward.input_size)
        _require(
            sizes[0] == sizes[1],
            f"both directions read the same input, not {sizes[0]} and {sizes[1]} values",
        )

    @property
    def input_size(self) -> int:
        return self.forward.input_size

    @property
    def output_size(self) -> int:
        return self.forward.output_size + self.backward.output_size

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        return self.forward.matrices + self.backward.matrices


@dataclass(frozen=True, eq=False)
class CellLayer:
    """A layer whose equations are a description (`ernn.ir.cell`); its states are zero before the
    first frame.

    weights: by product of the cell, one matrix for each vector that it reads.  biases: by product
    (gates, rows), None where it has none.  vectors: by their order in the cell.
    """

    cell: Cell
    weights: tuple[tuple[Matrix, ...], ...]
    biases: tuple[Array | None, ...]
    vectors: tuple[Array, ...] = ()

    def __post_init__(self) -> None:
        cell = self.cell
        given = (
            tuple(len(matrices) for matrices in self.weights),
            len(self.biases),
            len(self.vectors),
        )
        wanted = (
            tuple(len(product.reads) for product in cell.products),
            len(cell.products),
            len(cell.vectors),
        )
        _require(
            given == wanted,
            f"{cell.title}: matrices a product, biases and vectors are {wanted}, not {given}",
        )
        for product, matrices, bias in zip(cell.products, self.weights, self.biases, strict=True):
            shapes = {matrix.value.shape[:2] for matrix in matrices}
            rows = matrices[0].rows
            _require(
                shapes == {(product.gates, rows)},
                f"{cell.title}: {product.name} has matrices of {shapes}",
            )
            _require(
                (bias is not None) == product.bias,
                f"{cell.title}: {product.name} and its bias disagree",
            )
            if bias is not None:
                _require(
                    bias.shape == (product.gates, rows),
                    f"bias must be {(product.gates, rows)}, not {bias.shape}",
                )
            for read, matrix in zip(product.reads, matrices, strict=True):
                size = self.input_size if read == INPUT else self.lengths[read]
                _require(
                    matrix.columns == size,
                    f"{cell.title}: {product.name} reads {size} values of {read}",
                )

        for stage in cell.stages:
            sizes = {self.lengths[step.name] for step in stage.steps}
            _require(
                len(sizes) == 1,
                f"{cell.title}: the steps of a stage are of one length, not of {sorted(sizes)}",
            )

    @cached_property
    def lengths(self) -> dict[str, int]:
        """Length of every step."""
        rows = {
            p.name: matrices[0].rows
            for p, matrices in zip(self.cell.products, self.weights, strict=True)
        }
        sizes = {
            name: len(vector) for name, vector in zip(self.cell.vectors, self.vectors, strict=True)
        }
        return self.cell.lengths(rows, sizes)

    @cached_property
    def input_size(self) -> int:
        pairs = zip(self.cell.products, self.weights, strict=True)
        return next(
            matrix.columns
            for product, matrices in pairs
            for read, matrix in zip(product.reads, matrices, strict=True)
            if read == INPUT
        )

    @property
    def output_size(self) -> int:
        return self.lengths[self.cell.output]

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        return tuple(matrix for matrices in self.weights for matrix in matrices)


Layer = LstmLayer | GruLayer | LinearLayer | BidirectionalLayer | CellLayer


@dataclass(frozen=True, eq=False)
class Network:
    """Layers applied in order to frames (time, input_size).

    `last_step`: what the user's model returns is the last frame's output only (a classifier), not
    every frame's.
    """

    layers: tuple[Layer, ...]
    last_step: bool = False

    def __post_init__(self) -> None:
        _require(len(self.layers) > 0, "a network needs at least one layer")
        for first, second in zip(self.layers, self.layers[1:], strict=False):
            _require(
                first.output_size == second.input_size,
                f"a layer of {first.output_size} outputs feeds one of {second.input_size} inputs",
            )

    @property
    def input_size(self) -> int:
        return self.layers[0].input_size

    @property
    def output_size(self) -> int:
        return self.layers[-1].output_size

    @cached_property
    def stored_weights(self) -> int:
        """Weights stored in all matrices, padding counted; biases and peepholes apart."""
        return sum(matrix.stored for layer in self.layers for matrix in layer.matrices)

    @cached_property
    def stored_recurrent_weights(self) -> int:
        """As `stored_weights`, recurrent layers only (their input, recurrent and projection
        matrices).
        """
        return sum(
            m.stored
            for layer in self.layers
            if not isinstance(layer, LinearLayer)
            for m in layer.matrices
        )
