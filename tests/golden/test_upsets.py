"""Bits flipped in an integer model's memories: each of them can be struck, none twice."""

import numpy as np
import pytest

from ernn.errors import UserError
from ernn.golden.faults import Memory, memory_bits, with_upsets
from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import SpectralMatrix
from ernn.ir.kronecker import RepeatedMatrix
from ernn.ir.network import Network
from ernn.quantization.quantize import QuantizeSpec, quantize
from tests.golden.test_trains import compressed, pair
from tests.models import random_frames, random_gru, random_linear

Numbers = list[tuple[np.ndarray, int]]


def stored(model: IntegerModel, memory: Memory) -> Numbers:
    """The numbers of a memory, and their width."""
    if memory == "tables":
        return [(table.base, table.output.width) for table in model.tables]
    matrices = [o.matrix for layer in model.layers for p in layer.products for o in p.operands]
    assert {type(matrix) for matrix in matrices} == {SpectralMatrix, RepeatedMatrix}
    return [
        (m.core if isinstance(m, RepeatedMatrix) else m.weights, m.format.width) for m in matrices
    ]


@pytest.fixture(scope="module")
def model() -> IntegerModel:
    """A tensor train, kept as its cores, and a dense layer."""
    rng = np.random.default_rng(0)
    train = compressed(Network((random_gru(rng, 6, 8),)), pair)
    network = Network((*train.layers, random_linear(rng, 8, 2)))
    return quantize(network, [random_frames(rng, network)], QuantizeSpec(5, 7, segment_bits=3))


@pytest.mark.parametrize("memory", ["weights", "tables"])
def test_all_bits_flipped_are_the_complement(model: IntegerModel, memory: Memory) -> None:
    before, total = stored(model, memory), memory_bits(model, memory)
    assert total == sum(numbers.size * width for numbers, width in before)
    for (old, _), (new, _) in zip(
        before, stored(with_upsets(model, total, 1, memory), memory), strict=True
    ):
        np.testing.assert_array_equal(new, ~old)


@pytest.mark.parametrize("memory", ["weights", "tables"])
def test_as_many_different_bits_as_asked_for_and_others_with_another_seed(
    model: IntegerModel, memory: Memory
) -> None:
    half, found = memory_bits(model, memory) // 2, []
    for seed in (1, 2):
        after = stored(with_upsets(model, half, seed, memory), memory)
        found.append(
            [
                (old ^ new) & ((1 << w) - 1)
                for (old, w), (new, _) in zip(stored(model, memory), after, strict=True)
            ]
        )
        assert sum(int(word).bit_count() for words in found[-1] for word in words.flat) == half
    assert any((a != b).any() for a, b in zip(*found, strict=True))
    for count in (-1, memory_bits(model, memory) + 1):
        with pytest.raises(UserError, match=f"the model's {memory} have .* not {count}"):
            with_upsets(model, count, 0, memory)


def test_zeros_that_are_not_stored_are_not_struck(model: IntegerModel) -> None:
    before = stored(model, "weights")
    total = memory_bits(model, zeros=False)
    assert (
        total
        == sum(np.count_nonzero(numbers) * width for numbers, width in before)
        < memory_bits(model)
    )
    for (old, _), (new, _) in zip(
        before, stored(with_upsets(model, total, 1, zeros=False), "weights"), strict=True
    ):
        np.testing.assert_array_equal(new, np.where(old == 0, 0, ~old))
