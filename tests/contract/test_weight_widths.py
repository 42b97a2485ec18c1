"""A width for each matrix: by name, kept by its parts, rounded to it and to no fewer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ernn.errors import UserError
from ernn.golden import precision
from ernn.ir.edges import is_of
from ernn.ir.fixed_point import dequantize
from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import SpectralMatrix
from ernn.ir.layers import lstm
from ernn.ir.network import Factored, Matrix, Network
from ernn.ir.serialization import digest
from ernn.quantization.lowering import lowered
from ernn.quantization.quantize import QuantizeSpec, quantize
from ernn.quantization.widths import named, names
from tests.models import random_frames, random_linear, random_network

NAMES = ("l0.gates.x", "l0.gates.h@1", "l1.gates.x", "l1.gates.h@1", "l2.product.x")


def some(seed: int, block: int = 4) -> tuple[Network, list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    network = random_network(rng, "lstm", 6, 8, layers=2, outputs=3, block=block)
    return network, [random_frames(rng, network, 60) for _ in range(4)]


def matrices(model: IntegerModel) -> list[SpectralMatrix]:
    products = (product for layer in model.layers for product in layer.products)
    found = [operand.matrix for product in products for operand in product.operands]
    assert all(isinstance(one, SpectralMatrix) for one in found)
    return found  # pyright: ignore[reportReturnType]


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    st.integers(0, 1 << 16),
    st.sampled_from([1, 4]),
    st.lists(st.integers(2, 18), min_size=5, max_size=5),
)
def test_every_matrix_has_the_bits_asked_for(seed: int, block: int, bits: list[int]) -> None:
    """Its weights are off by half a step of so many bits over their range, or of as many as a
    network of that width for all gives it.
    """
    network, frames = some(seed, block)
    assert names(named(network)) == NAMES
    widths: dict[str, int] = dict(zip(NAMES, bits, strict=True))
    model = quantize(network, frames, QuantizeSpec(weights=widths))
    assert model.weight_bits <= max(bits)
    for name, matrix in zip(NAMES, matrices(model), strict=True):
        assert matrix.bits <= max(bits)
        stored = matrix.weights >> matrix.zeros
        assert np.abs(stored).max() <= 1 << (widths[name] - 1)  # no more bits than asked for
    (alone,) = set(bits) if len(set(bits)) == 1 else (None,)
    if alone:
        assert digest(model) == digest(quantize(network, frames, QuantizeSpec(alone)))


def test_a_narrow_matrix_is_as_good_as_its_bits_and_costs_the_others_nothing() -> None:
    network, frames = some(0, 1)
    wide = quantize(network, frames, QuantizeSpec(12))
    mixed = quantize(network, frames, QuantizeSpec(12, weights={"l0.gates.x": 6, "l2": 8}))
    assert [one.bits for one in matrices(mixed)] == [6, 12, 12, 12, 8]
    for one, other in zip(matrices(wide)[1:4], matrices(mixed)[1:4], strict=True):
        assert np.array_equal(one.weights, other.weights)
    of_x, given = matrices(mixed)[0], network.layers[0].weights[0][0].value
    off = np.abs(dequantize(of_x.weights[..., 0], of_x.format) - given)
    assert off.max() <= of_x.format.step * 2**of_x.zeros / 2


def test_the_longest_name_counts() -> None:
    spec = QuantizeSpec(12, weights={"l0": 8, "l0.gates.h": 5, "l1": 7})
    assert [spec.weight_width(name) for name in NAMES] == [8, 5, 7, 7, 12]
    assert not is_of("l10.gates.x", "l1")


def test_fewer_bits_for_a_matrix_cost_less_than_for_all() -> None:
    network, frames = some(1)

    def error(spec: QuantizeSpec) -> float:
        return precision(network, quantize(network, frames[:2], spec), frames[2:]).rms

    some_few = error(QuantizeSpec(12, weights={"l0.gates.x": 5}))
    assert error(QuantizeSpec(12)) < some_few < error(QuantizeSpec(5))


def test_parts_of_a_matrix_keep_its_name() -> None:
    """Factors, gates apart, blocks of another size: what a network is rewritten to."""
    rng = np.random.default_rng(2)
    left, right = rng.normal(size=(4, 8, 2)), rng.normal(size=(4, 2, 6))
    low = Factored(left @ right, factors=(Matrix(left), Matrix(right)))
    layer = lstm(low, Matrix(rng.normal(size=(4, 8, 8))), np.zeros((4, 8)))
    network = Network((layer, random_linear(rng, 8, 3)))
    parts = lowered(named(network))
    assert set(names(parts)) == {"l0.gates.x", "l0.gates.h@1", "l1.product.x"}
    frames = [random_frames(rng, network) for _ in range(2)]
    model = quantize(network, frames, QuantizeSpec(12, weights={"l0.gates.x": 4}))
    assert sorted(one.bits for one in matrices(model)).count(4) >= 4


def test_what_is_not_there_is_refused() -> None:
    network, frames = some(3)
    with pytest.raises(
        UserError, match=r"no weights are called l7: the network has l0\.gates\.x, "
    ):
        quantize(network, frames, QuantizeSpec(weights={"l7": 8}))
