"""Weights of several widths in one bank: which bits every word needs, and which only some.

The weights of narrow matrices end in zeros (`SpectralMatrix.zeros`).  Words lie in a bank by how
many zeros theirs end in, the fewest first, so that the lowest bits of all weights are needed by the
first words alone.  A *slice* is a memory of its own for some bits of every weight, of as many words
as need any of them; behind them its bits are 0.  Of all ways to cut, the one with the fewest block
RAMs is taken, and of several the one with the fewest slices: a bank of one width is one slice.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from ernn.scheduling.weight_banks import SHAPES, in_memories, pack

LOGIC = 2048
"""Bits a block RAM, below which a memory is made of logic."""


@dataclass(frozen=True)
class Slice:
    """Bits `low` up to `high` of every weight in a bank's first `words` words; `parity`: and the
    words' parity bits."""

    low: int
    high: int
    words: int
    parity: bool = False

    def bits(self, weights: int) -> int:
        """Of a word of so many weights."""
        return weights * (self.high - self.low) + self.parity


def slices(
    zeros: Sequence[int], width: int, weights: int, tail: int, parity: bool = False
) -> tuple[Slice, ...]:
    """The slices of a bank, that of the highest bits first.

    zeros: that the weights of every word end in, rising. width: bits of a weight, with its zeros.
    weights: of a word. tail: `Design.tail`.
    """
    cuts = (*dict.fromkeys(zeros), width)
    best: list[tuple[int, tuple[Slice, ...]]] = [(0, ())]  # from each cut on, the last one first
    for number in reversed(range(len(cuts) - 1)):
        found = []
        for (blocks, others), until in zip(best, reversed(cuts[number + 1 :]), strict=True):
            words = bisect_left(zeros, until)
            one = Slice(cuts[number], until, words, parity and until == width)
            found.append((blocks + block_rams(words, one.bits(weights), tail), (*others, one)))
        best.append(min(found, key=lambda one: (one[0], len(one[1]))))
    return best[-1][1]


def sliced(bank: np.ndarray, one: Slice, width: int) -> list[int]:
    """A slice's words of a bank of weights (words, numbers) of `width` bits; with parity, an even
    number of all of a word's bits is 1.
    """
    words = pack(bank[: one.words] >> one.low, one.high - one.low)
    if not one.parity:
        return words
    top = one.bits(bank.shape[1]) - 1
    odd = (word.bit_count() & 1 for word in pack(bank, width))
    return [word | bit << top for word, bit in zip(words, odd, strict=True)]


def block_rams(words: int, bits: int, tail: int) -> int:
    """Block RAMs of 18 kbit that a bank's memories of `bits` bits a word take, or of its last words
    `tail` bits, the others being made of logic.
    """
    depths = in_memories(words, bits)
    return sum(_blocks(depth, bits) for depth in depths) + _blocks(
        words - sum(depths), min(bits, tail)
    )


def _blocks(depth: int, bits: int) -> int:
    """Of one memory in its best shape, whose rows share one; none where Yosys makes it of logic,
    for which it counts a bit as a 2,048th of a block RAM.
    """
    blocks = min(ceil(ceil(depth / deep) * bits / wide) for deep, wide in SHAPES)
    return blocks if depth * bits > blocks * LOGIC else 0
