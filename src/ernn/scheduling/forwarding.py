"""What a step takes on its way to memory (`Design.forwarding`).

A word of memory is an operand `Pipeline.memories` cycles after issue.  A result that is there in
one of these cycles, and on all beats of a row in the same one, is taken then.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.timing import Pipeline
from ernn.scheduling.vector_program import Gate, Kept

WAYS = ("a", "b", "line")
"""What may be on its way: either value, and a line of gates."""


@dataclass(frozen=True)
class Forwarding:
    """`layout`'s, if its design has any."""

    layout: MemoryMap
    pipeline: Pipeline

    def of(self, read: Kept | Gate) -> bool:
        """Whether it may be taken on its way: a value of this frame that does not lie aside, a line
        that is written and read whole."""
        if not self.layout.design.forwarding:
            return False
        if isinstance(read, Kept):
            return not read.before and read.value not in self.layout.values.aside
        product = next(one for one in self.layout.products if one.name == read.product)
        return self.layout.beats == 1 and product.kept == self.layout.model.block

    def earliest(self, read: Kept | Gate, times: Sequence[int]) -> int:
        """When a row may be issued whose beats, counted from its first, would find what they read
        in memory at these times."""
        together = self.of(read) and len(set(times)) == 1
        return max(times) - together * self.pipeline.memories

    def soon(self, read: Kept | Gate, time: int, issue: int) -> int:
        """In which cycle after its issue a row takes what is in memory at `time`; 0: from there."""
        return max(0, time - issue) if self.of(read) else 0
