"""Connected-digit strings: isolated recordings, disjoint per split, joined 3 to 7 at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ernn.data.corpus import SPLITS, Split
from ernn.errors import UserError

DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class StringSpec:
    """How recordings become strings.

    `passes`: how often each recording of train, validation and test is used (in another string each
    time). `shares`: the parts of each digit's recordings that go to train, validation and test.
    """

    shortest: int = 3
    longest: int = 7
    passes: tuple[int, int, int] = (4, 1, 1)
    shares: tuple[float, float, float] = (0.60, 0.15, 0.25)
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.shortest >= 1 or self.longest < 2 * self.shortest - 1:
            raise UserError(
                f"strings need 1 <= shortest and longest >= 2*shortest-1, got {self.shortest}, "
                f"{self.longest}"
            )
        if min(self.passes) < 1 or min(self.shares) <= 0 or abs(sum(self.shares) - 1) > 1e-9:
            raise UserError(
                f"passes must be >= 1 and shares positive with sum 1, got {self.passes}, "
                f"{self.shares}"
            )


def partition(classes: Sequence[str], spec: StringSpec) -> dict[Split, list[int]]:
    """Indices of the recordings of each split; every class is divided by `spec.shares`."""
    parts: dict[Split, list[int]] = {split: [] for split in SPLITS}
    rng = np.random.default_rng([spec.seed, 0])
    for label in sorted(set(classes)):
        members = rng.permutation([i for i, c in enumerate(classes) if c == label])
        bounds = np.rint(np.cumsum(spec.shares) * len(members)).astype(int)
        for split, part in zip(SPLITS, np.split(members, bounds[:-1]), strict=True):
            parts[split].extend(int(i) for i in part)
    return parts


def join(
    members: Sequence[int], split: Split, spec: StringSpec, salt: int = 0
) -> list[tuple[int, ...]]:
    """Strings of `members`, each used `passes` times; `salt` separates the pools of one split."""
    rng = np.random.default_rng([spec.seed, 1 + SPLITS.index(split), salt])
    strings: list[tuple[int, ...]] = []
    for _ in range(spec.passes[SPLITS.index(split)]):
        order, at = [int(i) for i in rng.permutation(list(members))], 0
        while at < len(order):
            size = _next_size(
                len(order) - at, int(rng.integers(spec.shortest, spec.longest + 1)), spec
            )
            strings.append(tuple(order[at : at + size]))
            at += size
    return strings


def _next_size(left: int, wanted: int, spec: StringSpec) -> int:
    """`wanted`, changed where it would leave a rest too short for a string."""
    if left - wanted <= 0:
        return left
    if left - wanted >= spec.shortest:
        return wanted
    return left if left <= spec.longest else left - spec.shortest
