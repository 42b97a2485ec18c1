"""Structures: which set of matrices a weight belongs to, as frozen values.

A structure says nothing about how a matrix gets there; solvers in `ernn.compress` do that, and know only
`project`, `encode` and `decode`.  Matrices carry any number of leading axes: an LSTM's input weight is handled as
(4, hidden, input), one matrix per gate, so that padding never mixes two gates.
"""

from dataclasses import dataclass
from math import ceil, prod

from ernn.errors import UserError

BLOCK_SIZES = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Dense:
    """Every matrix."""


@dataclass(frozen=True)
class BlockCirculant:
    """Matrices of circulant `block` x `block` blocks (C-LSTM; E-RNN, HPCA 2019).

    Each block is defined by its first column w: block[a, b] = w[(a - b) mod block].  `pad=True` admits sizes that the
    block does not divide: the matrix is then the top left corner of a larger block-circulant one, and the padding is
    counted as stored.
    """

    block: int
    pad: bool = False

    def __post_init__(self) -> None:
        if self.block not in BLOCK_SIZES:
            raise UserError(f"block size must be one of {BLOCK_SIZES}, not {self.block}")


@dataclass(frozen=True)
class Pruned:
    """Matrices of which a share `density` of the weights at most is not zero, wherever they lie (magnitude pruning)."""

    density: float

    def __post_init__(self) -> None:
        _require_density(self.density)


@dataclass(frozen=True)
class LoadBalanced:
    """ESE's load-balance-aware pruning (Han et al., FPGA 2017): every processing element has as many weights.

    Row r belongs to processing element r mod `pes`; each element's sub-matrix keeps a share `density` of its weights.
    """

    density: float
    pes: int

    def __post_init__(self) -> None:
        _require_density(self.density)
        _require_count("pes", self.pes)


@dataclass(frozen=True)
class BankBalanced:
    """Bank-balanced sparsity (Cao et al., FPGA 2019): every `bank` neighbours in a row keep a share `density`."""

    density: float
    bank: int

    def __post_init__(self) -> None:
        _require_density(self.density)
        _require_count("bank", self.bank)


Sparse = Pruned | LoadBalanced | BankBalanced
Structure = Dense | BlockCirculant | Sparse


@dataclass(frozen=True)
class Groups:
    """A sparse structure's rule for one matrix: its entries fall into `count` groups of `size`, `kept` of each stay."""

    count: int
    size: int
    kept: int


def groups(structure: Sparse, rows: int, columns: int) -> Groups:
    """Groups of one (rows, columns) matrix.

    Raises UserError where the structure does not divide the matrix evenly, or where nothing would be kept.
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
            f"{structure} keeps none of the {size} weights of a group: choose a density of {1 / size:.2g} up"
        )
    return Groups(count, size, kept)


def _require_density(density: float) -> None:
    if not 0 < density <= 1:
        raise UserError(f"density is a share of the weights, above 0 and at most 1, not {density!r}")


def _require_count(name: str, value: int) -> None:
    if type(value) is not int or value < 1:
        raise UserError(f"{name} must be a whole number of at least 1, not {value!r}")


def _require_even(what: str, size: int, name: str, part: int) -> None:
    if size % part:
        raise UserError(f"{what} not divide {size} {name} evenly: choose a number that {size} is a multiple of")


def block_size(structure: Structure) -> int:
    """Block size of a structure; a dense or a sparse matrix has blocks of 1."""
    return structure.block if isinstance(structure, BlockCirculant) else 1


def block_grid(structure: Structure, rows: int, columns: int) -> tuple[int, int]:
    """Block rows and block columns of one (rows, columns) matrix.

    Raises UserError where the block size divides a size not and padding was not asked for.
    """
    k = block_size(structure)
    padded = isinstance(structure, BlockCirculant) and structure.pad
    for what, size in (("rows", rows), ("columns", columns)):
        if size % k and not padded:
            raise UserError(
                f"block size {k} does not divide {size} {what}: choose a size that is a multiple of {k}, "
                f"or ask for padding with BlockCirculant({k}, pad=True)"
            )
    return ceil(rows / k), ceil(columns / k)


def stored_numbers(structure: Structure, shape: tuple[int, ...]) -> int:
    """Numbers stored for weights of `shape` (..., rows, columns), padding counted.

    Of a sparse structure: the weights kept. Their positions, and the padding that those need, are in `ernn.sparse`.
    """
    if isinstance(structure, Sparse):
        kept = groups(structure, shape[-2], shape[-1])
        return prod(shape[:-2]) * kept.count * kept.kept
    grid = block_grid(structure, shape[-2], shape[-1])
    return prod(shape[:-2]) * grid[0] * grid[1] * block_size(structure)


def real_multiplications(structure: Structure, shape: tuple[int, ...], complex_product: int = 3) -> int:
    """Real multiplications of one matrix-vector product, transforms excluded (REFERENCE.md section 4).

    A block of size k costs 2 real products and k/2 - 1 complex ones of `complex_product` real products each.
    """
    k = block_size(structure)
    per_block = 1 if k == 1 else 2 + (k // 2 - 1) * complex_product
    return stored_numbers(structure, shape) // k * per_block
