"""Banks of weights of several widths: every bit is stored, none twice, in as few block RAMs as one
memory of the widest would take or fewer.
"""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ernn.estimate.device import Family
from ernn.estimate.memories import mapped
from ernn.estimate.units import banks
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


@settings(max_examples=60, deadline=None, derandomize=True)
@given(some_banks(), st.booleans(), SEEDS)
def test_slices_hold_every_bit_once(
    bank: tuple[list[int], int, int], parity: bool, seed: int
) -> None:
    zeros, width, numbers = bank
    found = slices(zeros, width, numbers, parity)
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


@settings(max_examples=60, deadline=None, derandomize=True)
@given(some_banks(), st.sampled_from(["ecp5", "xc7"]))
def test_slices_take_no_more_block_ram_than_one_memory(
    bank: tuple[list[int], int, int], family: Family
) -> None:
    zeros, width, numbers = bank
    found = slices(zeros, width, numbers)

    def taken(parts: list[tuple[int, int]]) -> int:
        return sum(one.count * mapped(one, family).kbit for one in banks(parts, Design(1)))

    whole = len(zeros), numbers * (width - zeros[0])
    assert sum(block_rams(one.words, one.bits(numbers)) for one in found) <= block_rams(*whole)
    assert taken([(one.words, one.bits(numbers)) for one in found]) <= taken([whole])


def test_half_of_the_words_in_eight_bits_of_twelve_save_a_seventh() -> None:
    """2,048 words of 16 weights: 22 block RAMs, 9 bits each; 15, and 4 of 18 bits for the first
    half.
    """
    found = slices([0] * 1024 + [4] * 1024, 12, 16)
    assert found == (Slice(4, 12, 2048), Slice(0, 4, 1024))
    assert [block_rams(one.words, one.bits(16)) for one in found] == [15, 4]
    assert slices([0] * 2048, 12, 16) == (Slice(0, 12, 2048),) and block_rams(2048, 192) == 22
