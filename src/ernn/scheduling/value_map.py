"""Where values lie that the vector unit keeps: beats of as many numbers of each word as it has
lanes.

What a table's result is made with (`Step.then`) is there at times of its own, when other results
may be, and lies aside, at the same addresses of another memory.

First those kept twice, this frame's and the frame before's, in two copies of one region; then those
kept whole, and room for the chunks at work of all others; last the initial values, which are never
written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ernn.scheduling.lines import Lines, next_power, placed
from ernn.scheduling.vector_program import Step, Value

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class ValueMap:
    """Places of what `steps` keep; `given`: initial values by name."""

    cut: Lines
    steps: Sequence[Step]
    given: Mapping[str, Array]

    @cached_property
    def values(self) -> tuple[Value, ...]:
        kept = {step.keep.name: step.keep for step in self.steps if step.keep is not None}
        return tuple(sorted(kept.values(), key=lambda value: value not in self.aside))

    @cached_property
    def aside(self) -> frozenset[Value]:
        """Values that lie aside, the first of their regions."""
        made = (step.keep for step in self.steps if step.then is not None)
        return frozenset(value for value in made if value is not None)

    def _lines(self, value: Value) -> int:
        """Of one copy."""
        lines, design = self.cut.lines(value.length), self.cut.design
        return lines * design.streams if value.copies else self._chunk(value) * design.overlap

    def _chunk(self, value: Value) -> int:
        return min(self.cut.lines(value.length), self.cut.design.chunk)

    @cached_property
    def _twice(self) -> tuple[dict[str, int], int]:
        """Bases of values kept twice, and the lines, a power of two, from one copy to the other."""
        bases, end = placed((v.name, self._lines(v)) for v in self.values if v.copies == 2)
        return bases, next_power(end) if bases else 0

    @cached_property
    def _once(self) -> tuple[dict[str, int], int]:
        others = ((v.name, self._lines(v)) for v in self.values if v.copies < 2)
        return placed(others, 2 * self._twice[1])

    @cached_property
    def _initial(self) -> tuple[dict[str, int], int]:
        terms = (term for step in self.steps for term in step.terms)
        read = {kept.initial: kept for term in terms for kept in term.reads if kept.initial}
        sizes = ((name, self.cut.lines(kept.value.length)) for name, kept in read.items())
        return placed(sizes, self._once[1])

    @property
    def distance(self) -> int:
        """Beats from one copy of what is kept twice to the other; 0 where nothing is."""
        return self._twice[1] * self.cut.beats

    def place(self, value: Value, stream: int, first: int, slot: int = 0) -> int:
        """First beat of a value's line `first`, which begins a chunk, in the first copy; `slot`:
        the place among the chunks at work of what lives no longer than a chunk."""
        base = (self._twice if value.copies == 2 else self._once)[0][value.name]
        if value.copies:
            base += stream * self.cut.lines(value.length) + first
        else:
            base += slot * self._chunk(value)
        return base * self.cut.beats

    def initial(self, name: str, first: int) -> int:
        """First beat of line `first` of initial values."""
        return (self._initial[0][name] + first) * self.cut.beats

    @property
    def beats(self) -> int:
        """Beats of the memory."""
        return max(1, self._initial[1] * self.cut.beats)

    @property
    def aside_beats(self) -> int:
        """Beats of the memory of what lies aside."""
        twice, (once, _) = 2 * self._twice[1], self._once
        ends = (once.get(v.name, twice) + (v.copies < 2) * self._lines(v) for v in self.aside)
        return max(ends, default=0) * self.cut.beats

    def contents(self) -> Array:
        """Beats (beats, numbers) that the memory begins with; no rows where all are zero."""
        bases = self._initial[0]
        found = np.zeros((self.beats if bases else 0, self.cut.beat), np.int64)
        for name, base in bases.items():
            words = in_beats(self.cut, self.given[name])
            found[base * self.cut.beats : base * self.cut.beats + len(words)] = words
        return found


def in_beats(cut: Lines, values: Array) -> Array:
    """A vector as beats (beats, numbers), zeros behind its end."""
    flat = np.zeros(cut.lines(len(values)) * cut.line, np.int64)
    flat[: len(values)] = values
    words = flat.reshape(-1, cut.design.words, cut.beats, cut.lanes)
    return words.swapaxes(1, 2).reshape(-1, cut.beat)
