"""When sums of passes in parts are kept, and gone on with."""

from dataclasses import dataclass, field

from ernn.scheduling.timing import KEPT
from ernn.scheduling.weight_banks import Pass


@dataclass
class KeptSums:
    """Last columns of a round's passes, by where their sums are kept; `leave`: behind those of the
    groups (`MemoryMap.sums_leave`), which rows reach in order."""

    leave: bool
    _kept: dict[int, int] = field(default_factory=dict)
    _resumed: dict[int, int] = field(default_factory=dict)

    def earliest(self, one: Pass) -> int:
        """When the sums that a pass goes on with are there."""
        return 0 if one.resumes is None or self.leave else self._kept[one.resumes] + KEPT

    def note(self, one: Pass, last: int) -> None:
        """A pass has its last column then."""
        if one.resumes is not None:
            self._resumed[one.resumes] = last
        if one.keeps is not None:
            self._kept[one.keeps] = last

    @property
    def recurrence(self) -> int:
        """What a round makes beforehand must be kept when the next one goes on with it."""
        return max((self._kept[n] + 1 - last for n, last in self._resumed.items()), default=0)
