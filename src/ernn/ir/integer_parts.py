"""What an integer model is put together from: transforms, signals, matrices, products, tables."""

from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

from ernn.errors import UserError
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.kronecker import RepeatedMatrix

Array = np.ndarray

MOST_BITS = 62
"""That a number is shifted by."""


def require(ok: bool, message: str) -> None:
    if not ok:
        raise UserError(message)


def require_shape(name: str, values: Array, *shape: int) -> None:
    require(values.dtype == np.int64, f"{name} must be int64, not {values.dtype}")
    require(values.shape == shape, f"{name} must be {shape}, not {values.shape}")


def require_fits(name: str, values: Array, target: FixedFormat) -> None:
    require(values.dtype == np.int64, f"{name} must be int64, not {values.dtype}")
    if values.size:
        low, high = int(values.min()), int(values.max())
        require(
            target.low <= low and high <= target.high,
            f"{name} holds {low}..{high}, outside {target.width} bits",
        )


@dataclass(frozen=True, eq=False)
class Stage:
    """One step of a transform: v -> (matrix @ v + half) >> shift, row by row.

    matrix (k, k) and shift (k,) are int64; half is 2**(shift - 1), 0 where shift is 0.
    """

    matrix: Array
    shift: Array

    def __post_init__(self) -> None:
        k = len(self.matrix)
        require_shape("a transform's stage", self.matrix, k, k)
        require_shape("a stage's shifts", self.shift, k)
        require(
            self.shift.min() >= 0 and self.shift.max() <= MOST_BITS,
            f"a stage's shifts must be 0..{MOST_BITS}, not {self.shift.min()}..{self.shift.max()}",
        )


@dataclass(frozen=True, eq=False)
class Transform:
    """A real FFT of size k, or its inverse, as integer stages.

    `guard`: fraction bits added before the first stage.
    """

    stages: tuple[Stage, ...]
    guard: int

    def __post_init__(self) -> None:
        require(0 <= self.guard <= MOST_BITS, f"guard must be 0..{MOST_BITS}, not {self.guard}")

    @property
    def size(self) -> int:
        return len(self.stages[0].shift) if self.stages else 1


@dataclass(frozen=True)
class Signal:
    """A vector: `length` integers in `format`; `spectrum`: its format, where a product reads it."""

    name: str
    length: int
    format: FixedFormat
    spectrum: FixedFormat | None = None

    def __post_init__(self) -> None:
        require(self.length > 0, f"{self.name} has {self.length} values, fewer than one")


@dataclass(frozen=True, eq=False)
class Units:
    """An edge whose integers, number by number, stand for the network's numbers times
    2**exponent.

    finer, coarser: where they are not 0, numbers have three integers each (the input's alone):
        after all of the first follow what rounding left of the numbers, times 2**finer more, and
        the numbers over 2**coarser.
    """

    edge: str
    exponents: Array
    finer: int = 0
    coarser: int = 0

    def __post_init__(self) -> None:
        require_shape(f"{self.edge}: exponents", self.exponents, len(self.exponents))
        require(
            int(np.abs(self.exponents).max(initial=0)) <= MOST_BITS,
            f"{self.edge}: exponents must be -{MOST_BITS}..{MOST_BITS}",
        )
        for bits in (self.finer, self.coarser):
            require(0 <= bits <= MOST_BITS, f"{self.edge}: finer, coarser must be 0..{MOST_BITS}")

    @property
    def integers(self) -> int:
        """Of a number."""
        return 3 if self.finer else 1

    @property
    def of_integers(self) -> Array:
        """The exponent of each integer, by which what it stands for is multiplied."""
        if not self.finer:
            return self.exponents
        more = (0, self.finer, -self.coarser)
        return np.concatenate([self.exponents + one for one in more])


@dataclass(frozen=True, eq=False)
class SpectralMatrix:
    """Weights (gates, block rows, block columns, k), packed spectra in `format`.

    rows, columns: of the matrix, without padding.
    kept: its own block size, k or a part of it, 1 where it is dense: with ceil(rows / kept) block
        rows a gate.
    zeros: lowest bits that are 0 in every weight, and need no memory: a matrix of fewer bits than
        others whose products it is added to.
    """

    weights: Array
    format: FixedFormat
    rows: int
    columns: int
    kept: int
    zeros: int = 0

    def __post_init__(self) -> None:
        require_fits("a weight bank", self.weights, self.format)
        require(
            0 <= self.zeros < self.format.width and not (self.weights % (1 << self.zeros)).any(),
            f"weights of {self.format.width} bits do not end in {self.zeros} zeros",
        )
        shape = self.weights.shape
        require(
            len(shape) == 4 and min(shape) > 0,
            f"a weight bank is (gates, block rows, block columns, k), not {shape}",
        )
        _, block_rows, block_columns, k = shape
        require(self.kept > 0 and k % self.kept == 0, f"kept must divide {k}, {self.kept} does not")
        require(
            block_rows == ceil(self.rows / self.kept),
            f"{self.rows} rows need {ceil(self.rows / self.kept)} blocks",
        )
        require(
            block_columns == ceil(self.columns / k),
            f"{self.columns} columns need {ceil(self.columns / k)} blocks",
        )

    @property
    def bits(self) -> int:
        """Of a weight, as far as it is stored."""
        return self.format.width - self.zeros

    @property
    def gates(self) -> int:
        return self.weights.shape[0]

    @property
    def block_rows(self) -> int:
        return self.weights.shape[1]


@dataclass(frozen=True, eq=False)
class Operand:
    """A matrix times the spectrum of the signal named, as it was `delay` frames ago."""

    signal: str
    matrix: SpectralMatrix | RepeatedMatrix
    delay: int = 0


@dataclass(frozen=True, eq=False)
class Product:
    """Sum of operands.

    rows: the summed spectrum's format before the inverse transform.
    output: the format after it.
    exponents: fraction bits (gates, block rows) that the weights of a row, in every operand, have
        beyond those of their matrix's format; None where no row has any.
    """

    name: str
    operands: tuple[Operand, ...]
    rows: FixedFormat
    output: FixedFormat
    exponents: Array | None = None

    def __post_init__(self) -> None:
        if self.exponents is not None:
            shape = self.gates, self.block_rows
            require_shape(f"{self.name}: exponents of rows", self.exponents, *shape)
            low, high = int(self.exponents.min()), int(self.exponents.max())
            require(
                low >= 0 and high <= MOST_BITS,
                f"{self.name}: exponents of rows must be 0..{MOST_BITS}, not {low}..{high}",
            )
        shapes = {(o.matrix.gates, o.matrix.rows, o.matrix.kept) for o in self.operands}
        require(
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

    @cached_property
    def heaviest(self) -> int:
        """Of all numbers of rows' sums, the most that absolute weights add up to: of a complex bin
        both parts' weights go into either part."""
        each = np.sum([np.abs(one.matrix.weights).sum(2) for one in self.operands], axis=0)
        pairs = each[..., 2::2] + each[..., 3::2]
        return int(np.concatenate([each[..., :2], pairs], axis=-1).max())

    @property
    def most(self) -> int:
        """The largest exponent of a row."""
        return 0 if self.exponents is None else int(self.exponents.max())


@dataclass(frozen=True, eq=False)
class ActivationTable:
    """Piecewise-linear function on 2**segment_bits equal segments of its input's whole range.

    Of an integer v in `input`, with low_bits = input.width - segment_bits:

        u = v - input.low;  s = u >> low_bits;  l = u & (2**low_bits - 1)
        result = saturate((base[s] * 2**slope_shift + slope[s] * l + half) >> slope_shift)

    in `output`, where half = 2**(slope_shift - 1), or 0 where slope_shift = 0.
    max_error: the largest distance from the true function over every input integer, in real units.
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
        require(
            0 <= self.segment_bits <= min(24, self.input.width)
            and 0 <= self.slope_shift <= MOST_BITS,
            f"{self.function}: 2**{self.segment_bits} segments, slopes shifted by "
            f"{self.slope_shift}",
        )
        for name, values in ((f"{self.function} base", self.base), ("slope", self.slope)):
            require_shape(name, values, 1 << self.segment_bits)
        require_fits(f"{self.function} base", self.base, self.output)
        largest = (1 << (self.input.width - self.segment_bits)) * self.largest_slope
        require(
            (-self.output.low << self.slope_shift) + largest < 1 << 62,
            f"{self.function}: a line may need more than 62 bits",
        )

    @property
    def largest_slope(self) -> int:
        return max(abs(int(self.slope.min())), abs(int(self.slope.max())))

    @property
    def slope_bits(self) -> int:
        """Bits of a signed integer that hold every slope."""
        return self.largest_slope.bit_length() + 1
