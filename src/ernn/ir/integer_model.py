"""The contract: a network as integers and decisions, never code.

The training side writes an `IntegerModel`, `golden` executes it, `rtl` elaborates it, and reports
cite its digest. Every precision drop is a named edge: *round half up, then saturate* to that edge's
format, `requantize` in `ernn.ir.fixed_point`; nothing else rounds.  Sums are exact.

Arithmetic, with k the largest block size (`IntegerModel.block`), req(v -> F) the rounding above,
and every vector cut into words of k values, the last word filled with zeros:

*Spectrum of a signal.*  Each word w of a signal (integers in `Signal.format`) becomes k integers in
`Signal.spectrum`:

    v = w * 2**forward.guard
    for each stage: v = (matrix @ v + half) >> shift, row by row
    req(v -> spectrum)

where v carries `format.frac + forward.guard` fraction bits.  The order of a packed spectrum is
[X0, X(k/2), Re X1, Im X1, Re X2, ...]; k = 1 is [x].  A signal that is read in blocks of k / m has
m = `IntegerModel.parts`: number a of the word's block s takes place a*m + s before the transform.

*Product.*  For every gate, block row r: S = sum over operands and block columns c of W[gate, r, c]
(*) spectrum[c], where (*) multiplies bin by bin: bins X0 and X(k/2) real, the others complex.  All
operands of a product have the same fraction bits, weights' plus spectrum's, so S is an exact sum;
weights of fewer bits than others may end in zeros for that (`SpectralMatrix.zeros`), and a row's
weights, and so its sum, may have some more (`Product.exponents`):

    v = req(S -> rows)
    for each stage of `inverse`: as above
    out = req(v -> output)

where after the stages v carries `rows.frac + log2(k)` fraction bits (the inverse transform is not
divided by k, and its guard is 0).
A matrix of blocks of `kept` = k / m numbers (k, a smaller size, or 1: dense) has block rows of so
many matrix rows: numbers 0, m, 2m, ... of its inverse transform, the only ones that are kept (every
m-th number of a circulant convolution of k numbers is a sum of m convolutions of k / m).  A
repeated matrix I (x) G (x) I (`ernn.ir.kronecker`) is the dense matrix that it is short for; k is 1
then.
An operand with a delay d reads the spectrum of d frames before; before the first frame that is the
spectrum of the signal's initial values.

*Steps* (`ernn.ir.cell`), one after the other, a gate being its product plus its bias:

    v = req(sum of the step's terms -> the table's input), then the table (`ActivationTable`)
    v = req(sum of the step's terms -> the step's format), then max(v, 0) where it ends with relu

What a step reads with a delay is the frame before's, the initial value before the first.  Terms
of a sum with different fraction bits are aligned by exact left shifts before they are added.

No sum, aligned as above, can reach 2**62, whatever the input: checked in worst case when a model is
made.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import ceil, log2

import numpy as np

from ernn.ir.activations import EXACT
from ernn.ir.cell import Cell
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_parts import (
    MOST_BITS,
    ActivationTable,
    Operand,
    Product,
    Signal,
    SpectralMatrix,
    Transform,
    Units,
    require,
    require_fits,
)
from ernn.ir.kronecker import RepeatedMatrix
from ernn.ir.precision import Error

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class IntegerLayer:
    """A layer described by `cell`.

    inputs: names of signals, by the cell's `inputs`.
    products: in the cell's order.
    biases: in the same order, (gates, rows) in the product's output format; None where it has none.
    formats: of every step's values.
    vectors: in `vector_formats`.
    initial: by the cell's `remembered`, integers (length,) in the format of the step or input; None
        is zero.
    backward: over reversed time (software only).
    sizes: by the cell's `inputs`, the values of each.

    A step that products read, and every output, is a signal of the same format called
    '<layer>.<step>'.
    """

    name: str
    inputs: tuple[str, ...]
    cell: Cell
    products: tuple[Product, ...]
    biases: tuple[Array | None, ...]
    formats: tuple[FixedFormat, ...]
    vectors: tuple[Array, ...] = ()
    vector_formats: tuple[FixedFormat, ...] = ()
    initial: tuple[Array | None, ...] = ()
    backward: bool = False
    sizes: tuple[int, ...] = ()

    def signal(self, name: str) -> str:
        """The model's name for an input or a step."""
        if name in self.cell.inputs:
            return self.inputs[self.cell.inputs.index(name)]
        return f"{self.name}.{name}"

    @property
    def output(self) -> str:
        """The signal of its first output."""
        return self.signal(self.cell.outputs[0])

    @cached_property
    def lengths(self) -> dict[str, int]:
        """Length of every step and input."""
        cell = self.cell
        rows = {
            p.name: product.length for p, product in zip(cell.products, self.products, strict=True)
        }
        known = {name: len(vector) for name, vector in zip(cell.vectors, self.vectors, strict=True)}
        return cell.lengths(rows, known | dict(zip(cell.inputs, self.sizes, strict=False)))

    @cached_property
    def format_of(self) -> dict[str, FixedFormat]:
        """Format of every step's values and of every vector."""
        steps = zip((step.name for step in self.cell.steps), self.formats, strict=True)
        return dict(steps) | dict(zip(self.cell.vectors, self.vector_formats, strict=True))

    def product(self, name: str) -> tuple[Product, Array | None]:
        """A product of the cell and its bias."""
        names = [product.name for product in self.cell.products]
        return self.products[names.index(name)], self.biases[names.index(name)]

    def initial_value(self, name: str) -> Array:
        """Integers (length,) of a remembered step or input before the first frame."""
        values = dict(zip(self.cell.remembered, self.initial, strict=False)).get(name)
        return np.zeros(self.lengths[name], np.int64) if values is None else values


@dataclass(frozen=True, eq=False)
class IntegerModel:
    """A network in integers; see the module's docstring for what each part means.

    block: the block size k, the largest of all matrices; 1 where all are dense.
    signals: the first is the input.
    outputs: names of the signals that the user gets, one after the other.
    forward, inverse: transforms of words of k numbers.
    tables: one for each function that a step ends with, but those that are exact.
    last_step: the user gets the last frame's outputs only, not every frame's.
    error: how far it is from the floats, where that was measured.
    units: edges in other units than the network's; frames are multiplied before they are quantized.

    Raises UserError where parts do not fit together, or a sum may need more than 62 bits.
    """

    block: int
    signals: tuple[Signal, ...]
    layers: tuple[IntegerLayer, ...]
    outputs: tuple[str, ...]
    forward: Transform
    inverse: Transform
    tables: tuple[ActivationTable, ...]
    last_step: bool = False
    error: Error | None = None
    units: tuple[Units, ...] = ()

    def __post_init__(self) -> None:
        require(
            self.inverse.guard == 0,
            f"the inverse transform has no guard bits, not {self.inverse.guard}",
        )
        require(len(self.signals) > 0 and len(self.outputs) > 0, "a model has input and output")
        require(len(self._by_name) == len(self.signals), "two signals have the same name")
        for name in (*self.outputs, *(name for layer in self.layers for name in layer.inputs)):
            require(name in self._by_name, f"there is no signal {name!r}")
        for transform in (self.forward, self.inverse):
            sizes = {len(stage.shift) for stage in transform.stages} or {1}
            require(sizes == {self.block}, f"transforms of {sizes} for blocks of {self.block}")
        functions = [table.function for table in self.tables]
        require(len(set(functions)) == len(functions), "two tables have the same function")
        for layer in self.layers:
            for product in layer.products:
                self._check_product(product)
            _check_layer(self, layer)
        for one in (one for one in self.units if one.edge == self.input.name):
            length = len(one.exponents) * one.integers
            require(
                length == self.input.length,
                f"{self.input.name} has {self.input.length} values, its exponents are for {length}",
            )
        for signal in self.signals:
            if signal.spectrum is not None:
                _check_transform(
                    f"{signal.name}.spectrum", self.forward, signal.format, signal.spectrum, 0
                )

    @cached_property
    def matrices(self) -> tuple[SpectralMatrix | RepeatedMatrix, ...]:
        """Of all products, in their order."""
        products = (product for layer in self.layers for product in layer.products)
        return tuple(operand.matrix for product in products for operand in product.operands)

    @property
    def weight_bits(self) -> int:
        """Bits of a weight of the widest matrix, zeros at its end counted: those that the engine
        multiplies.
        """
        return max(matrix.format.width for matrix in self.matrices)

    @property
    def stored_weights(self) -> int:
        """Numbers of all matrices, filled up to whole words."""
        return sum(matrix.weights.size for matrix in self.matrices)

    @property
    def mean_bits(self) -> float:
        """Bits of a weight as it is stored, the mean over all matrices."""
        return sum(one.bits * one.weights.size for one in self.matrices) / self.stored_weights

    @property
    def repeated(self) -> tuple[Product, ...]:
        """Products with repeated matrices, which golden runs and no engine does."""
        products = (product for layer in self.layers for product in layer.products)
        return tuple(
            p for p in products if any(isinstance(o.matrix, RepeatedMatrix) for o in p.operands)
        )

    @property
    def slope_bits(self) -> int:
        """Bits of a slope of the tables' widest."""
        return max((table.slope_bits for table in self.tables), default=1)

    @cached_property
    def _table_of(self) -> dict[str, ActivationTable]:
        return {table.function: table for table in self.tables}

    def table(self, function: str | None) -> ActivationTable | None:
        """The table of a step's function; None where the function is exact, or none."""
        return self._table_of.get(str(function))

    @property
    def backward(self) -> tuple[IntegerLayer, ...]:
        """Layers that run over reversed time, which golden does and no engine."""
        return tuple(layer for layer in self.layers if layer.backward)

    def _check_product(self, product: Product) -> None:
        fracs = set()
        for operand in product.operands:
            signal = self.signal(operand.signal)
            require(
                signal.spectrum is not None,
                f"{product.name} reads {signal.name}, which has no spectrum",
            )
            require(
                operand.matrix.columns == signal.length,
                f"{product.name}: columns differ from {signal.name}",
            )
            require(
                operand.matrix.weights.shape[3] == self.block,
                f"{product.name} is not in blocks of {self.block}",
            )
            parts = self.parts[signal.name]
            require(
                product.kept in (1, self.block // parts),
                f"{product.name} reads {signal.name} in blocks of {product.kept}, others in blocks "
                f"of {self.block // parts}",
            )
            assert signal.spectrum is not None
            fracs.add(signal.spectrum.frac + operand.matrix.format.frac)
        require(
            len(fracs) == 1,
            f"operands of {product.name} have different fraction bits: {sorted(fracs)}",
        )
        for more in {0, product.most}:
            terms = [
                # 2 * columns real products an element of a complex bin
                FixedFormat(
                    min(
                        62, ceil(log2(2 * operand.matrix.weights.shape[2])) + _width(self, operand)
                    ),
                    frac + more,
                )
                for operand in product.operands
                for frac in fracs
            ]
            _check_sum(product.name, product.rows, terms)
        _check_transform(
            product.name, self.inverse, product.rows, product.output, self.block.bit_length() - 1
        )

    def exponents(self, edge: str) -> Array:
        """By number, the powers of two that an edge's numbers are multiplied with."""
        found = (one.exponents for one in self.units if one.edge == edge)
        return next(found, np.zeros(1, np.int64))

    @property
    def of_input(self) -> Units:
        """The units of a frame's numbers."""
        given = (one for one in self.units if one.edge == self.input.name)
        name, length = self.input.name, self.input.length
        return next(given, Units(name, np.zeros(length, np.int64)))

    @property
    def features(self) -> int:
        """Numbers that a frame has for the user."""
        return self.input.length // self.of_input.integers

    @cached_property
    def parts(self) -> dict[str, int]:
        """By signal that products read, of how many blocks its words consist: their numbers are
        taken by turns.
        """
        found: dict[str, int] = {}
        for product in (product for layer in self.layers for product in layer.products):
            for operand in product.operands:
                own = self.block // product.kept if product.kept > 1 else 1
                before = found.get(operand.signal, 1)
                found[operand.signal] = max(before, own)
        return found

    @cached_property
    def _by_name(self) -> dict[str, Signal]:
        return {signal.name: signal for signal in self.signals}

    def signal(self, name: str) -> Signal:
        return self._by_name[name]

    def product_frac(self, product: Product) -> int:
        """Fraction bits of a product's exact sum."""
        operand = product.operands[0]
        spectrum = self.signal(operand.signal).spectrum
        assert spectrum is not None
        return spectrum.frac + operand.matrix.format.frac

    @property
    def input(self) -> Signal:
        return self.signals[0]

    @property
    def results(self) -> tuple[Signal, ...]:
        """The signals that the user gets of a frame."""
        return tuple(self.signal(name) for name in self.outputs)

    @property
    def output_size(self) -> int:
        return sum(signal.length for signal in self.results)


_LIMIT = 1 << 62


def _times(a: FixedFormat, b: FixedFormat) -> FixedFormat:
    """The format of exact products."""
    return FixedFormat(a.width + b.width, a.frac + b.frac)


def _width(model: IntegerModel, operand: Operand) -> int:
    spectrum = model.signal(operand.signal).spectrum
    assert spectrum is not None
    return spectrum.width + operand.matrix.format.width


def _check_sum(edge: str, target: FixedFormat, terms: list[FixedFormat]) -> None:
    """No aligned sum of the terms reaches 2**62, nor does it when shifted to the target."""
    own = max(term.frac for term in terms)
    frac = max(target.frac, own)
    require(
        own - target.frac <= MOST_BITS and frac - min(term.frac for term in terms) <= MOST_BITS,
        f"{edge}: its terms, or their sum and its format, are {MOST_BITS} bits apart or more",
    )
    worst = sum(-term.low << (frac - term.frac) for term in terms)
    require(
        worst < _LIMIT,
        f"{edge}: a sum may need {worst.bit_length() + 1} bits, more than 62, because its terms "
        "differ too much in "
        "scale; use fewer data bits, or rescale the network's weights",
    )


def _check_transform(
    edge: str, transform: Transform, source: FixedFormat, target: FixedFormat, doublings: int
) -> None:
    """No value within the transform reaches 2**62, nor does its result shifted to the target."""
    k = len(transform.stages[0].shift) if transform.stages else 1
    bound = np.array([-source.low << transform.guard] * k, object)
    worst = max(bound)
    for stage in transform.stages:
        bound = np.abs(stage.matrix).astype(object) @ bound + [
            (1 << int(by)) >> 1 for by in stage.shift
        ]
        worst = max(worst, *bound)
        bound = (
            np.array([int(b) >> int(by) for b, by in zip(bound, stage.shift, strict=True)], object)
            + 1
        )
    left = target.frac - source.frac - transform.guard - doublings
    result = max(bound) << max(0, min(left, MOST_BITS))
    require(
        max(worst, result) < _LIMIT and -left <= MOST_BITS,
        f"{edge}: the transform may need more than 62 bits; use fewer data bits",
    )


_Sum = tuple[str, FixedFormat, list[FixedFormat]]


def _check_layer(model: IntegerModel, layer: IntegerLayer) -> None:
    for product, bias in zip(layer.products, layer.biases, strict=True):
        shape = (product.gates, product.length)
        _vector(f"{product.name}.bias", bias, shape, product.output)
    vectors = zip(layer.cell.vectors, layer.vectors, layer.vector_formats, strict=True)
    for name, vector, format in vectors:
        _vector(f"{layer.name}.{name}", vector, vector.shape, format)
    _check_reads(model, layer)
    _check_steps(model, layer)
    _check_initial(model, layer)
    for edge, target, terms in _sums(model, layer):
        _check_sum(edge, target, terms)


def _check_reads(model: IntegerModel, layer: IntegerLayer) -> None:
    """Inputs have the sizes of their signals, operands are those of the description."""
    sizes = tuple(model.signal(name).length for name in layer.inputs)
    require(layer.sizes == sizes, f"{layer.name} reads {sizes} values, not {layer.sizes}")
    for named, product in zip(layer.cell.products, layer.products, strict=True):
        wanted = [(layer.signal(read.name), read.delay) for read in named.reads]
        found = [(operand.signal, operand.delay) for operand in product.operands]
        require(found == wanted, f"{product.name} reads {found}, its description {wanted}")


def _check_steps(model: IntegerModel, layer: IntegerLayer) -> None:
    for step, format in zip(layer.cell.steps, layer.formats, strict=True):
        edge, table = f"{layer.name}.{step.name}", model.table(step.activation)
        if table is not None:
            require(
                format == table.output,
                f"{edge} has the format of the {step.activation} table, {table.output}",
            )
        exact = step.activation is None or step.activation in EXACT
        require(exact or table is not None, f"{edge}: no table of {step.activation}")
        if step.name in layer.cell.signals:
            signal = model.signal(edge)
            same = (signal.format, signal.length) == (format, layer.lengths[step.name])
            require(same, f"{edge} differs from its signal in format or length")


def _check_initial(model: IntegerModel, layer: IntegerLayer) -> None:
    for name, values in zip(layer.cell.remembered, layer.initial, strict=False):
        format = value_format(model, layer, name)
        _vector(f"{layer.name}, initial {name}", values, (layer.lengths[name],), format)


def value_format(model: IntegerModel, layer: IntegerLayer, name: str) -> FixedFormat:
    """Format of a step, a vector or an input of a layer."""
    if name in layer.cell.inputs:
        return model.signal(layer.signal(name)).format
    return layer.format_of[name]


def _vector(name: str, values: Array | None, shape: tuple[int, ...], format: FixedFormat) -> None:
    if values is not None:
        require(values.shape == shape, f"{name} must be {shape}, not {values.shape}")
        require_fits(name, values, format)


def _sums(model: IntegerModel, layer: IntegerLayer) -> Iterator[_Sum]:
    """Every step's edge, the format it is rounded to, and those of its terms."""
    for step, format in zip(layer.cell.steps, layer.formats, strict=True):
        terms: list[FixedFormat] = []
        for term in step.terms:
            gate = layer.cell.gate(term.factors[0].name)
            if gate is not None:
                terms += [layer.product(gate[0].name)[0].output] * (2 if gate[0].bias else 1)
                continue
            factors = [value_format(model, layer, read.name) for read in term.factors]
            terms.append(_times(*factors) if len(factors) == 2 else factors[0])
        table = model.table(step.activation)
        yield f"{layer.name}.{step.name}", table.input if table else format, terms
