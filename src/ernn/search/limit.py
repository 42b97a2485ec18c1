"""How many errors a compressed network may make: a rate, or so much more than the dense one."""

import re
from dataclasses import dataclass

from ernn.errors import UserError

_RELATIVE = re.compile(r"dense\s*\+\s*(\d+(?:\.\d+)?)")
_ABSOLUTE = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Limit:
    """`points` per cent; above the dense network's error rate where `relative`."""

    points: float
    relative: bool = True

    @classmethod
    def parse(cls, text: str) -> "Limit":
        """ "dense + 0.5" or "12.5"; UserError for anything else."""
        if found := _RELATIVE.fullmatch(text.strip()):
            return cls(float(found[1]))
        if _ABSOLUTE.fullmatch(text.strip()):
            return cls(float(text), relative=False)
        raise UserError(
            'a limit is "dense + 0.5" (points above the dense network) or a rate such as "12.5", '
            f"not {text!r}"
        )

    def percent(self, dense: float) -> float:
        """The highest error rate allowed, in per cent, where the dense network has `dense`."""
        return dense + self.points if self.relative else self.points

    def __str__(self) -> str:
        return f"dense + {self.points:g}" if self.relative else f"{self.points:g} %"
