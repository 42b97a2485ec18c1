"""What a term takes on its way to memory (`ernn.scheduling.forwarding`).

Operands are chosen in two cycles where pipelines have a register behind memories: first among what
is there by then, then between that and what comes in the last cycle, which so passes one choice on
its way from a register to a multiplier.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from amaranth import Module, Mux, Value

from ernn.rtl.arith import delayed, register
from ernn.scheduling.timing import Pipeline


@dataclass(frozen=True)
class Forwarded:
    """One of `ernn.scheduling.forwarding.WAYS`, `name`, of which `row` takes something in these
    `cycles` after issue; `chosen`: the cycle in which all but the last are chosen among."""

    m: Module
    pipeline: Pipeline
    row: Mapping[str, Value]
    name: str
    cycles: frozenset[int]
    chosen: int

    def early(self, read: Value, given: Value) -> Value:
        """What was `read` of a memory, or `given` up to then, `chosen` cycles after issue."""
        early, word = {cycle for cycle in self.cycles if cycle <= self.chosen}, given
        if not early:
            return read
        soon = self.row[f"{self.name}_soon"]
        for cycle in range(min(early), self.chosen + 1):
            if cycle > min(early):
                word = register(self.m, word, f"{self.name}_given{cycle}")
                if cycle in early:
                    word = Mux(self._when(soon == cycle, cycle), given, word)
        return Mux(self._when(soon != 0, self.chosen), word, read)

    def last(self, word: Value, given: Value, only: Value | int = 1) -> Value:
        """A `word` that was chosen, or what is `given` in the last cycle, where the row has `only`,
        too."""
        last = self.pipeline.memories
        if last == self.chosen or last not in self.cycles:
            return word
        return Mux(self._when((self.row[f"{self.name}_soon"] == last) & only, last), given, word)

    def _when(self, what: Value, cycle: int) -> Value:
        return delayed(self.m, what, cycle, f"{self.name}_now{cycle}")
