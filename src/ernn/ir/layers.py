"""Layers from the arrays that people have of them: LSTM, GRU, linear, causal convolution.

Gates are in torch's order: LSTM i, f, g, o; GRU r, z, n.  Equations: docs/explanation/equations.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ernn.errors import UserError
from ernn.ir.cell import INPUT, CellProduct, Read
from ernn.ir.cells import LINEAR, SUM, ResetGate, conv1d_cell, gru_cell, lstm_cell
from ernn.ir.network import Array, Factored, Layer, Matrix, Source
from ernn.ir.structure import block_size


def lstm(
    input_weight: Matrix,
    recurrent_weight: Matrix,
    bias: Array,
    *,
    peephole: Array | None = None,
    projection: Matrix | None = None,
    initial_output: Array | None = None,
    initial_cell: Array | None = None,
) -> Layer:
    """LSTM (Sak et al. 2014).

    input_weight: (4, hidden, input).  recurrent_weight: (4, hidden, output).  bias: (4, hidden).
    peephole: (3, hidden), of i, f and o.  projection: (1, output, hidden).
    initial_output, initial_cell: (output,) and (hidden,), the state before the first frame.
    Raises UserError where shapes do not belong together.
    """
    _require_gates("an LSTM", 4, input_weight)
    _require_shape("peephole", peephole, (3, input_weight.rows))
    cell = lstm_cell(peephole is not None, projection is not None)
    weights: list[tuple[Matrix, ...]] = [(input_weight, recurrent_weight)]
    if projection is not None:
        weights.append((projection,))
    initial = {"h": initial_output, "c": initial_cell}
    return Layer(
        cell,
        tuple(weights),
        (bias, *[None] * (len(weights) - 1)),
        () if peephole is None else tuple(peephole),
        tuple(initial[name] for name in cell.remembered),
    )


def gru(
    input_weight: Matrix,
    recurrent_weight: Matrix,
    input_bias: Array,
    recurrent_bias: Array,
    *,
    reset: ResetGate = "after",
    initial_output: Array | None = None,
) -> Layer:
    """GRU (Cho et al. 2014).

    input_weight: (3, hidden, input).  recurrent_weight: (3, hidden, hidden).
    input_bias, recurrent_bias: (3, hidden).  initial_output: (hidden,).
    reset: "after" the product, r * (W_hn h + b_hn), as torch and cuDNN do, or "before" it,
        W_hn (r * h), as E-RNN does.
    Raises UserError where shapes do not belong together.
    """
    _require_gates("a GRU", 3, input_weight)
    if reset not in ("after", "before"):
        raise UserError(f"reset must be 'after' or 'before', not {reset!r}")
    for name, bias in (("input_bias", input_bias), ("recurrent_bias", recurrent_bias)):
        _require_shape(name, bias, (3, input_weight.rows))
    both = input_bias + recurrent_bias
    input_weight, recurrent_weight = input_weight.factored(), recurrent_weight.factored()
    gates = (input_weight.part(0, 2), recurrent_weight.part(0, 2))
    into, back = input_weight.part(2, 3), recurrent_weight.part(2, 3)
    if reset == "after":
        weights = (gates, (into,), (back,))
        biases = (both[:2], input_bias[2:], recurrent_bias[2:])
    else:
        weights, biases = (gates, (into, back)), (both[:2], both[2:])
    return Layer(gru_cell(reset), weights, biases, initial=(initial_output,))


def linear(weight: Matrix, bias: Array) -> Layer:
    """y = W x + b; weight (1, output, input), bias (output,)."""
    _require_gates("a linear layer", 1, weight)
    _require_shape("bias", bias, (weight.rows,))
    return Layer(LINEAR, ((weight,),), (bias[None],))


def conv1d(weights: Sequence[Matrix], bias: Array, *, dilation: int = 1) -> Layer:
    """Causal convolution over time: y_t = sum over j of W_j x_{t - (taps - 1 - j) * dilation} + b.

    weights: one (1, output, input) a tap, the oldest frame's first, as torch orders a kernel.
    bias: (output,).
    """
    count = len(weights)
    if count < 1 or dilation < 1:
        raise UserError(
            f"a convolution has taps and a dilation of 1 or more, not {count}, {dilation}"
        )
    for weight in weights:
        _require_gates("a convolution's tap", 1, weight)
    _require_shape("bias", bias, (weights[0].rows,))
    cell = conv1d_cell(tuple((count - 1 - tap) * dilation for tap in range(count)))
    return Layer(cell, (tuple(weights),), (bias[None],))


def added(size: int, sources: Sequence[Source]) -> Layer:
    """The sum of two layers of `size` values a frame: a residual connection."""
    return Layer(SUM, (), (), inputs=tuple(sources), sizes=(size,) * len(SUM.inputs))


def bidirectional(forward: Layer, backward: Layer, source: Source) -> tuple[Layer, Layer]:
    """Two layers over one input, the second over reversed time; whatever follows reads both."""
    return (
        replace(forward, inputs=(source,)),
        replace(backward, inputs=(source,), backward=True),
    )


@dataclass(frozen=True, eq=False)
class Part:
    """Some values of one source, as a vector that a layer reads has them.

    delay: of how many frames ago.  size: values of the source.
    columns: where in the vector they stand.  places: where in the source.
    """

    source: Source
    delay: int
    size: int
    columns: Array
    places: Array

    def whole(self, length: int) -> bool:
        """Whether this is the vector of `length` values, and the source."""
        every = np.arange(length)
        return (
            length == self.size == len(self.columns)
            and bool((self.columns == every).all())
            and bool((self.places == every).all())
        )

    def of(self, matrix: Matrix, name: str) -> Matrix:
        """The matrix over the source, of one over the vector."""
        first, last = int(self.columns[0]), int(self.columns[-1]) + 1
        run = np.arange(first, last)
        every = np.arange(self.size)
        if np.array_equal(self.columns, run) and np.array_equal(self.places, every):
            return _columns(matrix, name, first, last)
        if block_size(matrix.structure) > 1 or isinstance(matrix, Factored):
            raise UserError(
                f"{name} is {matrix.structure}, and what it is multiplied with is not read in one "
                "piece: leave it dense"
            )
        value = np.zeros((*matrix.value.shape[:2], self.size))
        columns = np.moveaxis(matrix.value, -1, 0)[self.columns]
        np.add.at(np.moveaxis(value, -1, 0), self.places, columns)  # a place may be read twice
        return Matrix(value, matrix.structure)


def reading(layer: Layer, sources: Sequence[Source], sizes: Sequence[int]) -> Layer:
    """A layer of one input `x`, made to read several sources in its place, joined in order.

    sizes: values a frame of each source; they add up to what the layer reads.  Each matrix over x
    becomes one for each source.
    Raises UserError where a block-circulant matrix would be cut within a block.
    """
    if len(sources) == 1:
        return replace(layer, inputs=tuple(sources))
    ends = np.cumsum(sizes)
    return over(
        layer,
        [
            Part(source, 0, size, np.arange(end - size, end), np.arange(size))
            for source, size, end in zip(sources, sizes, ends.tolist(), strict=True)
        ],
    )


def over(layer: Layer, parts: Sequence[Part]) -> Layer:
    """A layer of one input `x`, made to read parts of any sources, of any frames, in its place.

    Raises UserError as `reading`, and where a structure is not read in one piece.
    """
    sources = tuple(dict.fromkeys(part.source for part in parts))
    several = [f"x{number}" for number in range(len(sources))]
    names = dict(zip(sources, several if len(sources) > 1 else [INPUT], strict=True))
    reads = tuple(Read(names[part.source], part.delay) for part in parts)
    if any(read.name == INPUT for step in layer.cell.steps for read in step.reads):
        raise UserError(
            f"{layer.cell.title}: a step reads x, which cannot be several vectors one after another"
        )
    spread = _Spread(reads, tuple(parts))
    given = iter(layer.weights)
    weights = tuple(spread.matrices(product, next(given)) for product in layer.cell.products)
    stages = tuple(
        replace(stage, products=tuple(spread.product(one) for one in stage.products))
        for stage in layer.cell.stages
    )
    cell = replace(layer.cell, stages=stages, inputs=tuple(names.values()))
    own = dict(zip(layer.cell.remembered, layer.initial, strict=False))
    initial = tuple(own.get(name) for name in cell.remembered)
    return replace(layer, cell=cell, weights=weights, inputs=sources, initial=initial)


@dataclass(frozen=True, eq=False)
class _Spread:
    """Reads and parts in the place of x."""

    reads: tuple[Read, ...]
    parts: tuple[Part, ...]

    def product(self, product: CellProduct) -> CellProduct:
        reads = [one for read in product.reads for one in self._in_its_place(read)]
        return replace(product, reads=tuple(reads))

    def _in_its_place(self, read: Read) -> tuple[Read, ...]:
        if read.name != INPUT:
            return (read,)
        return tuple(Read(one.name, one.delay + read.delay) for one in self.reads)

    def matrices(self, product: CellProduct, given: Sequence[Matrix]) -> tuple[Matrix, ...]:
        some = [
            [part.of(matrix, product.name) for part in self.parts]
            if read.name == INPUT
            else [matrix]
            for read, matrix in zip(product.reads, given, strict=True)
        ]
        return tuple(one for matrices in some for one in matrices)


def _columns(matrix: Matrix, name: str, first: int, last: int) -> Matrix:
    """Some columns of a matrix."""
    if (first, last) == (0, matrix.columns):
        return matrix
    value = matrix.value[..., first:last]
    if isinstance(matrix, Factored):
        *others, right = matrix.factors
        part = _columns(right, name, first, last)
        return Factored(value, matrix.structure, factors=(*others, part))
    block = block_size(matrix.structure)
    if first % block:  # where one ends within a block, another begins there or nothing does
        raise UserError(
            f"a matrix in blocks of {block} reads vectors one after another, one of them values "
            f"{first} to {last - 1}, so a block would lie across two of them: choose sizes of "
            f"which each but the last is a multiple of {block}, or leave this matrix dense "
            "(CompressionPlan.override)"
        )
    return Matrix(value, matrix.structure)


def _require_gates(what: str, gates: int, weight: Matrix) -> None:
    if len(weight.value) != gates:
        raise UserError(f"{what} has {gates} gates or matrices, not {len(weight.value)}")


def _require_shape(name: str, array: Array | None, shape: tuple[int, ...]) -> None:
    if array is not None and array.shape != shape:
        raise UserError(f"{name} must be {shape}, not {array.shape}")
