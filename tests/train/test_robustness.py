"""Noise, chosen perturbations, flipped bits."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import train_toy as toy

from ernn.data.batches import collate
from ernn.errors import UserError
from ernn.golden.faults import memory_bits, with_upsets
from ernn.golden.run import run
from ernn.ir.network import Matrix, Network
from ernn.quantization.quantize import quantize
from ernn.train.evaluate import evaluate_model
from ernn.train.loss import ctc
from ernn.train.robustness import attacked, noisy
from ernn.train.stages import train_dense
from tests.models import random_frames, random_linear, random_lstm


def test_noise_and_attacks_cost_what_they_should() -> None:
    model, task = toy.model(), toy.task()
    train_dense(model, task, toy.SPEC, progress=False)
    examples = toy.examples(16, 9)

    def loss(found: list) -> float:
        with torch.no_grad():
            return float(ctc(model.eval()(collate(found).features), collate(found)))

    noise, fast, strong = (
        noisy(examples, 0.2, 1),
        attacked(model, examples, toy.OBJECTIVE, 0.2),
        attacked(model, examples, toy.OBJECTIVE, 0.2, 5),
    )
    for found in (noise, fast, strong):
        assert [e.labels for e in found] == [e.labels for e in examples]
    for found in (fast, strong):
        moved = [
            np.abs(a.features - b.features).max() for a, b in zip(found, examples, strict=True)
        ]
        assert max(moved) <= 0.2 + 1e-6 and min(moved) > 0.1
    assert loss(examples) < loss(noise) < loss(fast) <= loss(strong) * 1.05
    before, after = (evaluate_model(model, e, toy.OBJECTIVE).rate for e in (examples, fast))
    assert after >= before
    again = noisy(examples, 0.2, 1)
    assert all(np.array_equal(a.features, b.features) for a, b in zip(noise, again, strict=True))
    unmoved = attacked(model, examples, toy.OBJECTIVE, 0.0)
    assert all(
        np.array_equal(a.features, b.features) for a, b in zip(unmoved, examples, strict=True)
    )
    with pytest.raises(UserError, match="at least one step"):
        attacked(model, examples, toy.OBJECTIVE, 0.1, 0)


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
    pairs = list(zip(model.tables, tables.tables, strict=True))
    assert 1 <= sum((a.base != b.base).sum() for a, b in pairs) <= 5
    with pytest.raises(UserError, match="flip 0 to"):
        with_upsets(model, memory_bits(model) + 1, 0)


def test_of_a_sparse_network_only_what_is_stored_flips() -> None:
    rng = np.random.default_rng(5)
    layer = random_linear(rng, 6, 4)
    value = layer.matrices[0].value
    pruned = replace(layer, weights=((Matrix(value * (rng.random(value.shape) < 0.4)),),))
    model = quantize(Network((pruned,)), [rng.standard_normal((20, 6))])
    (matrix,) = (o.matrix for layer in model.layers for p in layer.products for o in p.operands)
    bits = memory_bits(model, zeros=False)
    assert 0 < bits == np.count_nonzero(matrix.weights) * matrix.format.width < memory_bits(model)
    struck = with_upsets(model, bits, seed=0, zeros=False)
    (after,) = (o.matrix for layer in struck.layers for p in layer.products for o in p.operands)
    assert np.array_equal(after.weights, np.where(matrix.weights == 0, 0, ~matrix.weights))
