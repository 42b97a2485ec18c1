"""Where vectors lie in a stream's memory: one takes the place of another that nothing reads any
more, so that many streams side by side fit in a processor's caches, and one in a microcontroller.

An operation goes through its vectors number by number, or reads all before it writes: its result
may take the place of what it is made of.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ernn.golden.recorder import Operation, Recorder, Vector


class Held(NamedTuple):
    """A vector that is there before a frame, and what takes its place after it, if anything."""

    vector: Vector
    newer: Vector | None = None


def placed(
    recorder: Recorder,
    operations: Sequence[Operation],
    held: Sequence[Held],
    lasting: Sequence[Vector],
) -> tuple[Mapping[int, int], int]:
    """Where each vector lies, by where it was recorded, and how many numbers there are in all.

    operations: of a frame; lasting: vectors that are read after it.
    """
    last = {at: number for number, one in enumerate(operations) for at in recorder.reads(one)}
    last |= dict.fromkeys((vector.at for vector in lasting), len(operations))
    homes = {one.newer.at: one.vector.at for one in held if one.newer}
    run = _Placing(recorder)
    run.begin([one.vector for one in held])
    for number, operation in enumerate(operations):
        run.release([at for at in recorder.reads(operation) if last[at] == number])
        written = recorder.writes(operation)
        home = homes.get(written[0].at)
        if len(written) == 1 and home is not None and last.get(home, -1) <= number:
            run.places[written[0].at] = run.places[home]
        else:
            run.place(written)
    return run.places, run.size


@dataclass
class _Placing:
    recorder: Recorder
    places: dict[int, int] = field(default_factory=dict)
    size: int = 0
    held: frozenset[int] = frozenset()
    free: dict[int, list[Vector]] = field(default_factory=lambda: defaultdict(list))
    """By size, where nothing lies now, as what lay there first."""
    first: dict[int, Vector] = field(default_factory=dict)
    """By place, what lay there first."""

    def begin(self, vectors: Sequence[Vector]) -> None:
        """They keep their places."""
        self._add(vectors)
        self.held = frozenset(self.places)

    def release(self, vectors: Sequence[int]) -> None:
        for at in vectors:
            if at not in self.held:
                first = self.first[self.places[at]]
                self.free[self.recorder.places_of(first.size)].append(first)

    def place(self, vectors: Sequence[Vector]) -> None:
        """One where another was, or several in a row. Numbers beyond the end of what lay there
        first stay as they are: its format must hold them.
        """
        free = self.free[self.recorder.places_of(vectors[0].size)]
        fits = [one for one in free if vectors[0].bound <= one.bound]
        if len(vectors) > 1 or not fits:
            self._add(vectors)
        else:
            free.remove(fits[-1])
            self.places[vectors[0].at] = self.places[fits[-1].at]

    def _add(self, vectors: Sequence[Vector]) -> None:
        for vector in vectors:
            self.places[vector.at], self.first[self.size] = self.size, vector
            self.size += self.recorder.places_of(vector.size)
