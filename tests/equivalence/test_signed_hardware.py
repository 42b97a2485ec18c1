"""Signed blocks on the simulated engine: golden's integers, the predicted cycles."""

import numpy as np
import pytest

from ernn.ir.network import Network
from ernn.ir.structure import BlockCirculant, Signed
from ernn.quantization.quantize import QuantizeSpec, quantize
from ernn.scheduling.design import Design
from tests.equivalence.test_cells_hardware import check
from tests.models import random_frames, random_gru, random_linear, random_lstm, restructured


@pytest.mark.parametrize("block", [4, 8])
def test_random_shapes(block: int) -> None:
    """Layers in signed blocks, half as large where recurrent, and a dense output layer that reads
    what was turned.
    """
    rng = np.random.default_rng(block)
    plain = BlockCirculant(block, pad=True)
    if block == 4:
        first = random_lstm(rng, 7, 12, plain, peepholes=True, projection=8)
    else:
        first = random_gru(rng, 7, 16, plain, reset="before")
    second = random_gru(rng, first.output_size, 8, plain)
    network = Network((first, second, random_linear(rng, 8, 5)))
    network = restructured(
        network,
        lambda read, matrix: (
            Signed(BlockCirculant(block >> read.delay, pad=True), read.delay)
            if matrix.structure == plain
            else matrix.structure
        ),
    )
    words = 8 // block  # lines of eight numbers both times
    design = Design(2 * words, 2, 2, 2, splits=2, words=words, overlap=2, staggered=True)
    model = quantize(network, [random_frames(rng, network)], QuantizeSpec(10, 13))
    check(model, design, block)
