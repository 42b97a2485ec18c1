"""Noise, chosen perturbations, flipped bits, and products updated only by what has changed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import train_toy as toy

from ernn.data.batches import collate
from ernn.deltas.reference import run_deltas
from ernn.errors import UserError
from ernn.golden.faults import memory_bits, with_upsets
from ernn.golden.run import run
from ernn.ir.compact import COMPACT
from ernn.ir.network import Matrix, Network
from ernn.ir.reference import run_all
from ernn.quantization.quantize import quantize
from ernn.train.evaluate import evaluate_model
from ernn.train.module import ctc
from ernn.train.robustness import attacked, noisy
from ernn.train.stages import train_dense
from tests.cells import random_cell
from tests.models import random_frames, random_gru, random_linear, random_lstm


def test_noise_and_attacks_cost_what_they_should() -> None:
    model, task = toy.model(), toy.task()
    train_dense(model, task, toy.SPEC, progress=False)
    examples = toy.examples(16, 9)

    def loss(found: list) -> float:
        with torch.no_grad():
            return float(ctc(model.eval()(collate(found).features), collate(found)))

    noise, fast, strong = (
        noisy(examples, 0.2, 1),
        attacked(model, examples, 0.2),
        attacked(model, examples, 0.2, 5),
    )
    for found in (noise, fast, strong):
        assert [e.labels for e in found] == [e.labels for e in examples]
    for found in (fast, strong):
        moved = [
            np.abs(a.features - b.features).max() for a, b in zip(found, examples, strict=True)
        ]
        assert max(moved) <= 0.2 + 1e-6 and min(moved) > 0.1
    assert loss(examples) < loss(noise) < loss(fast) <= loss(strong) * 1.05
    assert evaluate_model(model, fast).rate >= evaluate_model(model, examples).rate
    again = noisy(examples, 0.2, 1)
    assert all(np.array_equal(a.features, b.features) for a, b in zip(noise, again, strict=True))
    unmoved = attacked(model, examples, 0.0)
    assert all(
        np.array_equal(a.features, b.features) for a, b in zip(unmoved, examples, strict=True)
    )
    with pytest.raises(UserError, match="at least one step"):
        attacked(model, examples, 0.1, 0)


def test_upsets_flip_exactly_as_many_bits() -> None:
    rng = np.random.default_rng(0)
    network = Network((random_lstm(rng, 5, 8), random_linear(rng, 8, 3)))
    model = quantize(network, [random_frames(rng, network)])
    weights = [o.matrix for layer in model.layers for p in layer.products for o in p.operands]
    assert memory_bits(model) == sum(
        matrix.weights.size * matrix.format.width for matrix in weights
    )
    struck = with_upsets(model, 37, seed=3)
    after = [o.matrix for layer in struck.layers for p in layer.products for o in p.operands]
    mask = (1 << 12) - 1
    changed = [
        ((a.weights ^ b.weights) & mask).ravel() for a, b in zip(weights, after, strict=True)
    ]
    flips = sum(int(word).bit_count() for words in changed for word in words)
    assert flips == 37
    frames = rng.integers(-1000, 1000, size=(6, 5))
    assert not np.array_equal(run(model, frames), run(struck, frames))
    assert np.array_equal(run(with_upsets(model, 0, 1), frames), run(model, frames))
    tables = with_upsets(model, 5, seed=1, memory="tables")
    pairs = ((model.sigmoid, tables.sigmoid), (model.tanh, tables.tanh))
    assert 1 <= sum((a.base != b.base).sum() for a, b in pairs) <= 5
    with pytest.raises(UserError, match="flip 0 to"):
        with_upsets(model, memory_bits(model) + 1, 0)


def test_of_a_sparse_network_only_what_is_stored_flips() -> None:
    rng = np.random.default_rng(5)
    layer = random_linear(rng, 6, 4)
    pruned = replace(
        layer, weight=Matrix(layer.weight.value * (rng.random(layer.weight.value.shape) < 0.4))
    )
    model = quantize(Network((pruned,)), [rng.standard_normal((20, 6))])
    (matrix,) = (o.matrix for layer in model.layers for p in layer.products for o in p.operands)
    bits = memory_bits(model, zeros=False)
    assert 0 < bits == np.count_nonzero(matrix.weights) * matrix.format.width < memory_bits(model)
    struck = with_upsets(model, bits, seed=0, zeros=False)
    (after,) = (o.matrix for layer in struck.layers for p in layer.products for o in p.operands)
    assert np.array_equal(after.weights, np.where(matrix.weights == 0, 0, ~matrix.weights))


@pytest.mark.parametrize("kind", ["lstm", "gru", "before", "sru"])
def test_deltas_without_a_threshold_are_the_reference(kind: str) -> None:
    rng = np.random.default_rng(1)
    layer = {
        "lstm": lambda: random_lstm(rng, 5, 8, projection=4, peepholes=True),
        "gru": lambda: random_gru(rng, 5, 8),
        "before": lambda: random_gru(rng, 5, 8, reset="before"),
        "sru": lambda: random_cell(rng, COMPACT["sru"], 5, 8),
    }[kind]()
    network = Network((layer, random_linear(rng, layer.output_size, 3)))
    utterances = [random_frames(rng, network, 15) for _ in range(2)]
    outputs, work = run_deltas(network, utterances, 0.0)
    for found, expected in zip(outputs, run_all(network, utterances), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)
    assert work.dense == 30 * sum(m.value.size for one in network.layers for m in one.matrices)
    assert 0.9 < work.share <= 1


def test_a_higher_threshold_costs_less_and_errs_more() -> None:
    rng = np.random.default_rng(2)
    network = Network((random_gru(rng, 6, 10), random_linear(rng, 10, 4)))
    utterances = [random_frames(rng, network, 40)]
    expected = run_all(network, utterances)[0]
    errors, shares = [], []
    for threshold in (0.0, 0.05, 0.3):
        (found,), work = run_deltas(network, utterances, threshold)
        errors.append(np.abs(found - expected).max())
        shares.append(work.share)
    assert (
        errors == sorted(errors)
        and shares == sorted(shares, reverse=True)
        and shares[-1] < 0.7 * shares[0]
    )
    still = [np.ones((20, 6))]
    (_,), work = run_deltas(network, still, [10.0, 10.0])
    assert work.multiplications == 0
    with pytest.raises(UserError, match="one threshold"):
        run_deltas(network, utterances, [0.1])
