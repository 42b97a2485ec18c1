"""A block size for each matrix: the network is the same, and so are its integers, however they are
computed.
"""

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from ernn.errors import UserError
from ernn.golden import run, trace
from ernn.golden.compiled import Compiled
from ernn.golden.precision import precision
from ernn.ir import reference
from ernn.ir.network import Matrix, Network
from ernn.ir.structure import BlockCirculant, Structure
from ernn.quantization.lowering import lowered
from ernn.quantization.quantize import QuantizeSpec, quantize
from tests.golden.exact import Exact
from tests.golden.test_golden import CELLS, SEEDS, SPECS, any_frames
from tests.models import (
    in_blocks_of,
    random_frames,
    random_network,
    restructured,
    with_exponents,
)
from tests.networks import networks


@settings(max_examples=15, deadline=None)
@given(networks(blocks=(1,)), SEEDS)
def test_any_network_is_the_same(network: Network, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mixed = in_blocks_of(rng, network, (1, 2, 4, 8))
    frames = rng.normal(size=(9, network.input_size))
    with np.errstate(all="ignore"):
        expected, found = (reference.run(one, frames)[0] for one in (mixed, lowered(mixed)))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.sampled_from(CELLS), SPECS, st.integers(1, 9), st.integers(1, 9))
def test_every_integer_is_what_the_contract_says(seed, cell, spec, inputs, hidden):
    rng = np.random.default_rng(seed)
    network = random_network(rng, **cell, block=1, input_size=inputs, hidden=hidden)
    network = in_blocks_of(rng, network, (1, 2, 4, 8, 16))
    model = quantize(network, [random_frames(rng, network) for _ in range(2)], spec)
    model = with_exponents(rng, model) if seed % 2 else model
    frames, exact = any_frames(rng, model, 3), Exact(model)
    assert run(model, frames).tolist() == [exact.frame(frame) for frame in frames.tolist()]


@settings(max_examples=10, deadline=None)
@given(networks(blocks=(1,)), SEEDS, SPECS)
def test_the_compiled_form_is_equal_on_every_edge(network, seed, spec):
    rng = np.random.default_rng(seed)
    network = in_blocks_of(rng, network, (1, 2, 8, 16))
    try:
        model = quantize(network, [random_frames(rng, network)], spec)
    except UserError:  # a sum would need more than 62 bits
        reject()
    model = with_exponents(rng, model) if seed % 2 else model
    frames = any_frames(rng, model, 4)
    plain, fast = trace(model, frames), trace(model, frames, Compiled)
    assert plain.keys() == fast.keys()
    for edge, values in plain.items():
        np.testing.assert_array_equal(fast[edge], values, err_msg=edge)


@pytest.mark.parametrize("sizes", [(2, 8), (4, 16), (8, 32)])
def test_integers_are_as_near_the_floats_in_longer_words(sizes: tuple[int, int]) -> None:
    """A layer in blocks of one size, whose words are as long, and longer because of another layer:
    the rms error is 1.6 times as large at most, in the mean over many networks as large."""
    rng, (own, longer) = np.random.default_rng(1), sizes
    network = random_network(rng, cell="gru", input_size=32, hidden=64, outputs=64, block=own)
    frames, errors = [random_frames(rng, network, 100) for _ in range(2)], []
    for one in (network, restructured(network, lambda read, m: output_in(longer, m, own))):
        model = quantize(one, frames, QuantizeSpec(12, 16))
        edges = precision(one, model, frames).edges
        errors.append(next(edge.rms for edge in edges if edge.edge == "l0.h"))
        assert model.block == (longer if len(errors) == 2 else own)
    assert errors[1] < 1.6 * errors[0], errors


def output_in(size: int, matrix: Matrix, others: int) -> Structure:
    """The output matrix in blocks of one size, the others in another."""
    return BlockCirculant(size if len(matrix.value) == 1 and size > others else others)
