"""Structures: which set of matrices a weight belongs to, as frozen values.

A structure says nothing about how a matrix gets there; solvers in `ernn.compress` do that, and know
only `project`, `encode` and `decode`.  Matrices carry any number of leading axes: an LSTM's input
weight is handled as (4, hidden, input), one matrix per gate, so that padding never mixes two gates.

Those here are what the engine runs, and its pruned rivals.  All others are one file each in
`ernn.compress.methods`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import ceil, prod

import numpy as np

from ernn.errors import UserError

BLOCK_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Description:
    """A frozen value that a plan or a network may hold: a structure, or a part of one (a grid)."""


def descriptions() -> dict[str, type[Description]]:
    """Every class of them that has been imported, by its name."""
    found: dict[str, type[Description]] = {}
    waiting: list[type[Description]] = [Description]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        found[kind.__name__] = kind
    return found


class Structure(Description, ABC):
    """A set of matrices.

    `shape` is a weight's, (..., rows, columns); UserError where the structure does not fit it.
    """

    @abstractmethod
    def stored(self, shape: tuple[int, ...]) -> int:
        """Numbers stored, padding counted; of a sparse structure the weights that stay.

        Where these lie is counted by `bits`.
        """

    def multiplications(self, shape: tuple[int, ...]) -> int:
        """Real multiplications of a product with a vector, transforms apart.

        A complex multiplication is three real ones.
        """
        return self.stored(shape)

    def bits(self, shape: tuple[int, ...], number_bits: int) -> int:
        """Bits stored: of the numbers, and of where they lie.

        number_bits: of a number, where the structure does not say.
        """
        return self.stored(shape) * number_bits

    def nearest(self, matrix: np.ndarray) -> np.ndarray:
        """Nearest matrix of the set, where `ernn.ir.circulant.project` does not know it."""
        raise TypeError(f"{self} has no projection in NumPy")

    def taken(self) -> "Structure":
        """What the engine takes a matrix of the set for.

        Rounded to a grid, it is still dense or circulant.
        """
        return self

    def recognised(self) -> "Structure":
        """What can be told from a matrix of the set alone.

        Of factors on a grid, that it is a product of factors.
        """
        return self

    def factors(self, matrix: np.ndarray) -> "Factors | None":
        """(gates, rows, columns) as a product of matrices; None where it is taken whole.

        Each is multiplied by itself, with a rounding in between.
        """
        return None


Factors = tuple[tuple[np.ndarray, Structure], ...]
"""Matrices and what they are, (gates, rows, columns) or (1, rows, columns) where all gates share
it, the left one of the gates' own; a vector meets the last one first."""


@dataclass(frozen=True)
class Dense(Structure):
    """Every matrix."""

    def stored(self, shape: tuple[int, ...]) -> int:
        return prod(shape)


@dataclass(frozen=True)
class BlockCirculant(Structure):
    """Matrices of circulant `block` x `block` blocks (C-LSTM; E-RNN, HPCA 2019).

    Each block is defined by its first column w: block[a, b] = w[(a - b) mod block].
    Raises UserError for another block size than those below.

    >>> import ernn
    >>> blocks = ernn.BlockCirculant(8)
    >>> blocks.stored((4, 64, 32)), blocks.multiplications((4, 64, 32))  # 4 gates of 64 x 32
    (1024, 1408)
    """

    block: int
    """Rows and columns of a block: 1, 2, 4, 8, 16, 32 or 64."""
    pad: bool = False
    """Whether sizes that the block does not divide are admitted: the matrix is then the top left
    corner of a larger block-circulant one, and the padding is counted as stored."""

    def __post_init__(self) -> None:
        if self.block not in BLOCK_SIZES:
            raise UserError(f"block size must be one of {BLOCK_SIZES}, not {self.block!r}")
        if type(self.pad) is not bool:
            raise UserError(f"pad must be true or false, not {self.pad!r}")

    def stored(self, shape: tuple[int, ...]) -> int:
        """Numbers stored, padding counted.

        shape: a weight's, (..., rows, columns). UserError where `pad` is false and the block does
            not divide a size.
        """
        grid = block_grid(self, shape[-2], shape[-1])
        return prod(shape[:-2]) * grid[0] * grid[1] * self.block

    def multiplications(self, shape: tuple[int, ...]) -> int:
        """Real multiplications of a product with a vector, transforms apart.

        shape: as for `stored`.

        A block of size k costs 2 real products and k/2 - 1 complex ones, of three each.
        """
        per_block = 1 if self.block == 1 else 2 + 3 * (self.block // 2 - 1)
        return self.stored(shape) // self.block * per_block


@dataclass(frozen=True)
class Signed(Structure):
    """Matrices W = C D: C of another structure, D a diagonal of signs, one for each column.

    Neighbouring values of a signal are often alike, and a circulant block sees little of such ones
    but their mean; with signs it sees more, for the same numbers stored.  All matrices that read a
    signal should have the same signs, which then are applied to it once.

    >>> from ernn.ir.structure import BlockCirculant, Signed
    >>> Signed(BlockCirculant(8)).diagonal(6).tolist()
    [-1.0, 1.0, 1.0, 1.0, -1.0, -1.0]
    """

    inner: Structure
    """What W D is."""
    seed: int = 0
    """Draws the signs: the same for all matrices with as many columns."""
    signs: str = ""
    """The signs themselves where they were chosen, "+" or "-" for each column."""

    def __post_init__(self) -> None:
        if isinstance(self.inner, Signed) or not isinstance(self.inner, Structure):
            raise UserError(f"Signed holds a structure without signs, not {self.inner!r}")
        if type(self.seed) is not int or not 0 <= self.seed < 2**63:
            raise UserError(f"a seed is a whole number of at least 0, not {self.seed!r}")
        if type(self.signs) is not str or set(self.signs) - set("+-"):
            raise UserError(f'signs are a text of "+" and "-", not {self.signs!r}')

    def diagonal(self, columns: int) -> np.ndarray:
        """D as float64 (columns,) of 1 and -1; UserError where other signs than that are given."""
        if not self.signs:
            bits = np.random.PCG64(self.seed).random_raw(columns) >> np.uint64(63)
            return 1.0 - 2.0 * bits.astype(np.float64)
        if len(self.signs) != columns:
            raise UserError(f"{len(self.signs)} signs are given for a matrix of {columns} columns")
        return np.where(np.array(list(self.signs)) == "+", 1.0, -1.0)

    def stored(self, shape: tuple[int, ...]) -> int:
        """Numbers stored; a bit a column for signs that were chosen is left out."""
        self.diagonal(shape[-1])
        return self.inner.stored(shape)

    def multiplications(self, shape: tuple[int, ...]) -> int:
        """Those of a product with C: a sign takes none."""
        return self.inner.multiplications(shape)

    def bits(self, shape: tuple[int, ...], number_bits: int) -> int:
        return self.inner.bits(shape, number_bits)

    def taken(self) -> Structure:
        """What the engine takes C for; D is a step before."""
        return self.inner.taken()


class _Kept(Structure):
    """What the sparse structures share."""

    def stored(self, shape: tuple[int, ...]) -> int:
        kept = groups(self, shape[-2], shape[-1])  # type: ignore[arg-type]
        return prod(shape[:-2]) * kept.count * kept.kept

    def bits(self, shape: tuple[int, ...], number_bits: int) -> int:
        kept = groups(self, shape[-2], shape[-1])  # type: ignore[arg-type]
        return self.stored(shape) * number_bits + prod(shape[:-2]) * kept.count * position_bits(
            kept.size, kept.kept
        )


@dataclass(frozen=True)
class Pruned(_Kept):
    """Magnitude pruning: at most a share `density` of the weights is not zero."""

    density: float

    def __post_init__(self) -> None:
        require_density(self.density)


@dataclass(frozen=True)
class LoadBalanced(_Kept):
    """ESE's load-balance-aware pruning (Han et al., FPGA 2017): as many weights an element.

    Row r belongs to processing element r mod `pes`; what each element has keeps a share `density`.
    """

    density: float
    pes: int

    def __post_init__(self) -> None:
        require_density(self.density)
        require_count("pes", self.pes)


@dataclass(frozen=True)
class BankBalanced(_Kept):
    """Bank-balanced sparsity (Cao et al., FPGA 2019).

    Of every `bank` neighbours in a row a share `density` stays.
    """

    density: float
    bank: int

    def __post_init__(self) -> None:
        require_density(self.density)
        require_count("bank", self.bank)


Sparse = Pruned | LoadBalanced | BankBalanced


@dataclass(frozen=True)
class Groups:
    """A sparse structure's rule for a matrix: of `count` groups of `size` entries, `kept` each."""

    count: int
    size: int
    kept: int


def groups(structure: Sparse, rows: int, columns: int) -> Groups:
    """Groups of one (rows, columns) matrix.

    Raises UserError where the structure does not divide it evenly, or where nothing would be kept.
    """
    match structure:
        case Pruned():
            count = 1
        case LoadBalanced(pes=pes):
            _require_even(f"{pes} processing elements do", rows, "rows", pes)
            count = pes
        case BankBalanced(bank=bank):
            _require_even(f"banks of {bank} do", columns, "columns", bank)
            count = rows * columns // bank
    size = rows * columns // count
    kept = round(structure.density * size)
    if not kept:
        raise UserError(
            f"{structure} keeps none of the {size} weights of a group: choose a density of "
            f"{1 / size:.2g} up"
        )
    return Groups(count, size, kept)


def require_density(density: float) -> None:
    if not 0 < density <= 1:
        raise UserError(
            f"density is a share of the weights, above 0 and at most 1, not {density!r}"
        )


def density_on_the_way(density: float, share: float) -> float:
    """The density at a `share` of the way from dense (Zhu & Gupta 2017): fast at first."""
    return 1 - (1 - density) * (1 - (1 - share) ** 3)


def require_count(name: str, value: int) -> None:
    if type(value) is not int or value < 1:
        raise UserError(f"{name} must be a whole number of at least 1, not {value!r}")


def _require_even(what: str, size: int, name: str, part: int) -> None:
    if size % part:
        raise UserError(
            f"{what} not divide {size} {name} evenly: choose a number that {size} is a multiple of"
        )


def block_size(structure: Structure) -> int:
    """Block size of a structure, rounded to a grid or not; 1 of dense and sparse matrices."""
    taken = structure.taken()
    return taken.block if isinstance(taken, BlockCirculant) else 1


def by_tap(structure: Structure, inputs: int) -> bool:
    """Whether the kernels of a convolution with so many inputs have blocks tap by tap, so that none
    lies across two frames: where a block fits among the inputs.  Else inputs and taps are one axis.
    """
    taken = structure.taken()
    if not isinstance(taken, BlockCirculant) or taken.block == 1:
        return False
    return inputs % taken.block == 0 or (taken.pad and inputs >= taken.block)


def block_grid(structure: Structure, rows: int, columns: int) -> tuple[int, int]:
    """Block rows and block columns of one (rows, columns) matrix.

    Raises UserError where the block size divides a size not and padding was not asked for.
    """
    k = block_size(structure)
    padded = isinstance(structure, BlockCirculant) and structure.pad
    for what, size in (("rows", rows), ("columns", columns)):
        if size % k and not padded:
            raise UserError(
                f"block size {k} does not divide {size} {what}: choose a size that is a multiple "
                f"of {k}, "
                f"or ask for padding with BlockCirculant({k}, pad=True)"
            )
    return ceil(rows / k), ceil(columns / k)


def position_bits(size: int, kept: int) -> int:
    """Bits that say which `kept` of `size` places are taken.

    A number for each, or one bit a place: what is less.
    """
    return min(size, kept * (size - 1).bit_length())
