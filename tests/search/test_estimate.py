"""Estimated cycles: near what is scheduled where the engine runs the network,
counted by hand where it does not.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ernn.compress.methods.low_rank import LowRank
from ernn.compress.methods.tensor_train import TensorTrain
from ernn.compress.methods.tucker import Tucker
from ernn.errors import UserError
from ernn.estimate.clock import Clock
from ernn.estimate.device import Figure, find_device
from ernn.ir.network import Network
from ernn.ir.structure import BlockCirculant
from ernn.quantization.quantize import quantize
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import schedule
from ernn.search.estimate import best_estimate, estimate
from ernn.search.space import Space
from ernn.search.work import Kernel, kernels
from tests.golden.test_factors import low_rank
from tests.golden.test_trains import compressed
from tests.models import random_frames, random_gru, random_linear, random_lstm

Rng = np.random.Generator
NETWORKS: dict[str, Callable[[Rng], Network]] = {
    "low rank": lambda rng: low_rank(Network((random_gru(rng, 24, 48),)), LowRank(6)),
    "tucker": lambda rng: low_rank(
        Network((random_lstm(rng, 24, 64), random_linear(rng, 64, 30))), Tucker(8, 8)
    ),
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
    assert sum(one.rows * one.columns * one.times for one in products) == train.multiplications(
        (12, 10)
    )
    found = estimate(model, Design(4))
    # Passes of 4 rows: as long as the chain, or as the columns.
    assert found.array == 5 * 2 * 4 + 4 * 1 * 10
    assert found.vector == 5 * 8 + 12  # a number between the cores, and one of the results, a cycle


def test_an_lstm_is_counted_by_hand() -> None:
    """With the latencies of docs/explanation/engine.md; four steps in a row: i, c, t, h."""
    rng = np.random.default_rng(0)
    network = Network((random_lstm(rng, 24, 64), random_linear(rng, 64, 30)))
    model = quantize(network, [random_frames(rng, network)])
    wide = estimate(model, Design(64))
    assert (wide.array, wide.vector) == (4 * 88 + 1 * 64, 8 * 64 + 30)
    # dense: both roundings of a sum at once, and spectra that are never saturated
    product, spectrum = 8 + 5 + 63 + 4 + 1, 22 + 1 + 1 + 1
    assert wide.loop == 8 * 64 + product + 3 * 22 + spectrum  # steps take longer than the passes
    assert wide.cycles_per_frame == wide.loop
    narrow = estimate(model, Design(8, 2))
    assert (narrow.array, narrow.loop) == (
        32 * 88 + 4 * 64,
        32 * 88 + (product - 56) + 3 * 22 + spectrum,
    )
    assert narrow.cycles_per_frame == narrow.array
    many = estimate(model, Design(64, 16))  # a loop of 16 streams is less a frame than their steps
    assert many.cycles_per_frame == 8 * 64 + 30 > max(many.array, many.loop / 16)
    blocks = Network((random_gru(rng, 16, 24, BlockCirculant(8)),))
    beats = estimate(quantize(blocks, [random_frames(rng, blocks)]), Design(2, lanes=2))
    # Terms of r, z, u, n, h; three words, two numbers a cycle.
    assert beats.vector == (1 + 1 + 1 + 1 + 3) * 3 * 4


def test_weight_banks_are_within_nine_tenths_of_the_block_ram() -> None:
    """A core of 4096 numbers of 12 bits takes three blocks of 18 kbit
    at least, whatever else there is.
    """
    rng, device = np.random.default_rng(2), find_device("LFE5U-25F")
    network = compressed(
        Network((random_linear(rng, 64, 64),)), lambda *_: TensorTrain((4, 16), (4, 16), 16)
    )
    model = quantize(network, [random_frames(rng, network)])
    for kbit in (40, 59):
        with pytest.raises(UserError, match="no room for an engine"):
            best_estimate(model, replace(device, block_ram=Figure(kbit, "M", "this test")), 1)
    # 54 of 60
    assert (
        best_estimate(model, replace(device, block_ram=Figure(60, "M", "this test")), 1).array > 0
    )


def test_the_best_design_is_within_the_device() -> None:
    rng, device = np.random.default_rng(1), find_device("LFE5U-25F")
    network = compressed(
        Network((random_gru(rng, 16, 32),)), lambda r, c: TensorTrain((4, r // 4), (c // 4, 4), 3)
    )
    model = quantize(network, [random_frames(rng, network)])
    found = best_estimate(model, device, 2)
    assert found.design.streams == 2 and found.design.elements <= device.dsp.value
    alone = estimate(model, Design(1, 2))
    assert found.cycles_per_frame < alone.cycles_per_frame / 4
    clock = Clock.assumed(device)
    designs = (
        next(shape.designs(2)) for shape in Space(model, device, clock, "throughput").shapes()
    )
    times = [estimate(model, design).time(clock) for design in designs]
    assert found.time(clock) == min(times) < times[-1]
    with pytest.raises(UserError, match="no room for an engine"):
        best_estimate(model, replace(device, dsp=Figure(1, "M", "this test")), 2)
