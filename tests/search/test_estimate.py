"""Estimated cycles: near what is scheduled where the engine runs the network, counted by hand where it does not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ernn.compress.methods.low_rank import LowRank
from ernn.compress.methods.tensor_train import TensorTrain
from ernn.compress.methods.tucker import Tucker
from ernn.design import Design
from ernn.device import Figure, find_device
from ernn.errors import UserError
from ernn.network import Network
from ernn.quantize import quantize
from ernn.schedule import schedule
from ernn.search.estimate import best_estimate, estimate
from ernn.search.space import Kernel, kernels
from tests.golden.test_factors import low_rank
from tests.golden.test_trains import compressed
from tests.models import random_frames, random_gru, random_linear, random_lstm

Rng = np.random.Generator
NETWORKS: dict[str, Callable[[Rng], Network]] = {
    "low rank": lambda rng: low_rank(Network((random_gru(rng, 24, 48),)), LowRank(6)),
    "tucker": lambda rng: low_rank(Network((random_lstm(rng, 24, 64), random_linear(rng, 64, 30))), Tucker(8, 8)),
    "dense": lambda rng: Network((random_lstm(rng, 24, 64), random_linear(rng, 64, 30))),
}
DESIGNS = [
    Design(8, 2, 8, staggered=True),
    Design(16, 2, 2, splits=4, words=4, overlap=12, staggered=True),
    Design(16, 4, 2, splits=8, words=8, overlap=12, staggered=True),
]


@pytest.mark.parametrize("kind", NETWORKS)
def test_it_is_near_what_is_scheduled(kind: str) -> None:
    rng = np.random.default_rng(0)
    network = NETWORKS[kind](rng)
    model = quantize(network, [random_frames(rng, network)])
    for design in DESIGNS:
        ratio = estimate(model, design).cycles_per_frame / schedule(model, design).cycles_per_frame
        assert 0.7 <= ratio <= 1.15, design


def test_a_train_is_counted_core_by_core() -> None:
    rng = np.random.default_rng(0)
    train = TensorTrain((3, 4), (5, 2), 2)
    network = compressed(Network((random_linear(rng, 10, 12),)), lambda *_: train)
    model = quantize(network, [random_frames(rng, network)])
    last, first = model.repeated  # 5 vectors of 2 by (2 * 4, 2); 4 vectors of 10 by (3, 10)
    assert list(kernels(last, 1, 1)) == [Kernel(8, 2, 5)]
    assert list(kernels(first, 1, 1)) == [Kernel(3, 10, 4)]
    products = [one for product in (last, first) for one in kernels(product, 1, 1)]
    assert sum(one.rows * one.columns * one.times for one in products) == train.multiplications((12, 10))
    found = estimate(model, Design(4))
    assert found.array == 5 * 2 * 4 + 4 * 1 * 10  # passes of 4 rows: as long as the chain, or as the columns
    assert found.vector == 5 * 8 + 12  # a number between the cores, and one of the results, a cycle


def test_the_best_design_is_within_the_device() -> None:
    rng, device = np.random.default_rng(1), find_device("LFE5U-25F")
    network = compressed(Network((random_gru(rng, 16, 32),)), lambda r, c: TensorTrain((4, r // 4), (c // 4, 4), 3))
    model = quantize(network, [random_frames(rng, network)])
    found = best_estimate(model, device, 2)
    assert found.design.streams == 2 and found.design.elements <= device.dsp.value
    alone = estimate(model, Design(1, 2))
    assert found.cycles_per_frame < alone.cycles_per_frame / 4
    with pytest.raises(UserError, match="no room for an engine"):
        best_estimate(model, replace(device, dsp=Figure(1, "M", "this test")), 2)
