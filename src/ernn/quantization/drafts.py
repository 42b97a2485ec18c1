"""What layers are built from while scales are still open: formats, signals, products."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ernn.errors import UserError
from ernn.ir.activations import BOUNDED, Function
from ernn.ir.circulant import decode_blocks, encode_blocks
from ernn.ir.edges import DataBits, Kind
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.kronecker import Repeated
from ernn.ir.network import Matrix
from ernn.ir.structure import BlockCirculant
from ernn.quantization.calibrate import Range
from ernn.quantization.integer_fft import packed_rfft
from ernn.quantization.scales import OperandDraft, ProductDraft, SignalDraft, fit

Array = np.ndarray


@dataclass(frozen=True)
class QuantizeSpec:
    """Bits of weights and data.  Raises UserError for a value outside its range.

    >>> import ernn
    >>> spec = ernn.QuantizeSpec(weight_bits=8, data_bits=12, data=ernn.DataBits(hidden=6))
    >>> spec.bits("hidden"), spec.bits("gates"), spec.twiddle_bits
    (6, 12, 10)
    """

    weight_bits: int = 12
    """Of every weight, as it is stored: a spectrum's in circulant blocks; 4 to 18."""
    data_bits: int = 16
    """Of signals, spectra, results of products, states and activations; 4 to 18."""
    segment_bits: int = 8
    """A table has at most 2**segment_bits line segments; 2 to 12."""
    guard: int = 2
    """Fraction bits added within the forward transform; 0 to 4."""
    headroom: float = 1.25
    """Factor on every range that was observed, 1 to 16: what exceeds it saturates."""
    data: DataBits = DataBits()
    """Kinds of data with fewer bits than `data_bits`, for software only."""

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
        """Fraction bits of a transform's constants."""
        return self.data_bits - 2

    def bits(self, kind: Kind | None) -> int:
        """Bits of a kind of data.

        kind: one of `DataBits`'s fields; None: of what is of no kind.
        """
        own = None if kind is None else getattr(self.data, kind)
        return self.data_bits if own is None else own


TableFormats = tuple[FixedFormat, FixedFormat]
"""Of what a table reads, and of what it gives."""
NOTHING: Mapping[str, FixedFormat] = MappingProxyType({})


class Drafts:
    """Chooses formats, and collects signals and products until all scales are settled.

    `steps`: of each function, the edges of the steps that end with it.  `given`: formats that are
    settled already, by edge (`ernn.ir.edges.edge_formats`).
    """

    def __init__(
        self,
        spec: QuantizeSpec,
        block: int,
        ranges: Mapping[str, Range],
        steps: Mapping[Function, Sequence[str]],
        given: Mapping[str, FixedFormat] = NOTHING,
    ) -> None:
        self.spec = spec
        self.block = block
        self.ranges = ranges
        self.steps = steps
        self.given = given
        self.signals: list[SignalDraft] = []
        self.products: list[ProductDraft] = []
        self._tables: dict[str, TableFormats] = {}

    def range(self, edge: str) -> Range:
        """What was seen of an edge; nothing where no frame reached it."""
        return self.ranges.get(edge, Range())

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
        # a narrow signal's spectrum has the full width, and room for all its values
        narrower = width - format.width
        held = self.format(seen.spectrum, format.high * format.step if narrower else 0.0)
        frac = min(held.frac, format.frac + narrower + self.spec.guard)
        spectrum = FixedFormat(width, frac) if read else None
        signal = SignalDraft(name, length, format, spectrum, max(0, width - self.spec.weight_bits))
        self.signals.append(signal)
        return signal

    def bounded(self, seen: float, known: float = 0.0, kind: Kind | None = None) -> FixedFormat:
        """For values that cannot leave [-1, 1], constants up to `known` apart."""
        bits = self.spec.bits(kind)
        return fit(max(min(seen * self.spec.headroom, 1 - 2.0 ** (1 - bits)), known), bits)

    def table_formats(self, function: Function) -> TableFormats:
        """What a function's table reads and what it gives: one pair for all steps that end with it.

        Functions that level off are read over a fixed range, beyond which they do not change.
        """
        if function not in self._tables:
            read, given = self._table_formats(function)
            edges = f"{function} input", function
            self._tables[function] = self.settled(edges[0], read), self.settled(edges[1], given)
        return self._tables[function]

    def _table_formats(self, function: Function) -> TableFormats:
        gates, given = self.spec.bits("gates"), self.spec.bits("activations")
        if function in BOUNDED:  # 1 is among the values; +-8, of few bits or a ramp +-4
            read = 3 if gates < 8 or function.startswith("hard") else 4
            return FixedFormat(gates, gates - read), FixedFormat(given, given - 2)
        sums = max(self.range(f"{step} input").value for step in self.steps[function])
        values = max(self.range(step).value for step in self.steps[function])
        headroom = self.spec.headroom
        return fit(sums * headroom, gates), fit(values * headroom, given)

    def product(
        self, name: str, operands: Sequence[tuple[SignalDraft, Matrix, int]], output: FixedFormat
    ) -> ProductDraft:
        """Of signals, what they are multiplied with, and the frames by which they are delayed."""
        parts = tuple(self._operand(*operand) for operand in operands)
        product = ProductDraft(name, parts, self.settled(name, output), self.spec.data_bits)
        self.products.append(product)
        return product

    def _operand(self, signal: SignalDraft, matrix: Matrix, delay: int) -> OperandDraft:
        width, sizes = self.spec.weight_bits, (matrix.rows, matrix.columns)
        if isinstance(matrix.structure, Repeated):
            core = matrix.structure.core(matrix.value)[..., None]
            format = fit(largest(core), width)
            return OperandDraft(signal, core, format, *sizes, 1, matrix.structure, delay)
        weights = packed_rfft(first_columns(matrix, self.block))
        kept = self.block if isinstance(matrix.structure, BlockCirculant) else 1
        format = fit(largest(weights), width)
        return OperandDraft(signal, weights, format, *sizes, kept, delay=delay)


def largest(*arrays: Array | None) -> float:
    """Largest absolute value of all arrays; 0 where there are none."""
    return max(
        (float(np.abs(array).max(initial=0)) for array in arrays if array is not None), default=0.0
    )


def first_columns(matrix: Matrix, block: int) -> Array:
    """First columns (gates, block rows, block columns, block) of blocks that make up the matrix.

    Of a dense matrix, each row is element 0 of circulant blocks' product with words:

        y_0 = sum over b of w[-b mod block] x_b
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
            f"{off:.2g}): project it first"
        )
    return blocks
