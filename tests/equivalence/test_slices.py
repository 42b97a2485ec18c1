"""Banks of weights of several widths: every bit is stored, none twice, in fewer block RAMs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ernn.estimate.device import Family
from ernn.estimate.memories import mapped
from ernn.estimate.units import Sizes, banks
from ernn.scheduling.design import Design
from ernn.scheduling.slices import Slice, block_rams, sliced, slices
from ernn.scheduling.weight_banks import unpack
from tests.equivalence.cases import SEEDS


@st.composite
def some_banks(draw: st.DrawFn) -> tuple[list[int], int, int]:
    """Zeros of every word, rising, bits of a weight, weights of a word."""
    width = draw(st.integers(2, 18))
    counts = draw(
        st.dictionaries(st.integers(0, width - 1), st.integers(1, 2500), min_size=1, max_size=5)
    )
    zeros = [zero for zero in sorted(counts) for _ in range(counts[zero])]
    return zeros, width, draw(st.sampled_from([1, 2, 4, 8, 16, 32]))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(some_banks(), st.booleans(), SEEDS)
def test_slices_hold_every_bit_once(
    bank: tuple[list[int], int, int], parity: bool, seed: int
) -> None:
    zeros, width, numbers = bank
    found = slices(zeros, width, numbers, 72, parity)
    cuts = [one.low for one in reversed(found)] + [width]
    assert cuts[0] == zeros[0] and [one.high for one in reversed(found)] == cuts[1:]
    assert found[0].words == len(zeros) and [one.parity for one in found] == [
        parity and one is found[0] for one in found
    ]
    few = len(zeros) // 500 + 1  # words that are looked at
    ends = np.array(zeros)[::few, None]
    drawn = np.random.default_rng(seed).integers(
        -(1 << width - 1), 1 << width - 1, (len(ends), numbers)
    )
    weights = drawn >> ends << ends
    total = np.zeros_like(weights)
    for one in found:
        own, bits = Slice(one.low, one.high, -(-one.words // few)), one.high - one.low
        held = unpack(sliced(weights, own, width), bits, numbers)
        total[: own.words] += (held if one is found[0] else held % (1 << bits)) << own.low
    assert np.array_equal(total, weights)


@pytest.mark.parametrize(("family", "worse"), [("ecp5", 3), ("xc7", 15)])
def test_slices_save_block_ram(family: Family, worse: int) -> None:
    """Of 300 random banks few take more than one memory would, and these a block RAM or two: what
    Yosys makes of logic is told by ECP5's rules.
    """
    random, extra = np.random.default_rng(1), []
    for _ in range(300):
        width, numbers = int(random.integers(2, 19)), 1 << int(random.integers(0, 6))
        zeros = np.repeat(np.sort(random.integers(0, width, 3)), random.integers(1, 2000, 3))
        found = slices(zeros.tolist(), width, numbers, 72)
        parts = [(1, one.words, one.bits(numbers)) for one in found]
        whole = 1, len(zeros), numbers * (width - int(zeros[0]))
        extra.append(taken(parts, family) - taken([whole], family))
    assert sum(one > 0 for one in extra) <= worse and max(extra) <= 36 and sum(extra) < -5000


def taken(parts: Sizes, family: Family) -> int:
    """kbit of a bank's slices."""
    found = (one for one in banks(parts, Design(1)) if one.width)
    return sum(one.count * mapped(one, family).kbit for one in found)


def test_half_of_the_words_in_eight_bits_of_twelve_save_a_seventh() -> None:
    """2,048 words of 16 weights: 22 block RAMs, 9 bits each; 15, and 4 of 18 bits for the first
    half.
    """
    found = slices([0] * 1024 + [4] * 1024, 12, 16, 72)
    assert found == (Slice(4, 12, 2048), Slice(0, 4, 1024))
    assert [block_rams(one.words, one.bits(16), 72) for one in found] == [15, 4]
    assert (
        slices([0] * 2048, 12, 16, 72) == (Slice(0, 12, 2048),) and block_rams(2048, 192, 72) == 22
    )
