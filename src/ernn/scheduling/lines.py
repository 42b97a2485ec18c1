"""How vectors are cut: words of k numbers, lines of several words, beats of the vector unit."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from ernn.scheduling.design import Design


@dataclass(frozen=True)
class Lines:
    """The units in which an engine of a block size and a design takes vectors."""

    block: int
    design: Design

    @property
    def line(self) -> int:
        """Numbers of a line."""
        return self.block * self.design.words

    def words(self, length: int) -> int:
        """Words that hold `length` numbers."""
        return ceil(length / self.block)

    def lines(self, length: int) -> int:
        """Lines that hold `length` numbers."""
        return ceil(length / self.line)

    @property
    def lanes(self) -> int:
        """Numbers of a word that the vector unit takes a cycle."""
        return self.design.vector_lanes(self.block)

    @property
    def beat(self) -> int:
        """Numbers that the vector unit takes a cycle."""
        return self.lanes * self.design.words

    @property
    def beats(self) -> int:
        """Cycles that the vector unit takes for a term of a line."""
        return self.block // self.lanes


def address_bits(count: int) -> int:
    """Bits that tell `count` things apart; a port or signal has at least one."""
    return max(1, (count - 1).bit_length())


def next_power(count: int) -> int:
    """The least power of two that is not less."""
    return 1 << max(0, count - 1).bit_length()


def placed(sizes: Iterable[tuple[str, int]], first: int = 0) -> tuple[dict[str, int], int]:
    """Where each of several regions begins, one behind the other from `first` on, and their end."""
    bases: dict[str, int] = {}
    for name, size in sizes:
        bases[name] = first
        first += size
    return bases, first
