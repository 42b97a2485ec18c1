"""A trained `Network` to an `IntegerModel`: every format chosen from ranges observed on calibration frames.

Scales are powers of two. Each format has the most fraction bits with which the largest observed absolute value, times
`headroom`, does not saturate; weights, biases, peepholes and initial states are known and never saturate.  The values
of h, m and r*h that cannot leave [-1, 1] are given the range +-1 at most (1.0 itself becomes the largest integer).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ernn.calibrate import Range, calibrate, range_of
from ernn.circulant import decode_blocks, encode_blocks
from ernn.errors import UserError
from ernn.fixed import FixedFormat
from ernn.fixed import quantize as to_integers
from ernn.integer_model import (
    IntegerBidirectional,
    IntegerGru,
    IntegerLayer,
    IntegerLinear,
    IntegerLstm,
    IntegerModel,
)
from ernn.network import BidirectionalLayer, GruLayer, Layer, LinearLayer, LstmLayer, Matrix, Network
from ernn.scales import OperandDraft, ProductDraft, SignalDraft, balance, fit
from ernn.structure import BlockCirculant
from ernn.tables import activation_table
from ernn.transform import forward_transform, inverse_transform, packed_rfft

Array = np.ndarray


@dataclass(frozen=True)
class QuantizeSpec:
    """Bit widths. `data_bits`: signals, spectra, product outputs, states, activations; twiddles have data_bits - 2
    fraction bits.  `guard`: fraction bits added inside the forward transform.  `segment_bits`: at most 2**segment_bits
    segments an activation.  `headroom`: factor on every observed range.  Raises UserError outside the ranges below."""

    weight_bits: int = 12
    data_bits: int = 16
    segment_bits: int = 8
    guard: int = 2
    headroom: float = 1.25

    def __post_init__(self) -> None:
        allowed = {"weight_bits": (4, 18), "data_bits": (4, 18), "segment_bits": (2, 12), "guard": (0, 4)}
        for name, (low, high) in allowed.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UserError(f"{name} must be {low}..{high}, not {value}")
        if not 1 <= self.headroom <= 16:
            raise UserError(f"headroom must be 1..16, not {self.headroom}")

    @property
    def twiddle_bits(self) -> int:
        return self.data_bits - 2


def quantize(network: Network, calibration: Sequence[Array], spec: QuantizeSpec = QuantizeSpec()) -> IntegerModel:
    """The network in integers.

    `calibration`: typical utterances, (time, inputs) each, from training data.  Raises UserError where block-circulant
    matrices differ in block size, a matrix does not have the structure it claims, or there is nothing to calibrate on.
    """
    block = common_block(network)
    builder = _Builder(spec, block, calibrate(network, calibration, block))
    finishers = builder.draft(network)
    balance(builder.products)
    layers = tuple(finish() for finish in finishers)
    steps = FixedFormat(spec.data_bits, spec.data_bits - 4)
    values = FixedFormat(spec.data_bits, spec.data_bits - 2)
    return IntegerModel(
        block,
        tuple(signal.finish() for signal in builder.signals),
        layers,
        forward_transform(block, spec.twiddle_bits, spec.guard),
        inverse_transform(block, spec.twiddle_bits),
        steps,
        activation_table("sigmoid", steps, values, spec.segment_bits),
        activation_table("tanh", steps, values, spec.segment_bits),
        network.last_step,
    )


def common_block(network: Network) -> int:
    """The block size of all block-circulant matrices; 1 where all are dense. Raises UserError where they differ."""
    structures = [matrix.structure for layer in network.layers for matrix in layer.matrices]
    blocks = sorted({s.block for s in structures if isinstance(s, BlockCirculant)})
    if len(blocks) > 1:
        raise UserError(
            f"one accelerator has one block size, but this network has blocks of {blocks}: compress all layers with "
            "the same block size, or leave a layer dense"
        )
    return blocks[0] if blocks else 1


def _largest(*arrays: Array | None) -> float:
    return max((float(np.abs(array).max(initial=0)) for array in arrays if array is not None), default=0.0)


@dataclass(frozen=True)
class _Place:
    """Where a layer is: the prefix of its edges' names in the model, and how the reference names them."""

    name: str
    index: int
    prefix: str = ""


class _Builder:
    """Collects signals and products; layers are finished once all scales are settled."""

    def __init__(self, spec: QuantizeSpec, block: int, ranges: dict[tuple[int, str], Range]) -> None:
        self.spec = spec
        self.block = block
        self.ranges = ranges
        self.signals: list[SignalDraft] = []
        self.products: list[ProductDraft] = []

    def draft(self, network: Network) -> list[Callable[[], IntegerLayer]]:
        seen, finishers = self._range(_Place("", 0), "input"), []
        signal = self._signal("x", network.input_size, seen, self._format(seen.value))
        for index, layer in enumerate(network.layers):
            place = _Place(f"l{index}", index)
            signal, finish = self._layer(layer, place, signal)
            finishers.append(finish)
        return finishers

    def _layer(self, layer: Layer, place: _Place, input: SignalDraft) -> tuple[SignalDraft, Callable[[], IntegerLayer]]:
        match layer:
            case LstmLayer() | GruLayer():
                return self._recurrent(layer, place, input)
            case LinearLayer():
                return self._linear(layer, place, input)
            case BidirectionalLayer():
                return self._bidirectional(layer, place, input)

    def _range(self, place: _Place, edge: str) -> Range:
        return self.ranges.get((place.index, place.prefix + edge), Range())

    def _output_range(self, place: _Place, edge: str, *states: Array | None) -> Range:
        """Range of a layer's output: as it makes it, as the next layer reads it, and before the first frame."""
        seen = self._range(place, edge)
        if not place.prefix:
            seen = seen.joined(self._range(_Place("", place.index + 1), "input"))
        for state in states:
            if state is not None:
                seen = seen.joined(range_of(state, self.block))
        return seen

    def _format(self, seen: float, known: float = 0.0) -> FixedFormat:
        """For values observed up to `seen` and constants up to `known`."""
        return fit(max(seen * self.spec.headroom, known), self.spec.data_bits)

    def _signal(self, name: str, length: int, seen: Range, format: FixedFormat, read: bool = True) -> SignalDraft:
        width = self.spec.data_bits
        frac = min(self._format(seen.spectrum).frac, format.frac + self.spec.guard)
        spectrum = FixedFormat(width, frac) if read else None
        signal = SignalDraft(name, length, format, spectrum, max(0, width - self.spec.weight_bits))
        self.signals.append(signal)
        return signal

    def _bounded(self, seen: Range, known: float = 0.0) -> FixedFormat:
        """For values that cannot leave [-1, 1], constants up to `known` apart."""
        one = 1 - 2.0 ** (1 - self.spec.data_bits)
        return fit(max(min(seen.value * self.spec.headroom, one), known), self.spec.data_bits)

    def _product(self, name: str, operands: Sequence[tuple[SignalDraft, Matrix]], output: FixedFormat) -> ProductDraft:
        product = ProductDraft(name, tuple(self._operand(*operand) for operand in operands), output)
        self.products.append(product)
        return product

    def _operand(self, signal: SignalDraft, matrix: Matrix) -> OperandDraft:
        weights = packed_rfft(_blocks(matrix, self.block))
        kept = self.block if isinstance(matrix.structure, BlockCirculant) else 1
        width = self.spec.weight_bits
        return OperandDraft(signal, weights, fit(_largest(weights), width), matrix.rows, matrix.columns, kept)

    def _recurrent_output(self, layer: LstmLayer | GruLayer, place: _Place) -> tuple[Range, FixedFormat]:
        known = _largest(layer.initial_output)
        seen = self._output_range(place, "h", layer.initial_output)
        projected = isinstance(layer, LstmLayer) and layer.projection is not None
        return seen, self._format(seen.value, known) if projected else self._bounded(seen, known)

    def _recurrent(
        self, layer: LstmLayer | GruLayer, place: _Place, input: SignalDraft, format: FixedFormat | None = None
    ) -> tuple[SignalDraft, Callable[[], IntegerLstm | IntegerGru]]:
        """Draft a layer; its output in `format` where that is given."""
        seen, own = self._recurrent_output(layer, place)
        output = self._signal(f"{place.name}.h", layer.output_size, seen, format or own)
        if isinstance(layer, LstmLayer):
            return output, self._lstm(layer, place, input, output)
        return output, self._gru(layer, place, input, output)

    def _lstm(
        self, layer: LstmLayer, place: _Place, input: SignalDraft, output: SignalDraft
    ) -> Callable[[], IntegerLstm]:
        name, width = place.name, self.spec.data_bits
        cell = self._format(self._range(place, "c").value, _largest(layer.initial_cell))
        inner = output
        if layer.projection is not None:
            seen = self._range(place, "m")
            inner = self._signal(f"{name}.m", layer.hidden_size, seen, self._bounded(seen))
        gates = self._product(
            f"{name}.gates",
            [(input, layer.input_weight), (output, layer.recurrent_weight)],
            self._format(self._range(place, "gates").value, _largest(layer.bias)),
        )
        projection = layer.projection and self._product(
            f"{name}.projection", [(inner, layer.projection)], output.format
        )
        peephole = None if layer.peephole is None else fit(_largest(layer.peephole), width)

        def finish() -> IntegerLstm:
            return IntegerLstm(
                name,
                input.name,
                inner.name,
                output.name,
                gates.finish(),
                to_integers(layer.bias, gates.output),
                cell,
                projection and projection.finish(),
                _integers(layer.peephole, peephole),
                peephole,
                _integers(layer.initial_output, output.format),
                _integers(layer.initial_cell, cell),
            )

        return finish

    def _gru(self, layer: GruLayer, place: _Place, input: SignalDraft, output: SignalDraft) -> Callable[[], IntegerGru]:
        gates = self._product(
            f"{place.name}.gates",
            [(input, _part(layer.input_weight, 0, 2)), (output, _part(layer.recurrent_weight, 0, 2))],
            self._format(self._range(place, "rz").value, _largest((layer.input_bias + layer.recurrent_bias)[:2])),
        )
        make = self._after if layer.reset == "after" else self._before
        return make(layer, place, input, output, gates)

    def _after(
        self, layer: GruLayer, place: _Place, input: SignalDraft, output: SignalDraft, gates: ProductDraft
    ) -> Callable[[], IntegerGru]:
        from_input = self._product(
            f"{place.name}.candidate_input",
            [(input, _part(layer.input_weight, 2, 3))],
            self._format(self._range(place, "nx").value, _largest(layer.input_bias[2])),
        )
        biased = self._range(place, "nh").value + _largest(layer.recurrent_bias[2])
        candidate = self._product(
            f"{place.name}.candidate", [(output, _part(layer.recurrent_weight, 2, 3))], self._format(biased)
        )
        both = layer.input_bias[:2] + layer.recurrent_bias[:2]

        def finish() -> IntegerGru:
            return IntegerGru(
                place.name,
                input.name,
                output.name,
                "after",
                gates.finish(),
                candidate.finish(),
                np.concatenate([to_integers(both, gates.output), to_integers(layer.input_bias[2:], from_input.output)]),
                candidate_input=from_input.finish(),
                candidate_bias=to_integers(layer.recurrent_bias[2], candidate.output),
                initial_output=_integers(layer.initial_output, output.format),
            )

        return finish

    def _before(
        self, layer: GruLayer, place: _Place, input: SignalDraft, output: SignalDraft, gates: ProductDraft
    ) -> Callable[[], IntegerGru]:
        bias = layer.input_bias + layer.recurrent_bias
        seen = self._range(place, "rh")
        reset = self._signal(f"{place.name}.s", layer.hidden_size, seen, self._bounded(seen))
        candidate = self._product(
            f"{place.name}.candidate",
            [(input, _part(layer.input_weight, 2, 3)), (reset, _part(layer.recurrent_weight, 2, 3))],
            self._format(self._range(place, "n").value, _largest(bias[2])),
        )

        def finish() -> IntegerGru:
            return IntegerGru(
                place.name,
                input.name,
                output.name,
                "before",
                gates.finish(),
                candidate.finish(),
                np.concatenate([to_integers(bias[:2], gates.output), to_integers(bias[2:], candidate.output)]),
                reset_state=reset.name,
                initial_output=_integers(layer.initial_output, output.format),
            )

        return finish

    def _linear(
        self, layer: LinearLayer, place: _Place, input: SignalDraft
    ) -> tuple[SignalDraft, Callable[[], IntegerLinear]]:
        seen, read = self._output_range(place, "output"), (place.index + 1, "input") in self.ranges
        output = self._signal(f"{place.name}.h", layer.output_size, seen, self._format(seen.value), read)
        product = self._product(
            f"{place.name}.product",
            [(input, layer.weight)],
            self._format(self._range(place, "y").value, _largest(layer.bias)),
        )

        def finish() -> IntegerLinear:
            bias = to_integers(layer.bias, product.output)
            return IntegerLinear(place.name, input.name, output.name, product.finish(), bias)

        return output, finish

    def _bidirectional(
        self, layer: BidirectionalLayer, place: _Place, input: SignalDraft
    ) -> tuple[SignalDraft, Callable[[], IntegerBidirectional]]:
        parts = [
            (part, _Place(f"{place.name}.{way}", place.index, f"{way}."))
            for way, part in (("forward", layer.forward), ("backward", layer.backward))
        ]
        frac = min(self._recurrent_output(*part)[1].frac for part in parts)
        format = FixedFormat(self.spec.data_bits, frac)
        (_, forward), (_, backward) = [self._recurrent(*part, input, format) for part in parts]
        seen, read = self._output_range(place, "h"), (place.index + 1, "input") in self.ranges
        output = self._signal(f"{place.name}.h", layer.output_size, seen, format, read)

        def finish() -> IntegerBidirectional:
            return IntegerBidirectional(place.name, input.name, output.name, forward(), backward())

        return output, finish


def _part(matrix: Matrix, first: int, last: int) -> Matrix:
    return Matrix(matrix.value[first:last], matrix.structure)


def _integers(values: Array | None, format: FixedFormat | None) -> Array | None:
    return None if values is None or format is None else to_integers(values, format)


def _blocks(matrix: Matrix, block: int) -> Array:
    """First columns (gates, block rows, block columns, block) whose product with words is the matrix's.

    Of a dense matrix, each row is element 0 of a circulant block's product: y_0 = sum_b w[-b mod block] x_b.
    """
    if not isinstance(matrix.structure, BlockCirculant):
        gates, rows, columns = matrix.value.shape
        padded = np.pad(matrix.value, [(0, 0), (0, 0), (0, -columns % block)])
        return padded.reshape(gates, rows, -1, block)[..., -np.arange(block) % block]
    blocks = encode_blocks(matrix.value, block)
    off = float(np.abs(decode_blocks(blocks, matrix.rows, matrix.columns) - matrix.value).max(initial=0))
    if off > 1e-5 * max(1e-30, _largest(matrix.value)):
        raise UserError(
            f"a matrix {matrix.value.shape} said to be in circulant blocks of {block} is not (by {off:.2g}): "
            "project it first"
        )
    return blocks
