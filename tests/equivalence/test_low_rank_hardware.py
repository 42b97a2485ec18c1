"""Low rank and Tucker on the simulated engine: products of products, golden's integers, the
predicted cycles.
"""

import numpy as np
import pytest

from ernn.compress.methods.low_rank import LowRank
from ernn.compress.methods.tucker import Tucker
from ernn.ir.network import Network
from ernn.quantization.quantize import QuantizeSpec, quantize
from ernn.scheduling.design import Design
from tests.equivalence.test_cells_hardware import check
from tests.golden.test_factors import low_rank
from tests.models import random_frames, random_gru, random_linear, random_lstm


@pytest.mark.parametrize("seed", [1, 2])
def test_random_shapes(seed: int) -> None:
    """A layer and an output layer of low rank, dense ones beside them."""
    rng = np.random.default_rng(seed)
    inputs, hidden, outputs = (int(size) for size in rng.integers(4, 14, 3))
    structure = LowRank(int(rng.integers(1, 4)), stacked=bool(seed % 2))
    if seed == 1:
        layer = random_lstm(rng, inputs, hidden, peepholes=True, projection=hidden - 1)
    else:
        layer = random_gru(rng, inputs, hidden, reset="after")
    recurrent = LowRank(structure.rank + 1) if seed == 2 else None
    factored = low_rank(
        Network((layer, random_linear(rng, layer.output_size, outputs))), structure, recurrent
    )
    network = Network((*factored.layers, random_gru(rng, outputs, 5)))
    words = int(rng.integers(1, 3))
    design = Design(2 * words, 2, 2, splits=words, words=words, overlap=2, staggered=True)
    model = quantize(network, [random_frames(rng, network)], QuantizeSpec(10, 13))
    check(model, design, seed)


def test_tucker_is_three_products() -> None:
    rng = np.random.default_rng(3)
    network = low_rank(
        Network((random_gru(rng, 7, 6, reset="before"),)), Tucker(3, 4), Tucker(4, 2)
    )
    model = quantize(network, [random_frames(rng, network)], QuantizeSpec(10, 13))
    check(model, Design(3, 2, 2, overlap=2), 3)
