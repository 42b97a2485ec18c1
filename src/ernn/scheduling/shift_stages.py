"""Shifts by one of a few constants as stages, each of which shifts by its own constant or not."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A choice between two: shifted by `amount`, or as it is; `taken`: by which of the shifts."""

    amount: int
    taken: tuple[bool, ...]


def stages(shifts: Sequence[int]) -> tuple[Stage, ...]:
    """Stages that together shift by what each of `shifts` has beyond the least of them, largest
    first: a power of two each, or a shift of its own each, whichever are fewer.
    """
    beyond = [shift - min(shifts) for shift in shifts]
    powers = [1 << bit for bit in range(max(beyond).bit_length())]
    by_bits = [Stage(power, tuple(bool(one & power) for one in beyond)) for power in powers]
    own = [Stage(more, tuple(one == more for one in beyond)) for more in {*beyond} - {0}]
    found = min([one for one in by_bits if any(one.taken)], own, key=len)
    return tuple(sorted(found, key=lambda one: -one.amount))
