"""The contract: a network as integers and decisions, never code.

The training side writes an `IntegerModel`, `golden` executes it, `rtl` elaborates it, and reports
cite its digest. Every precision drop is a named edge: *round half up, then saturate* to that edge's
format, `requantize` in `ernn.ir.fixed_point`; nothing else rounds.  Sums are exact.

Arithmetic, with k the block size (`IntegerModel.block`), req(v -> F) the rounding above, and every
vector cut into words of k values, the last word filled with zeros:

*Spectrum of a signal.*  Each word w of a signal (integers in `Signal.format`) becomes k integers in
`Signal.spectrum`:
    v = w * 2**forward.guard; for each stage: v = (matrix @ v + half) >> shift, row by row; req(v ->
    spectrum)
where v carries `format.frac + forward.guard` fraction bits.  The order of a packed spectrum is
[X0, X(k/2), Re X1, Im X1, Re X2, ...]; k = 1 is [x].

*Product.*  For every gate, block row r: S = sum over operands and block columns c of W[gate, r, c]
(*) spectrum[c], where (*) multiplies bin by bin: bins X0 and X(k/2) real, the others complex.  All
operands of a product have the same fraction bits, weights' plus spectrum's, so S is an exact sum.
Then
    v = req(S -> rows); for each stage of `inverse`: as above; out = req(v -> output)
where after the stages v carries `rows.frac + log2(k)` fraction bits (the inverse transform is not
divided by k, and its guard is 0). A matrix with kept = k is block-circulant and word r of a gate
holds its rows r*k .. r*k+k-1; with kept = 1 it is dense: each block row is one matrix row (the
block's weights are chosen so that element 0 of the inverse transform is that row times the
operand), and only element 0 is kept.  A repeated matrix I (x) G (x) I (`ernn.ir.kronecker`) is the
dense matrix that it is short for; k is 1 then.

*Activations* sigma(v), tanh(v): `ActivationTable`, on integers in `activation_input`.

*LSTM* (p: peepholes; gates i, f, g, o):
    i = sigma(req(P_i + b_i + p_i*c -> activation_input))     f likewise   g = tanh(req(P_g + b_g ->
    activation_input)) c' = req(f*c + i*g -> cell) o = sigma(req(P_o + b_o + p_o*c' ->
    activation_input)) m = req(o * tanh(req(c' -> activation_input)) -> cell_output)   and with a
    projection   y = req(P_y -> output)
*GRU*, reset "after":
    r = sigma(req(P_r + b_r)), z = sigma(req(P_z + b_z))
    u = req(Q + candidate_bias -> Q's format), Q = candidate product
    n = tanh(req(N + b_n + r*u -> activation_input)), N = candidate_input product
    h' = req(z*h - z*n + n -> output)
reset "before": s = req(r*h -> reset_state), n = tanh(req(Q + b_n)), Q over (x, s); h' as above.
*Linear*: y = req(P + b -> output).
*Described* (`ernn.ir.cell`): step after step, a gate being its product plus its bias,
    v = req(sum of the step's terms -> activation_input), then sigma or tanh; or
    v = req(sum of the step's terms -> the step's format), then max(v, 0) where its activation is
    relu.
What a step reads before it is written is the frame before's.
*Bidirectional*: both directions' outputs and the joined one have the same format; nothing is
rounded in joining. Terms of a sum with different fraction bits are aligned by exact left shifts
before they are added.

No sum, aligned as above, can reach 2**62, whatever the input: checked in worst case when a model is
made.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import ceil, log2

import numpy as np

from ernn.errors import UserError
from ernn.ir.cell import INPUT, Cell
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.kronecker import RepeatedMatrix
from ernn.ir.network import ResetGate

Array = np.ndarray


def _require(ok: bool, message: str) -> None:
    if not ok:
        raise UserError(message)


def _fits(name: str, values: Array, target: FixedFormat) -> None:
    _require(values.dtype == np.int64, f"{name} must be int64, not {values.dtype}")
    if values.size:
        low, high = int(values.min()), int(values.max())
        _require(
            target.low <= low and high <= target.high,
            f"{name} holds {low}..{high}, outside {target.width} bits",
        )


@dataclass(frozen=True, eq=False)
class Stage:
    """One step of a transform: v -> (matrix @ v + half) >> shift, row by row; matrix (k, k), shift
    (k,), int64.
    """

    matrix: Array
    shift: Array


@dataclass(frozen=True, eq=False)
class Transform:
    """A real FFT of size k, or its inverse, as integer stages; `guard`: fraction bits added before
    the first stage.
    """

    stages: tuple[Stage, ...]
    guard: int


@dataclass(frozen=True)
class Signal:
    """A vector of the network: `length` integers in `format`; `spectrum` where a product reads
    it.
    """

    name: str
    length: int
    format: FixedFormat
    spectrum: FixedFormat | None = None


@dataclass(frozen=True, eq=False)
class SpectralMatrix:
    """Weights (gates, block rows, block columns, k), packed spectra in `format`; sizes are the
    logical ones.

    kept = k: block-circulant, ceil(rows / k) block rows a gate. kept = 1: dense, `rows` block rows
    a gate.
    """

    weights: Array
    format: FixedFormat
    rows: int
    columns: int
    kept: int

    def __post_init__(self) -> None:
        _fits("a weight bank", self.weights, self.format)
        _, block_rows, block_columns, k = self.weights.shape
        _require(self.kept in (1, k), f"kept must be 1 or {k}, not {self.kept}")
        _require(
            block_rows == ceil(self.rows / self.kept),
            f"{self.rows} rows need {ceil(self.rows / self.kept)} blocks",
        )
        _require(
            block_columns == ceil(self.columns / k),
            f"{self.columns} columns need {ceil(self.columns / k)} blocks",
        )

    @property
    def gates(self) -> int:
        return self.weights.shape[0]

    @property
    def block_rows(self) -> int:
        return self.weights.shape[1]


@dataclass(frozen=True, eq=False)
class Operand:
    """One term of a product: a matrix times the spectrum of the signal named."""

    signal: str
    matrix: SpectralMatrix | RepeatedMatrix


@dataclass(frozen=True, eq=False)
class Product:
    """Sum of operands; `rows`: the summed spectrum's format before the inverse transform; `output`:
    after it.
    """

    name: str
    operands: tuple[Operand, ...]
    rows: FixedFormat
    output: FixedFormat

    def __post_init__(self) -> None:
        shapes = {(o.matrix.gates, o.matrix.rows, o.matrix.kept) for o in self.operands}
        _require(
            len(shapes) == 1,
            f"operands of {self.name} differ in (gates, rows, kept): {sorted(shapes)}",
        )

    @property
    def gates(self) -> int:
        return self.operands[0].matrix.gates

    @property
    def length(self) -> int:
        """Rows of one gate."""
        return self.operands[0].matrix.rows

    @property
    def block_rows(self) -> int:
        return self.operands[0].matrix.block_rows

    @property
    def block_columns(self) -> int:
        """Block columns of all operands together."""
        return sum(operand.matrix.weights.shape[2] for operand in self.operands)

    @property
    def kept(self) -> int:
        return self.operands[0].matrix.kept


@dataclass(frozen=True, eq=False)
class ActivationTable:
    """Piecewise-linear function on 2**segment_bits equal segments of its input format's whole
    range.

    For v in `input`: u = v - input.low; s = u >> low_bits, l = u & (2**low_bits - 1), low_bits =
    width - segment_bits; result = saturate((base[s] * 2**slope_shift + slope[s] * l + half) >>
    slope_shift) in `output` (half = 2**(slope_shift - 1), or 0 where slope_shift = 0). `max_error`
    is the largest distance from the true function over every input integer, in real units.
    """

    function: str
    input: FixedFormat
    output: FixedFormat
    segment_bits: int
    slope_shift: int
    base: Array
    slope: Array
    max_error: float

    def __post_init__(self) -> None:
        _fits(f"{self.function} base", self.base, self.output)
        _require(
            self.base.shape == self.slope.shape == (1 << self.segment_bits,),
            "one base and slope a segment",
        )

    @property
    def slope_bits(self) -> int:
        """Bits of a signed integer that hold every slope."""
        return int(abs(self.slope).max()).bit_length() + 1


@dataclass(frozen=True, eq=False)
class IntegerLstm:
    """LSTM layer. `cell_output` is `output` without a projection. `bias` (4, hidden) in
    `gates.output`'s format; `peephole` (3, hidden: i, f, o) in `peephole_format`; initial states in
    their edges' formats, None is zero."""

    name: str
    input: str
    cell_output: str
    output: str
    gates: Product
    bias: Array
    cell: FixedFormat
    projection: Product | None = None
    peephole: Array | None = None
    peephole_format: FixedFormat | None = None
    initial_output: Array | None = None
    initial_cell: Array | None = None

    @property
    def products(self) -> tuple[Product, ...]:
        return (self.gates,) + ((self.projection,) if self.projection else ())

    @property
    def hidden_size(self) -> int:
        return self.gates.length


@dataclass(frozen=True, eq=False)
class IntegerGru:
    """GRU layer. `gates`: r, z over (input, output). reset "after": `candidate_input` over the
    input, `candidate` over the output, with `candidate_bias` (hidden,) in `candidate.output`'s
    format; "before": `candidate` over (input, `reset_state`), the others None.  `bias` (3, hidden):
    r, z in `gates.output`; n in the format of `candidate_input.output` ("after") or
    `candidate.output` ("before")."""

    name: str
    input: str
    output: str
    reset: ResetGate
    gates: Product
    candidate: Product
    bias: Array
    candidate_input: Product | None = None
    candidate_bias: Array | None = None
    reset_state: str | None = None
    initial_output: Array | None = None

    @property
    def products(self) -> tuple[Product, ...]:
        middle = (self.candidate_input,) if self.candidate_input else ()
        return (self.gates, *middle, self.candidate)

    @property
    def hidden_size(self) -> int:
        return self.gates.length


@dataclass(frozen=True, eq=False)
class IntegerLinear:
    """y = req(product + bias); `bias` (outputs,) in `product.output`'s format."""

    name: str
    input: str
    output: str
    product: Product
    bias: Array

    @property
    def products(self) -> tuple[Product, ...]:
        return (self.product,)


@dataclass(frozen=True, eq=False)
class IntegerBidirectional:
    """Two layers over the same input, the second in reversed time; `output` joins their outputs.
    Software only.
    """

    name: str
    input: str
    output: str
    forward: IntegerLstm | IntegerGru
    backward: IntegerLstm | IntegerGru

    @property
    def products(self) -> tuple[Product, ...]:
        return self.forward.products + self.backward.products


@dataclass(frozen=True, eq=False)
class IntegerCell:
    """A layer described by `cell`. `products` and `biases` (gates, rows), in their product's output
    format, in the cell's order; `vectors` in `vector_formats`; `formats`: of every step's values.
    A step that products read, and the output, is a signal of the same format called
    '<layer>.<step>'."""

    name: str
    input: str
    output: str
    cell: Cell
    products: tuple[Product, ...]
    biases: tuple[Array | None, ...]
    formats: tuple[FixedFormat, ...]
    vectors: tuple[Array, ...] = ()
    vector_formats: tuple[FixedFormat, ...] = ()

    def signal(self, name: str) -> str:
        """The model's name for what a product of the cell reads."""
        return self.input if name == INPUT else f"{self.name}.{name}"

    @cached_property
    def lengths(self) -> dict[str, int]:
        """Length of every step."""
        rows = {
            named.name: product.length
            for named, product in zip(self.cell.products, self.products, strict=True)
        }
        vectors = {
            name: len(vector) for name, vector in zip(self.cell.vectors, self.vectors, strict=True)
        }
        return self.cell.lengths(rows, vectors)

    @cached_property
    def format_of(self) -> dict[str, FixedFormat]:
        """Format of every step's values and of every vector."""
        steps = zip((step.name for step in self.cell.steps), self.formats, strict=True)
        return dict(steps) | dict(zip(self.cell.vectors, self.vector_formats, strict=True))

    def product(self, name: str) -> tuple[Product, Array | None]:
        """A product of the cell and its bias."""
        names = [product.name for product in self.cell.products]
        return self.products[names.index(name)], self.biases[names.index(name)]


IntegerLayer = IntegerLstm | IntegerGru | IntegerLinear | IntegerBidirectional | IntegerCell


@dataclass(frozen=True, eq=False)
class IntegerModel:
    """A network in integers; see the module's docstring for what each part means.

    `signals[0]` is the input; the last layer's output is the model's.
    """

    block: int
    signals: tuple[Signal, ...]
    layers: tuple[IntegerLayer, ...]
    forward: Transform
    inverse: Transform
    activation_input: FixedFormat
    sigmoid: ActivationTable
    tanh: ActivationTable
    last_step: bool = False

    def __post_init__(self) -> None:
        _require(
            self.inverse.guard == 0,
            f"the inverse transform has no guard bits, not {self.inverse.guard}",
        )
        _require(len(self._by_name) == len(self.signals), "two signals have the same name")
        for table in (self.sigmoid, self.tanh):
            _require(
                table.input == self.activation_input,
                f"{table.function} does not read activation_input",
            )
        for layer in self.layers:
            for product in layer.products:
                self._check_product(product)
            _check_layer(self, layer)
        for signal in self.signals:
            if signal.spectrum is not None:
                _check_transform(
                    f"{signal.name}.spectrum", self.forward, signal.format, signal.spectrum, 0
                )

    @property
    def weight_bits(self) -> int:
        """Bits of a weight of the widest matrix: those of a weight in the engine's banks."""
        return max(
            o.matrix.format.width
            for layer in self.layers
            for p in layer.products
            for o in p.operands
        )

    @property
    def repeated(self) -> tuple[Product, ...]:
        """Products with repeated matrices, which golden runs and no engine does."""
        products = (product for layer in self.layers for product in layer.products)
        return tuple(
            p for p in products if any(isinstance(o.matrix, RepeatedMatrix) for o in p.operands)
        )

    @property
    def slope_bits(self) -> int:
        """Bits of a slope of either activation table."""
        return max(self.sigmoid.slope_bits, self.tanh.slope_bits)

    def _check_product(self, product: Product) -> None:
        fracs = set()
        for operand in product.operands:
            signal = self.signal(operand.signal)
            _require(
                signal.spectrum is not None,
                f"{product.name} reads {signal.name}, which has no spectrum",
            )
            _require(
                operand.matrix.columns == signal.length,
                f"{product.name}: columns differ from {signal.name}",
            )
            _require(
                operand.matrix.weights.shape[3] == self.block,
                f"{product.name} is not in blocks of {self.block}",
            )
            assert signal.spectrum is not None
            fracs.add(signal.spectrum.frac + operand.matrix.format.frac)
        _require(
            len(fracs) == 1,
            f"operands of {product.name} have different fraction bits: {sorted(fracs)}",
        )
        terms = [
            # 2 * columns real products an element of a complex bin
            FixedFormat(
                min(62, ceil(log2(2 * operand.matrix.weights.shape[2])) + _width(self, operand)),
                frac,
            )
            for operand in product.operands
            for frac in fracs
        ]
        _check_sum(product.name, product.rows, terms)
        _check_transform(
            product.name, self.inverse, product.rows, product.output, self.block.bit_length() - 1
        )

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
    def output(self) -> Signal:
        return self.signal(self.layers[-1].output)


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
    frac = max(target.frac, *[term.frac for term in terms])
    worst = sum(-term.low << (frac - term.frac) for term in terms)
    _require(
        worst < _LIMIT,
        f"{edge}: a sum may need {worst.bit_length() + 1} bits, more than 62, because its terms "
        "differ too much in "
        "scale; use fewer data bits, or rescale the network's weights",
    )


def _check_transform(
    edge: str, transform: Transform, source: FixedFormat, target: FixedFormat, doublings: int
) -> None:
    """No intermediate value of the transform reaches 2**62, nor does its result when shifted to the
    target.
    """
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
    result = max(bound) << max(0, target.frac - source.frac - transform.guard - doublings)
    _require(
        max(worst, result) < _LIMIT,
        f"{edge}: the transform may need more than 62 bits; use fewer data bits",
    )


_Sum = tuple[str, FixedFormat, list[FixedFormat]]


def _check_layer(model: IntegerModel, layer: IntegerLayer) -> None:
    sums: Iterator[_Sum] = iter(())
    match layer:
        case IntegerLstm():
            _check_lstm(model, layer)
            sums = _lstm_sums(model, layer)
        case IntegerGru():
            _check_gru(model, layer)
            sums = _gru_sums(model, layer)
        case IntegerLinear():
            _vector(f"{layer.name}.bias", layer.bias, (layer.product.length,), layer.product.output)
            output = layer.product.output
            sums = iter([(layer.output, model.signal(layer.output).format, [output, output])])
        case IntegerBidirectional():
            _check_bidirectional(model, layer)
        case IntegerCell():
            _check_cell(model, layer)
            sums = _cell_sums(model, layer)
    for edge, target, terms in sums:
        _check_sum(edge, target, terms)


def _vector(
    name: str, values: Array | None, shape: tuple[int, ...], format: FixedFormat | None
) -> None:
    if values is None:
        return
    _require(values.shape == shape, f"{name} must be {shape}, not {values.shape}")
    _require(format is not None, f"{name} has no format")
    assert format is not None
    _fits(name, values, format)


def _check_lstm(model: IntegerModel, layer: IntegerLstm) -> None:
    name, hidden, output = layer.name, layer.hidden_size, model.signal(layer.output)
    _vector(f"{name}.bias", layer.bias, (4, hidden), layer.gates.output)
    _vector(f"{name}.peephole", layer.peephole, (3, hidden), layer.peephole_format)
    _vector(f"{name}.initial_output", layer.initial_output, (output.length,), output.format)
    _vector(f"{name}.initial_cell", layer.initial_cell, (hidden,), layer.cell)
    same = layer.projection is not None or layer.cell_output == layer.output
    _require(same, f"{name} has no projection, so its cell output is its output")


def _check_gru(model: IntegerModel, layer: IntegerGru) -> None:
    name, hidden, output = layer.name, layer.hidden_size, model.signal(layer.output)
    after = (
        layer.candidate_input is not None,
        layer.candidate_bias is not None,
        layer.reset_state is None,
    )
    _require(
        set(after) == {layer.reset == "after"},
        f"{name}: parts do not belong to reset {layer.reset!r}",
    )
    _vector(f"{name}.bias", layer.bias[:2], (2, hidden), layer.gates.output)
    last = layer.candidate_input or layer.candidate
    _vector(f"{name}.bias", layer.bias[2:], (1, hidden), last.output)
    _vector(f"{name}.candidate_bias", layer.candidate_bias, (hidden,), layer.candidate.output)
    _vector(f"{name}.initial_output", layer.initial_output, (output.length,), output.format)


def _check_bidirectional(model: IntegerModel, layer: IntegerBidirectional) -> None:
    parts = [model.signal(part.output) for part in (layer.forward, layer.backward)]
    joined = model.signal(layer.output)
    _require(
        {part.format for part in parts} == {joined.format},
        f"{layer.name}: directions differ in format",
    )
    _require(
        sum(part.length for part in parts) == joined.length, f"{layer.name}: lengths do not add up"
    )
    for part in (layer.forward, layer.backward):
        _check_layer(model, part)


def _check_cell(model: IntegerModel, layer: IntegerCell) -> None:
    for product, bias in zip(layer.products, layer.biases, strict=True):
        _vector(f"{product.name}.bias", bias, (product.gates, product.length), product.output)
    for name, vector, format in zip(
        layer.cell.vectors, layer.vectors, layer.vector_formats, strict=True
    ):
        _vector(f"{layer.name}.{name}", vector, vector.shape, format)
    for step, format in zip(layer.cell.steps, layer.formats, strict=True):
        edge = f"{layer.name}.{step.name}"
        if step.activation in ("sigmoid", "tanh"):
            table = model.sigmoid if step.activation == "sigmoid" else model.tanh
            _require(
                format == table.output,
                f"{edge} has the format of the {step.activation} table, {table.output}",
            )
        if step.name in layer.cell.signals:
            signal = model.signal(edge)
            same = (signal.format, signal.length) == (format, layer.lengths[step.name])
            _require(same, f"{edge} differs from its signal in format or length")
    _require(
        layer.output == layer.signal(layer.cell.output),
        f"{layer.name} gives out {layer.cell.output}",
    )


def _cell_sums(model: IntegerModel, layer: IntegerCell) -> Iterator[_Sum]:
    for step, format in zip(layer.cell.steps, layer.formats, strict=True):
        terms: list[FixedFormat] = []
        for term in step.terms:
            gate = layer.cell.gate(term.factors[0])
            if gate is not None:
                terms += [layer.product(gate[0].name)[0].output] * (2 if gate[0].bias else 1)
                continue
            factors = [layer.format_of[name] for name in term.factors]
            terms.append(_times(*factors) if len(factors) == 2 else factors[0])
        target = model.activation_input if step.activation in ("sigmoid", "tanh") else format
        yield f"{layer.name}.{step.name}", target, terms


def _lstm_sums(model: IntegerModel, layer: IntegerLstm) -> Iterator[_Sum]:
    gate, cell, name = layer.gates.output, layer.cell, layer.name
    peephole = [] if layer.peephole_format is None else [_times(layer.peephole_format, cell)]
    yield f"{name}.i", model.activation_input, [gate, gate, *peephole]
    yield (
        f"{name}.c",
        cell,
        [_times(model.sigmoid.output, cell), _times(model.sigmoid.output, model.tanh.output)],
    )
    yield f"{name}.t", model.activation_input, [cell]
    m = _times(model.sigmoid.output, model.tanh.output)
    yield layer.cell_output, model.signal(layer.cell_output).format, [m]
    if layer.projection is not None:
        yield layer.output, model.signal(layer.output).format, [layer.projection.output]


def _gru_sums(model: IntegerModel, layer: IntegerGru) -> Iterator[_Sum]:
    gate, name, sigmoid, tanh = (
        layer.gates.output,
        layer.name,
        model.sigmoid.output,
        model.tanh.output,
    )
    h, candidate = model.signal(layer.output).format, layer.candidate.output
    yield f"{name}.r", model.activation_input, [gate, gate]
    if layer.candidate_input is not None:
        from_input = layer.candidate_input.output
        yield f"{name}.u", candidate, [candidate, candidate]
        yield (
            f"{name}.n",
            model.activation_input,
            [from_input, from_input, _times(sigmoid, candidate)],
        )
    elif layer.reset_state is not None:
        yield layer.reset_state, model.signal(layer.reset_state).format, [_times(sigmoid, h)]
        yield f"{name}.n", model.activation_input, [candidate, candidate]
    yield layer.output, h, [_times(sigmoid, h), _times(sigmoid, tanh), tanh]
