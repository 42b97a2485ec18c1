"""What layers are built from while scales are still open: formats, signals, products."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, log2
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from ernn.errors import UserError
from ernn.ir.activations import BOUNDED, FUNCTIONS, Function
from ernn.ir.circulant import decode_blocks, encode_blocks
from ernn.ir.edges import DataBits, Kind, is_of
from ernn.ir.fixed_point import FixedFormat, dequantize, quantize
from ernn.ir.kronecker import Repeated
from ernn.ir.network import Matrix
from ernn.ir.structure import BlockCirculant, block_size
from ernn.quantization.activation_tables import activation_table, every_value
from ernn.quantization.block_sizes import Blocks
from ernn.quantization.calibrate import Range, Seen
from ernn.quantization.compensation import Moments
from ernn.quantization.integer_fft import by_turns, packed_rfft
from ernn.quantization.scales import OperandDraft, ProductDraft, SignalDraft, fit

Array = np.ndarray
WEIGHT_BITS, DATA_BITS = (2, 18), (4, 18)
"""Fewest and most of a weight, and of all data."""
MOST_SEGMENTS = 12
"""Of the number of a table's line segments, as a power of two."""


@dataclass(frozen=True)
class QuantizeSpec:
    """Bits of weights and data.  Raises UserError for a value outside its range.

    >>> import ernn
    >>> spec = ernn.QuantizeSpec(weight_bits=8, data_bits=12, data=ernn.DataBits(hidden=6))
    >>> spec.bits("hidden"), spec.bits("gates"), spec.twiddle_bits
    (6, 12, 10)
    """

    weight_bits: int = 12
    """Of every weight, as it is stored: a spectrum's in circulant blocks; 2 to 18."""
    data_bits: int = 16
    """Of signals, spectra, results of products, states and activations; 4 to 18."""
    segment_bits: int = 8
    """A table has at most 2**segment_bits line segments; of a function that does not level off and
    is read beyond +-8, as many more as keep them as short, up to 2**12; 2 to 12."""
    guard: int = 2
    """Fraction bits added within the forward transform; 0 to 4."""
    headroom: float = 1.25
    """Factor on every range that was observed, 1 to 16: what exceeds it saturates."""
    data: DataBits = DataBits()
    """Kinds of data with other bits than `data_bits`, which what products read is rounded to."""
    clip: bool = True
    """Whether a format may clip rare numbers where that loses less than it gains in resolution;
    False: none of what was seen is clipped. States are never chosen so."""
    equalise: bool = True
    """Whether numbers of a vector may get units of their own, powers of two apart."""
    weights: Mapping[str, int] = field(default_factory=dict[str, int], hash=False)
    """Bits of some matrices' weights, 2 to 18, by the name of a layer (`l0`), a product
    (`l0.gates`) or a matrix (`l0.gates.x`: what is multiplied with x); the others have
    `weight_bits`."""

    def __post_init__(self) -> None:
        allowed = {
            "weight_bits": (self.weight_bits, *WEIGHT_BITS),
            "data_bits": (self.data_bits, *DATA_BITS),
            "segment_bits": (self.segment_bits, 2, MOST_SEGMENTS),
            "guard": (self.guard, 0, 4),
        } | {f"bits of {name}": (bits, *WEIGHT_BITS) for name, bits in self.weights.items()}
        for name, (value, low, high) in allowed.items():
            if type(value) is not int:
                raise UserError(f"{name} must be a whole number, {low}..{high}, not {value!r}")
            if not low <= value <= high:
                raise UserError(f"{name} must be {low}..{high}, not {value}")
        if not 1 <= self.headroom <= 16:
            raise UserError(f"headroom must be 1..16, not {self.headroom}")

    @property
    def twiddle_bits(self) -> int:
        """Fraction bits of a transform's constants."""
        return self.data_bits - 2

    def weight_width(self, matrix: str) -> int:
        """Bits of a matrix's weights.

        matrix: its whole name, as in `ernn.quantization.widths`.
        """
        found = [name for name in self.weights if is_of(matrix, name)]
        return self.weights[max(found, key=len)] if found else self.weight_bits

    @property
    def keeps_states(self) -> bool:
        """Whether states that are made of themselves have more bits than products read of them."""
        return self.bits("hidden") < self.bits("cell")

    def bits(self, kind: Kind | None) -> int:
        """Bits of a kind of data.

        kind: one of `DataBits`'s fields; None: of what is of no kind.
        """
        own = None if kind is None else getattr(self.data, kind)
        return self.data_bits if own is None else own


TableFormats = tuple[FixedFormat, FixedFormat]
"""Of what a table reads, and of what it gives."""
_FINER = 6
"""Bits that a format may become finer by clipping, and one."""
_WHOLE = (4, 3, 5)
"""Bits before the point, sign included, with which a function that levels off may be read; of equal
ones the first."""
NOTHING: Mapping[str, FixedFormat] = MappingProxyType({})


class OperandOf(NamedTuple):
    """A signal of words in so many parts, what it is multiplied with, and the frames by which it is
    delayed."""

    signal: SignalDraft
    matrix: Matrix
    delay: int
    parts: int


class Drafts:
    """Chooses formats, and collects signals and products until all scales are settled.

    `widest`: bits of the widest matrix.  `steps`: of each function, the edges of the steps that end
    with it.  `given`: formats that are settled already, by edge (`ernn.ir.edges.edge_formats`).
    `moments`: of what products read, by edge, where the rounding of weights is to be compensated
    (`ernn.quantization.compensation`).  `initial`: the largest value before the first frame, by
    edge.
    """

    def __init__(
        self,
        spec: QuantizeSpec,
        widest: int,
        blocks: Blocks,
        seen: Seen,
        steps: Mapping[Function, Sequence[str]],
        given: Mapping[str, FixedFormat] = NOTHING,
        moments: Mapping[str, Moments] = MappingProxyType({}),
        initial: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self.spec = spec
        self.widest = widest
        self.blocks = blocks
        self.seen = seen
        self.steps = steps
        self.given = given
        self.moments = moments
        self.initial = initial
        self.signals: list[SignalDraft] = []
        self.products: list[ProductDraft] = []
        self._tables: dict[str, TableFormats] = {}

    def range(self, edge: str) -> Range:
        """What was seen of an edge; nothing where no frame reached it."""
        return self.seen.ranges.get(edge, Range())

    def format(self, seen: float, known: float = 0.0, kind: Kind | None = None) -> FixedFormat:
        """For values observed up to `seen` and constants up to `known`."""
        return fit(max(seen * self.spec.headroom, known), self.spec.bits(kind))

    def clipped(
        self,
        edge: str,
        format: FixedFormat,
        known: float = 0.0,
        burden: Callable[[FixedFormat], float] = lambda _: 0.0,
    ) -> FixedFormat:
        """Of this format and finer ones that clip some of what was seen, the one with the smallest
        mean square of what is lost, `burden` added; constants up to `known` are never clipped.
        """
        sample = self.seen.samples.get(edge)
        if sample is None or not self.spec.clip:
            return format
        finer = [FixedFormat(format.width, format.frac + more) for more in range(1, _FINER)]
        held = [one for one in finer if known <= one.high * one.step]

        def lost(one: FixedFormat) -> float:
            x = np.concatenate([sample, self.spec.headroom * sample])
            return float(np.square(dequantize(quantize(x, one), one) - x).mean())

        def weighed(one: FixedFormat) -> float:
            key = edge, one, self.spec.headroom
            return self.seen.once(key, lambda: lost(one)) + burden(one)

        return min([format, *held], key=weighed)

    def settled(self, edge: str, format: FixedFormat) -> FixedFormat:
        """The edge's format where one is given, else this one."""
        return self.given.get(edge, format)

    def signal(
        self, name: str, length: int, seen: Range, format: FixedFormat, read: bool = True
    ) -> SignalDraft:
        format, width = self.settled(name, format), self.spec.data_bits
        # a narrow signal's spectrum has the full width, and room for all its values; none is larger
        # than the sum of a word's
        narrower, end = max(0, width - format.width), format.high * format.step
        largest = min(seen.spectrum * self.spec.headroom, self.blocks.largest * end)
        held = fit(max(largest, end if narrower else 0.0), width)
        frac = min(held.frac, format.frac + narrower + self.spec.guard)
        spectrum = FixedFormat(width, frac) if read else None
        signal = SignalDraft(name, length, format, spectrum, max(0, width - self.widest))
        self.signals.append(signal)
        return signal

    def bounded(self, seen: float, known: float = 0.0, kind: Kind | None = None) -> FixedFormat:
        """For values that cannot leave [-1, 1], constants up to `known` apart."""
        bits = self.spec.bits(kind)
        return fit(max(min(seen * self.spec.headroom, 1 - 2.0 ** (1 - bits)), known), bits)

    def table_formats(self, function: Function) -> TableFormats:
        """What a function's table reads and what it gives: one pair for all steps that end with it.

        Functions that level off are read over the range with the smallest error on what was seen.
        """
        if function not in self._tables:
            read, given = self._table_formats(function)
            edges = f"{function} input", function
            self._tables[function] = self.settled(edges[0], read), self.settled(edges[1], given)
        return self._tables[function]

    def _table_formats(self, function: Function) -> TableFormats:
        gates, given = self.spec.bits("gates"), self.spec.bits("activations")
        known = max(self.initial.get(step, 0.0) for step in self.steps[function])
        if function in BOUNDED:  # 1 is among the values
            output = FixedFormat(given, min(given - 2, fit(known, given).frac))
            reads = [FixedFormat(gates, gates - whole) for whole in _WHOLE]
            return min(reads, key=lambda read: self._table_error(function, read, output)), output
        sums = max(self.range(f"{step} input").value for step in self.steps[function])
        values = max(self.range(step).value for step in self.steps[function])
        headroom = self.spec.headroom
        return fit(sums * headroom, gates), fit(max(values * headroom, known), given)

    def _table_error(self, function: Function, read: FixedFormat, output: FixedFormat) -> float:
        """Mean square of what a table is off by, on what was seen of its inputs."""
        table = activation_table(function, read, output, self.spec.segment_bits)
        edges = [f"{step} input" for step in self.steps[function]]

        def off() -> float:
            x = np.concatenate([self.seen.samples.get(edge, np.zeros(1)) for edge in edges])
            found = dequantize(every_value(table)[quantize(x, read) - read.low], output)
            return float(np.square(found - FUNCTIONS[function](x)).mean())

        return self.seen.once(table, off)

    def product(
        self, name: str, operands: Sequence[OperandOf], output: FixedFormat
    ) -> ProductDraft:
        """A product whose matrices have one block size."""
        drafts = tuple(self._operand(*operand) for operand in operands)
        output = self.settled(name, output)
        clipped = ceil(log2(max(1.0, self.range(name).value / output.reach)))
        product = ProductDraft(name, drafts, output, self.spec.data_bits, clipped)
        self.products.append(product)
        return product

    def _operand(self, signal: SignalDraft, matrix: Matrix, delay: int, parts: int) -> OperandDraft:
        width, sizes = self.spec.weight_width(matrix.name), (matrix.rows, matrix.columns)
        zeros = self.widest - width
        if isinstance(matrix.structure, Repeated):
            core = matrix.structure.core(matrix.value)[..., None]
            format = fit(largest(core), width)
            return OperandDraft(signal, core, format, zeros, *sizes, 1, matrix.structure, delay)
        weights = packed_rfft(first_columns(matrix, self.blocks.largest, parts))
        kept, format = block_size(matrix.structure), fit(largest(weights), width)
        moments = self.moments.get(signal.name)
        return OperandDraft(signal, weights, format, zeros, *sizes, kept, None, delay, moments)


def largest(*arrays: Array | None) -> float:
    """Largest absolute value of all arrays; 0 where there are none."""
    return max(
        (float(np.abs(array).max(initial=0)) for array in arrays if array is not None), default=0.0
    )


def first_columns(matrix: Matrix, block: int, parts: int) -> Array:
    """First columns (gates, block rows, block columns, block) of circulant blocks whose products
    with words, of which the numbers are taken by turns, have the matrix's as every m-th number.

    With v_s the first columns of the matrix's own blocks, of m = block / size to a word:

        y[j m] = sum over a, s of w[(j - a) m - s] x[a m + s],    w[b m - s] = v_s[b]
    """
    own = _own_columns(matrix)
    gates, rows, columns, size = own.shape
    many = block // size
    padded = np.pad(own, [(0, 0), (0, 0), (0, -columns % many), (0, 0)])
    words = padded.reshape(gates, rows, -1, many, size)
    if size == 1:  # a row of numbers goes with any order
        words = by_turns(words[..., 0], parts)[..., None]
    place = (np.arange(size) * many - np.arange(many)[:, None]) % block
    first = np.empty((*words.shape[:-2], block))
    first[..., place] = words
    return first


def _own_columns(matrix: Matrix) -> Array:
    """First columns (gates, block rows, block columns, size) of a matrix's own blocks; a dense
    one's have size 1.
    """
    if not isinstance(matrix.structure, BlockCirculant):
        return matrix.value[..., None]
    block = matrix.structure.block
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
