"""What an integer model is put together from: transforms, signals, matrices, products, tables."""

from dataclasses import dataclass
from math import ceil

import numpy as np

from ernn.errors import UserError
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.kronecker import RepeatedMatrix

Array = np.ndarray


def require(ok: bool, message: str) -> None:
    if not ok:
        raise UserError(message)


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


@dataclass(frozen=True, eq=False)
class Transform:
    """A real FFT of size k, or its inverse, as integer stages.

    `guard`: fraction bits added before the first stage.
    """

    stages: tuple[Stage, ...]
    guard: int


@dataclass(frozen=True)
class Signal:
    """A vector: `length` integers in `format`; `spectrum`: its format, where a product reads it."""

    name: str
    length: int
    format: FixedFormat
    spectrum: FixedFormat | None = None


@dataclass(frozen=True, eq=False)
class SpectralMatrix:
    """Weights (gates, block rows, block columns, k), packed spectra in `format`.

    rows, columns: of the matrix, without padding.
    kept: k where it is block-circulant, with ceil(rows / k) block rows a gate; 1 where it is dense,
        with `rows` of them.
    """

    weights: Array
    format: FixedFormat
    rows: int
    columns: int
    kept: int

    def __post_init__(self) -> None:
        require_fits("a weight bank", self.weights, self.format)
        _, block_rows, block_columns, k = self.weights.shape
        require(self.kept in (1, k), f"kept must be 1 or {k}, not {self.kept}")
        require(
            block_rows == ceil(self.rows / self.kept),
            f"{self.rows} rows need {ceil(self.rows / self.kept)} blocks",
        )
        require(
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
    """A matrix times the spectrum of the signal named, as it was `delay` frames ago."""

    signal: str
    matrix: SpectralMatrix | RepeatedMatrix
    delay: int = 0


@dataclass(frozen=True, eq=False)
class Product:
    """Sum of operands.

    rows: the summed spectrum's format before the inverse transform.
    output: the format after it.
    """

    name: str
    operands: tuple[Operand, ...]
    rows: FixedFormat
    output: FixedFormat

    def __post_init__(self) -> None:
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
        require_fits(f"{self.function} base", self.base, self.output)
        require(
            self.base.shape == self.slope.shape == (1 << self.segment_bits,),
            "one base and slope a segment",
        )

    @property
    def slope_bits(self) -> int:
        """Bits of a signed integer that hold every slope."""
        return int(abs(self.slope).max()).bit_length() + 1
