"""When a round writes and reads each place, and what that means for the round behind it.

Times are issue cycles: `*_ready[place]` is the first in which an item that reads it may issue.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil

Place = tuple[int, int]  # bank, address


@dataclass(frozen=True)
class SpectrumRead:
    """`count` words from `first` on, one a cycle, of a spectrum `age` rounds old that has room for
    `copies` frames."""

    first: Place
    count: int
    age: int
    copies: int

    @property
    def places(self) -> Iterator[Place]:
        """Word by word."""
        bank, address = self.first
        return ((bank, address + index) for index in range(self.count))


@dataclass
class _Span:
    """First and last time something is used in a round."""

    first: int
    last: int


@dataclass
class Hazards:
    """The times of one round. Each bound is the least distance of rounds that keeps them apart."""

    spectrum_ready: dict[Place, int] = field(default_factory=dict)
    _spectrum_reads: dict[SpectrumRead, _Span] = field(default_factory=dict)
    _gate_first: dict[int, int] = field(default_factory=dict)  # a line's first row is written
    gate_ready: dict[int, int] = field(default_factory=dict)
    _gate_read: dict[int, int] = field(default_factory=dict)
    value_ready: dict[int, int] = field(default_factory=dict)
    _old_reads: dict[tuple[int, int], int] = field(default_factory=dict)  # by address, age

    def read_spectrum(self, read: SpectrumRead, time: int) -> None:
        """A pass reads words from then on; passes come in order."""
        self._spectrum_reads.setdefault(read, _Span(time, time)).last = time

    def write_gate(self, line: int, time: int, whole: bool) -> None:
        """A row of a gate's line is there; with it the line, if it is now `whole`."""
        self._gate_first.setdefault(line, time)
        if whole:
            self.gate_ready[line] = time

    def read_gate(self, line: int, time: int) -> None:
        """A step reads a line, for the last time so far."""
        self._gate_read[line] = time

    def read_old_value(self, address: int, age: int, time: int) -> None:
        """A step reads what an earlier round has written."""
        self._old_reads.setdefault((address, age), time)

    # --- from one round to the next

    def recurrence(self) -> int:
        """What is read of earlier rounds must have been written there."""
        spectra = [
            ceil((written - read) / age)
            for written, read, _, age, _ in self._written_reads()
            if age
        ]
        values = [
            ceil((self.value_ready[address] - first) / age)
            for (address, age), first in self._old_reads.items()
        ]
        return max(spectra + values, default=0)

    def gates_overwritten(self) -> int:
        """A product's result must have been read."""
        gates = [last + 2 - self._gate_first[line] for line, last in self._gate_read.items()]
        return max(gates, default=0)

    def spectra_overwritten(self) -> int:
        """A copy must have been read before the frame that takes its place is written."""
        spectra = [
            ceil((last + 2 - written) / (copies - age))
            for written, _, last, age, copies in self._written_reads()
        ]
        return max(spectra, default=0)

    def _written_reads(self) -> Iterator[tuple[int, int, int, int, int]]:
        """When what the engine itself writes is written, read first and last, and what kind of read
        that is (age, copies): the input is there before a round begins."""
        for read, span in self._spectrum_reads.items():
            for index, place in enumerate(read.places):
                if (written := self.spectrum_ready.get(place)) is not None:
                    yield written, span.first + index, span.last + index, read.age, read.copies
