"""What a network's layers are built from while its scales are still open: formats, signals,
products.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ernn.errors import UserError
from ernn.ir.circulant import decode_blocks, encode_blocks
from ernn.ir.edges import DataBits, Kind
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.kronecker import Repeated
from ernn.ir.network import Matrix
from ernn.ir.structure import BlockCirculant
from ernn.quantization.calibrate import Range, range_of
from ernn.quantization.integer_fft import packed_rfft
from ernn.quantization.scales import OperandDraft, ProductDraft, SignalDraft, fit

Array = np.ndarray


@dataclass(frozen=True)
class QuantizeSpec:
    """Bit widths. `data_bits`: signals, spectra, product outputs, states, activations; twiddles
    have data_bits - 2 fraction bits.  `guard`: fraction bits added inside the forward transform.
    `segment_bits`: at most 2**segment_bits segments an activation.  `headroom`: factor on every
    observed range.  `data`: kinds of data with fewer bits than `data_bits`.  Raises UserError
    outside the ranges below."""

    weight_bits: int = 12
    data_bits: int = 16
    segment_bits: int = 8
    guard: int = 2
    headroom: float = 1.25
    data: DataBits = DataBits()

    def __post_init__(self) -> None:
        allowed = {
            "weight_bits": (4, 18),
            "data_bits": (4, 18),
            "segment_bits": (2, 12),
            "guard": (0, 4),
        }
        for name, (low, high) in allowed.items():
            value = getattr(self, name)
            if type(value) is not int:
                raise UserError(f"{name} must be a whole number, {low}..{high}, not {value!r}")
            if not low <= value <= high:
                raise UserError(f"{name} must be {low}..{high}, not {value}")
        if not 1 <= self.headroom <= 16:
            raise UserError(f"headroom must be 1..16, not {self.headroom}")
        for name, bits in self.data.given.items():
            if bits > self.data_bits:
                raise UserError(
                    f"{name} cannot have {bits} bits where data_bits is {self.data_bits}"
                )

    @property
    def twiddle_bits(self) -> int:
        return self.data_bits - 2

    def bits(self, kind: Kind | None) -> int:
        """Bits of a kind of data; None: of what is of no kind."""
        own = None if kind is None else getattr(self.data, kind)
        return self.data_bits if own is None else own


@dataclass(frozen=True)
class Place:
    """Where a layer is: the prefix of its edges' names in the model, and how the reference names
    them.
    """

    name: str
    index: int
    prefix: str = ""


NOTHING: Mapping[str, FixedFormat] = MappingProxyType({})


class Drafts:
    """Chooses formats, and collects signals and products until all scales are settled.

    `given`: formats that are settled already, by edge (`ernn.ir.edges.edge_formats`).
    """

    def __init__(
        self,
        spec: QuantizeSpec,
        block: int,
        ranges: dict[tuple[int, str], Range],
        given: Mapping[str, FixedFormat] = NOTHING,
    ) -> None:
        self.spec = spec
        self.block = block
        self.ranges = ranges
        self.given = given
        self.signals: list[SignalDraft] = []
        self.products: list[ProductDraft] = []

    def range(self, place: Place, edge: str) -> Range:
        return self.ranges.get((place.index, place.prefix + edge), Range())

    def output_range(self, place: Place, edge: str, *states: Array | None) -> Range:
        """Range of a layer's output: as it makes it, as the next layer reads it, and before the
        first frame.
        """
        seen = self.range(place, edge)
        if not place.prefix:
            seen = seen.joined(self.range(Place("", place.index + 1), "input"))
        for state in states:
            if state is not None:
                seen = seen.joined(range_of(state, self.block))
        return seen

    def format(self, seen: float, known: float = 0.0, kind: Kind | None = None) -> FixedFormat:
        """For values observed up to `seen` and constants up to `known`."""
        return fit(max(seen * self.spec.headroom, known), self.spec.bits(kind))

    def settled(self, edge: str, format: FixedFormat) -> FixedFormat:
        """The edge's format where one is given, else this one."""
        return self.given.get(edge, format)

    def signal(
        self, name: str, length: int, seen: Range, format: FixedFormat, read: bool = True
    ) -> SignalDraft:
        format, width = self.settled(name, format), self.spec.data_bits
        narrower = (
            width - format.width
        )  # a narrow signal's spectrum has the full width, and room for all its values
        held = self.format(seen.spectrum, format.high * format.step if narrower else 0.0)
        frac = min(held.frac, format.frac + narrower + self.spec.guard)
        spectrum = FixedFormat(width, frac) if read else None
        signal = SignalDraft(name, length, format, spectrum, max(0, width - self.spec.weight_bits))
        self.signals.append(signal)
        return signal

    def bounded(self, seen: Range, known: float = 0.0, kind: Kind | None = None) -> FixedFormat:
        """For values that cannot leave [-1, 1], constants up to `known` apart."""
        bits = self.spec.bits(kind)
        return fit(max(min(seen.value * self.spec.headroom, 1 - 2.0 ** (1 - bits)), known), bits)

    @property
    def activated(self) -> FixedFormat:
        """Of what sigmoid and tanh give: 1 is among the values."""
        bits = self.spec.bits("activations")
        return FixedFormat(bits, bits - 2)

    @property
    def activation_input(self) -> FixedFormat:
        """Of what sigmoid and tanh are taken of: +-8, of few bits +-4."""
        bits = self.spec.bits("gates")
        return FixedFormat(bits, bits - (4 if bits >= 8 else 3))

    def product(
        self, name: str, operands: Sequence[tuple[SignalDraft, Matrix]], output: FixedFormat
    ) -> ProductDraft:
        parts = tuple(self._operand(*operand) for operand in operands)
        product = ProductDraft(name, parts, self.settled(name, output), self.spec.data_bits)
        self.products.append(product)
        return product

    def _operand(self, signal: SignalDraft, matrix: Matrix) -> OperandDraft:
        width, sizes = self.spec.weight_bits, (matrix.rows, matrix.columns)
        if isinstance(matrix.structure, Repeated):
            core = matrix.structure.core(matrix.value)[..., None]
            return OperandDraft(
                signal, core, fit(largest(core), width), *sizes, 1, matrix.structure
            )
        weights = packed_rfft(first_columns(matrix, self.block))
        kept = self.block if isinstance(matrix.structure, BlockCirculant) else 1
        return OperandDraft(signal, weights, fit(largest(weights), width), *sizes, kept)


def largest(*arrays: Array | None) -> float:
    """Largest absolute value of all arrays; 0 where there are none."""
    return max(
        (float(np.abs(array).max(initial=0)) for array in arrays if array is not None), default=0.0
    )


def first_columns(matrix: Matrix, block: int) -> Array:
    """First columns (gates, block rows, block columns, block) whose product with words is the
    matrix's.

    Of a dense matrix, each row is element 0 of a circulant block's product: y_0 = sum_b w[-b mod
    block] x_b.
    """
    if not isinstance(matrix.structure, BlockCirculant):
        gates, rows, columns = matrix.value.shape
        padded = np.pad(matrix.value, [(0, 0), (0, 0), (0, -columns % block)])
        return padded.reshape(gates, rows, -1, block)[..., -np.arange(block) % block]
    blocks = encode_blocks(matrix.value, block)
    off = float(
        np.abs(decode_blocks(blocks, matrix.rows, matrix.columns) - matrix.value).max(initial=0)
    )
    if off > 1e-5 * max(1e-30, largest(matrix.value)):
        raise UserError(
            f"a matrix {matrix.value.shape} said to be in circulant blocks of {block} is not (by "
            f"{off:.2g}): "
            "project it first"
        )
    return blocks
