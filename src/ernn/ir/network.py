"""A trained network as plain arrays: what the training side hands on, and what is quantized.

One kind of layer: a description (`ernn.ir.cell`) and its arrays, float64.  `ernn.ir.layers` makes
LSTM, GRU, linear and convolution layers from the arrays that people have of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ernn.errors import UserError
from ernn.ir.cell import Cell
from ernn.ir.structure import Dense, Structure

Array = np.ndarray


def _require(ok: bool, message: str) -> None:
    if not ok:
        raise UserError(message)


@dataclass(frozen=True, eq=False)
class Matrix:
    """Weights (gates, rows, columns) and the structure they have.

    name: which of a network's matrices it is, or a part of, once the network is `named`.
    """

    value: Array
    structure: Structure = Dense()
    name: str = ""

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
        return replace(self, value=self.value[first:last])

    def factored(self) -> "Matrix":
        """With its factors where it is a product of matrices, so that parts of it share them."""
        found = self.structure.taken().factors(self.value)
        if found is None:
            return self
        factors = tuple(Matrix(*factor, self.name) for factor in found)
        return Factored(self.value, self.structure, self.name, factors=factors)

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

    def factored(self) -> "Factored":
        return self

    def part(self, first: int, last: int) -> "Factored":
        """Gates `first` up to `last`, with the same factors where the gates share them."""
        left, *others = self.factors
        own = [one if len(one.value) == 1 else one.part(first, last) for one in others]
        parts = left.part(first, last), *own
        return replace(self, value=self.value[first:last], factors=parts)


@dataclass(frozen=True)
class Source:
    """Where a layer's input comes from: output `output` of layer number `layer`, counted from 0.

    `NETWORK` is the network's own input.
    """

    layer: int
    output: str = "h"


NETWORK = Source(-1, "x")


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer: its description and its arrays.

    weights: by product of the cell, a matrix (gates, rows, columns) for each vector that it reads.
    biases: by product (gates, rows), None where it has none.
    vectors: by their order in the cell, one-dimensional.
    initial: by the cell's `remembered`, the values (length,) before the first frame; None is zero,
    and so are all where it is left out.
    inputs: by the cell's `inputs`; left out, the first output of the layer before.
    backward: the layer runs over the frames in reversed order (software only).
    sizes: by the cell's `inputs`, the values of each; left out, as the matrices over them say.

    Raises UserError where shapes do not belong together.
    """

    cell: Cell
    weights: tuple[tuple[Matrix, ...], ...]
    biases: tuple[Array | None, ...]
    vectors: tuple[Array, ...] = ()
    initial: tuple[Array | None, ...] = ()
    inputs: tuple[Source, ...] = ()
    backward: bool = False
    sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        cell = self.cell
        given = tuple(len(one) for one in self.weights), len(self.biases), len(self.vectors)
        wanted = tuple(len(p.reads) for p in cell.products), len(cell.products), len(cell.vectors)
        _require(
            given == wanted,
            f"{cell.title}: matrices a product, biases and vectors are {wanted}, not {given}",
        )
        self._check_products()
        self._check_initial()
        for stage in cell.stages:
            sizes = {self.lengths[step.name] for step in stage.steps}
            _require(
                len(sizes) == 1,
                f"{cell.title}: the steps of a stage are of one length, not of {sorted(sizes)}",
            )
        _require(
            len(self.inputs) in (0, len(cell.inputs)),
            f"{cell.title} has the inputs {', '.join(cell.inputs)}, not {len(self.inputs)}",
        )

    def _check_products(self) -> None:
        title = self.cell.title
        for product, matrices, bias in zip(
            self.cell.products, self.weights, self.biases, strict=True
        ):
            shapes = {matrix.value.shape[:2] for matrix in matrices}
            shape = (product.gates, matrices[0].rows)
            _require(shapes == {shape}, f"{title}: {product.name} must be {shape}, not {shapes}")
            _require(
                (bias is not None) == product.bias,
                f"{title}: {product.name} and its bias disagree",
            )
            if bias is not None:
                what = f"{title}: bias of {product.name}"
                _require(bias.shape == shape, f"{what} must be {shape}, not {bias.shape}")
            for read, matrix in zip(product.reads, matrices, strict=True):
                size = self.lengths[read.name]
                _require(
                    matrix.columns == size,
                    f"{title}: {product.name} reads {size} values of {read.name}, its matrix has "
                    f"{matrix.columns} columns",
                )

    def _check_initial(self) -> None:
        names = self.cell.remembered
        _require(
            len(self.initial) in (0, len(names)),
            f"{self.cell.title} keeps {', '.join(names) or 'nothing'}: {len(self.initial)} initial "
            "values are given",
        )
        for name, values in zip(names, self.initial, strict=False):
            if values is not None:
                shape = (self.lengths[name],)
                _require(
                    values.shape == shape,
                    f"{self.cell.title}: initial {name} must be {shape}, not {values.shape}",
                )

    @cached_property
    def lengths(self) -> dict[str, int]:
        """Length of every step and input."""
        cell = self.cell
        rows = {p.name: m[0].rows for p, m in zip(cell.products, self.weights, strict=True)}
        known = {name: len(vector) for name, vector in zip(cell.vectors, self.vectors, strict=True)}
        known |= zip(cell.inputs, self.sizes, strict=False)
        for product, matrices in zip(cell.products, self.weights, strict=True):
            for read, matrix in zip(product.reads, matrices, strict=True):
                if read.name in cell.inputs:
                    known.setdefault(read.name, matrix.columns)
        return cell.lengths(rows, known)

    def initial_value(self, name: str) -> Array:
        """Values (length,) of a remembered step or input before the first frame."""
        values = dict(zip(self.cell.remembered, self.initial, strict=False)).get(name)
        return np.zeros(self.lengths[name]) if values is None else values

    @property
    def input_sizes(self) -> tuple[int, ...]:
        return tuple(self.lengths[name] for name in self.cell.inputs)

    @property
    def output_size(self) -> int:
        """Of the first output."""
        return self.lengths[self.cell.outputs[0]]

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        return tuple(matrix for matrices in self.weights for matrix in matrices)

    def matrix(self, product: str, read: str) -> Matrix:
        """The matrix with which `product` multiplies `read`, named as in `h@1`."""
        for named, matrices in zip(self.cell.products, self.weights, strict=True):
            for one, matrix in zip(named.reads, matrices, strict=True):
                if named.name == product and str(one) == read:
                    return matrix
        raise KeyError(f"{self.cell.title}: no product {product} of {read}")

    def bias(self, product: str) -> Array | None:
        """Bias (gates, rows) of a product."""
        names = [one.name for one in self.cell.products]
        return self.biases[names.index(product)]

    def vector(self, name: str) -> Array:
        """A constant vector by name."""
        return self.vectors[self.cell.vectors.index(name)]


@dataclass(frozen=True, eq=False)
class Network:
    """Layers applied to frames (time, input_size); each reads the input or earlier layers.

    layers: in the order in which they are computed.
    last_step: the last frame's outputs only (a classifier), not every frame's.
    outputs: what the user gets of a frame, one after the other; left out, the last layer's first
        output.

    Raises UserError where a layer reads what is not there, or sizes differ.
    """

    layers: tuple[Layer, ...]
    last_step: bool = False
    outputs: tuple[Source, ...] = ()

    def __post_init__(self) -> None:
        _require(len(self.layers) > 0, "a network needs at least one layer")
        sizes = {size for _, size in self._reads_of(NETWORK)}
        _require(len(sizes) == 1, f"the layers that read the input read {sorted(sizes)} values")
        for index, layer in enumerate(self.layers):
            pairs = zip(self.sources(index), layer.cell.inputs, layer.input_sizes, strict=True)
            for source, name, size in pairs:
                self._check_source(f"layer {index}, input {name}", source, index)
                have = self.size(source)
                _require(
                    size == have,
                    f"layer {index}: {layer.cell.title} reads {size} values of {name}, which has "
                    f"{have}",
                )
        for source in self.outputs:
            self._check_source("the network's output", source, len(self.layers))
            _require(source != NETWORK, "the network's input cannot be its output")

    def _reads_of(self, source: Source) -> list[tuple[int, int]]:
        """(layer, values) of whoever reads a source."""
        return [
            (index, size)
            for index, layer in enumerate(self.layers)
            for one, size in zip(self.sources(index), layer.input_sizes, strict=True)
            if one == source
        ]

    def _check_source(self, what: str, source: Source, before: int) -> None:
        if source != NETWORK:
            there = 0 <= source.layer < before
            _require(there, f"{what} reads layer {source.layer}, which does not come before")
            outputs = self.layers[source.layer].cell.outputs
            _require(
                source.output in outputs,
                f"{what} reads {source.output!r} of layer {source.layer}, which gives "
                f"{', '.join(outputs)}",
            )

    def sources(self, index: int) -> tuple[Source, ...]:
        """Where the inputs of layer `index` come from."""
        layer = self.layers[index]
        if layer.inputs:
            return layer.inputs
        _require(
            len(layer.cell.inputs) == 1,
            f"layer {index} has several inputs ({', '.join(layer.cell.inputs)}): say where from",
        )
        return (NETWORK if index == 0 else self._first_output(index - 1),)

    def _first_output(self, index: int) -> Source:
        return Source(index, self.layers[index].cell.outputs[0])

    @property
    def results(self) -> tuple[Source, ...]:
        """`outputs`, or the last layer's first."""
        return self.outputs or (self._first_output(len(self.layers) - 1),)

    def size(self, source: Source) -> int:
        """Values a frame."""
        if source == NETWORK:
            return self.input_size
        return self.layers[source.layer].lengths[source.output]

    @property
    def input_size(self) -> int:
        return self._reads_of(NETWORK)[0][1]

    @property
    def output_size(self) -> int:
        return sum(self.size(source) for source in self.results)

    @cached_property
    def multiplied(self) -> frozenset[Source]:
        """What some product reads."""
        return frozenset(
            source
            for index, layer in enumerate(self.layers)
            for name, source in self.names(index)
            if name in layer.cell.multiplied
        )

    def initial_values(self, source: Source) -> list[Array]:
        """What it is taken to have been before the first frame, by all layers that remember it."""
        return [
            values
            for index, layer in enumerate(self.layers)
            for name, values in zip(layer.cell.remembered, layer.initial, strict=False)
            if values is not None and (name, source) in self.names(index)
        ]

    def with_layer(self, index: int, layer: Layer) -> "Network":
        """The same network with another layer in the place of one."""
        return replace(self, layers=(*self.layers[:index], layer, *self.layers[index + 1 :]))

    def names(self, index: int) -> list[tuple[str, Source]]:
        """A layer's inputs and steps by name, and what they are to the network."""
        cell = self.layers[index].cell
        own = [(step.name, Source(index, step.name)) for step in cell.steps]
        return [*zip(cell.inputs, self.sources(index), strict=True), *own]

    @property
    def streams(self) -> bool:
        """Whether a frame's outputs need no later frame."""
        return not any(layer.backward for layer in self.layers)

    @cached_property
    def stored_weights(self) -> int:
        """Weights stored in all matrices, padding counted; biases and vectors apart."""
        return _stored(self.layers)

    @cached_property
    def stored_recurrent_weights(self) -> int:
        """As `stored_weights`, of recurrent layers only (all of their matrices)."""
        return _stored([layer for layer in self.layers if layer.cell.recurrent])


def _stored(layers: Sequence[Layer]) -> int:
    """Numbers stored; a factor that several matrices share is stored once."""
    matrices = [matrix for layer in layers for matrix in layer.matrices]
    whole = sum(one.stored for one in matrices if not isinstance(one, Factored))
    factors = [f for one in matrices if isinstance(one, Factored) for f in one.factors]
    return whole + sum({id(one.value): one.stored for one in factors}.values())
