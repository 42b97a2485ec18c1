"""One small matrix many times over: I (x) G (x) I, as every core of a tensor train is multiplied.

With `before` and `after` the sizes of the identities, G of (p, q) turns a vector of (before, q,
after) numbers, the last index the fastest, into one of (before, p, after).  Only G is stored.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ernn.errors import UserError
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.structure import Structure, require_count

Array = np.ndarray


@dataclass(frozen=True)
class Repeated(Structure):
    """Matrices I (x) G (x) I with identities of `before` and `after`."""

    before: int
    after: int

    def __post_init__(self) -> None:
        require_count("before", self.before)
        require_count("after", self.after)

    @property
    def times(self) -> int:
        """How often the small matrix stands in the large one."""
        return self.before * self.after

    def small(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Sizes of G; UserError where the sizes of the whole are no multiples."""
        rows, columns = shape[-2:]
        if rows % self.times or columns % self.times:
            raise UserError(
                f"a matrix of ({rows}, {columns}) is not {self.times} times a smaller one"
            )
        return rows // self.times, columns // self.times

    def stored(self, shape: tuple[int, ...]) -> int:
        return int(np.prod((*shape[:-2], *self.small(shape))))

    def multiplications(self, shape: tuple[int, ...]) -> int:
        return self.times * self.stored(shape)

    def whole(self, core: Array) -> Array:
        """(gates, p, q) to the whole matrices (gates, before p after, before q after)."""
        gates, p, q = core.shape
        eyes = np.eye(self.before, dtype=core.dtype), np.eye(self.after, dtype=core.dtype)
        spread = np.einsum("gpq,bc,ad->gbpacqd", core, *eyes)
        return spread.reshape(gates, p * self.times, q * self.times)

    def core(self, whole: Array) -> Array:
        """G of whole matrices; UserError where they are not of this structure."""
        p, q = self.small(whole.shape)
        axes = whole.reshape(len(whole), self.before, p, self.after, self.before, q, self.after)
        core = np.ascontiguousarray(axes[:, 0, :, 0, 0, :, 0])
        if not np.array_equal(self.whole(core), whole):
            raise UserError(f"a matrix {whole.shape} said to be {self} is not")
        return core


@dataclass(frozen=True, eq=False)
class RepeatedMatrix:
    """Integer weights in `format` of matrices I (x) G (x) I, a G a gate: `core` (gates, p, q).

    For blocks of 1 only.
    """

    core: Array
    format: FixedFormat
    before: int
    after: int

    def __post_init__(self) -> None:
        low, high = self.core.min(initial=0), self.core.max(initial=0)
        if self.core.dtype != np.int64 or low < self.format.low or high > self.format.high:
            raise UserError(
                f"a core is int64 in {self.format.width} bits, not {self.core.dtype} {low}..{high}"
            )

    @property
    def structure(self) -> Repeated:
        return Repeated(self.before, self.after)

    @property
    def gates(self) -> int:
        return len(self.core)

    @property
    def rows(self) -> int:
        return self.core.shape[1] * self.structure.times

    @property
    def columns(self) -> int:
        return self.core.shape[2] * self.structure.times

    @property
    def kept(self) -> int:
        return 1

    @property
    def block_rows(self) -> int:
        return self.rows

    @property
    def zeros(self) -> int:
        """No engine stores it: none are counted."""
        return 0

    @property
    def bits(self) -> int:
        return self.format.width

    @cached_property
    def weights(self) -> Array:
        """The whole matrices (gates, rows, columns, 1), for a machine without repetition."""
        return self.structure.whole(self.core)[..., None]
