"""Compiled golden is the plain one on every edge, whatever the network: any cells in any graph."""

import numpy as np
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from ernn.errors import UserError
from ernn.golden import Compiled, trace
from ernn.ir.network import Network
from ernn.quantization.quantize import QuantizeSpec, quantize
from tests.models import random_frames
from tests.networks import networks


@settings(max_examples=20, deadline=None, derandomize=True)
@given(networks(), st.integers(0, 1 << 20))
def test_compiled_is_plain(network: Network, seed: int) -> None:
    rng = np.random.default_rng(seed)
    spec = QuantizeSpec(int(rng.integers(4, 14)), int(rng.integers(5, 19)))
    try:
        model = quantize(network, [random_frames(rng, network)], spec)
    except UserError:  # a sum would need more than 62 bits
        reject()
    low, high = model.input.format.low, model.input.format.high
    frames = rng.integers(low, high, size=(9, network.input_size))  # saturating too
    plain, found = trace(model, frames), trace(model, frames, Compiled)
    assert plain.keys() == found.keys()
    for edge, values in plain.items():
        np.testing.assert_array_equal(found[edge], values, err_msg=edge)
