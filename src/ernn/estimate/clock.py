"""The clock that a search assumes, and its source. Only place and route tells the real one."""

from dataclasses import dataclass
from itertools import pairwise

from ernn.errors import UserError
from ernn.estimate.device import Device

MHz = float


@dataclass(frozen=True)
class Clock:
    """MHz by number of multipliers, linear between the pairs of `table`, constant beyond them."""

    table: tuple[tuple[int, MHz], ...]
    source: str

    def __post_init__(self) -> None:
        for _, mhz in self.table:
            if not 1 <= mhz <= 1000:
                raise UserError(f"a clock is 1 to 1000 MHz, not {mhz:g}")

    def mhz(self, multipliers: int) -> MHz:
        if multipliers <= self.table[0][0]:
            return self.table[0][1]
        for (low, slow), (high, fast) in pairwise(self.table):
            if multipliers <= high:
                return slow + (fast - slow) * (multipliers - low) / (high - low)
        return self.table[-1][1]

    @classmethod
    def given(cls, mhz: MHz) -> "Clock":
        return cls(((0, mhz),), "as given")

    @classmethod
    def assumed(cls, device: Device) -> "Clock":
        """What is assumed if nothing is given; ECP5's: docs/reference/toolchain.md."""
        if device.family == "ecp5":
            return cls(
                ((28, 165.0), (154, 153.2)),
                "engines placed on ECP5, grade 6",
            )
        return cls(((0, 200.0),), "the published designs' clock")
