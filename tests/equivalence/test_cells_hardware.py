"""Described cells on the simulated engine: golden's integers, in exactly the predicted cycles."""

import numpy as np
import pytest

from ernn.flow.lint import lint
from ernn.flow.verilog import to_verilog
from ernn.ir.cells import COMPACT
from ernn.ir.edges import DataBits
from ernn.ir.integer_model import IntegerModel
from ernn.ir.network import Network
from ernn.ir.structure import BlockCirculant
from ernn.quantization.quantize import QuantizeSpec, integers, observed, quantize
from ernn.rtl.engine import Engine
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import schedule
from ernn.verify import measure_cycles, prove, simulator_of
from tests.cells import random_cell
from tests.equivalence.cases import random_utterances
from tests.models import DENSE, growing, of_energies, random_frames, random_linear

CASES = {
    "dense, one stream": (("mgu", "sru", "mingru"), 1, Design(4, 1, 2), QuantizeSpec()),
    "blocks of 4, groups and words, staggered": (
        ("cifg", "ligru", "qrnn", "lru"),
        4,
        Design(2, 2, 2, 2, splits=2, words=2, overlap=2, staggered=True, deferred=True),
        QuantizeSpec(weight_bits=9, data_bits=13),
    ),
    "blocks of 8, three streams, narrow": (
        ("indrnn", "rnn", "fastgrnn"),
        8,
        Design(2, 3, 1, 2),
        QuantizeSpec(weight_bits=6, data_bits=8, segment_bits=4),
    ),
}


def check(model: IntegerModel, design: Design, seed: int) -> None:
    rng, plan = np.random.default_rng(seed), schedule(model, design)
    utterances = random_utterances(rng, model, 2 * design.streams + 1)
    simulator = simulator_of(plan, frames=sum(map(len, utterances)))
    proof = prove(simulator, plan, utterances, stall=0.3, seed=seed)
    assert proof.passed, str(proof.divergence or proof)
    cycles = measure_cycles(simulator, plan, utterances[0][0])
    assert (cycles.interval, cycles.latency) == (plan.interval, plan.latency)


@pytest.mark.parametrize("case", CASES)
def test_cells_in_a_row(case: str) -> None:
    names, block, design, spec = CASES[case]
    rng, sizes = np.random.default_rng(4), (5, 9, 12, 7, 10)
    structure = DENSE if block == 1 else BlockCirculant(block, pad=True)
    layers = [
        random_cell(rng, COMPACT[name], inputs, hidden, structure, 0.7)
        for name, inputs, hidden in zip(names, sizes, sizes[1:], strict=False)
    ]
    network = Network((*layers, random_linear(rng, layers[-1].output_size, 3)))
    check(quantize(network, [random_frames(rng, network) for _ in range(3)], spec), design, 1)


@pytest.mark.parametrize("seed", [1])
def test_random_cells(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    block = int(rng.choice([1, 2, 4]))
    structure = DENSE if block == 1 else BlockCirculant(block, pad=True)
    first, second = (COMPACT[str(name)] for name in rng.choice(list(COMPACT), 2))
    sizes = rng.integers(1, 3 * block + 4, 3)
    layers = (
        random_cell(rng, first, int(sizes[0]), int(sizes[1]), structure),
        random_cell(rng, second, int(sizes[1]), int(sizes[2]), structure),
    )
    network, streams = Network(layers), int(rng.integers(1, 4))
    design = Design(
        2, streams, int(rng.integers(1, 4)), overlap=int(rng.integers(1, 3)), staggered=streams > 1
    )
    check(quantize(network, [random_frames(rng, network)], QuantizeSpec(10, 12)), design, seed)


def test_operands_apart_and_inputs_of_three_integers() -> None:
    network, frames = of_energies(np.random.default_rng(1))
    model = quantize(network, frames, QuantizeSpec(weight_bits=10))
    assert model.features < model.input.length and len(model.layers[0].products) == 8
    check(model, Design(2, 1, 2), 3)


def test_cells_in_units_of_their_own_that_saturate_early() -> None:
    network, frames = growing(np.random.default_rng(1), peepholes=True)
    spec = QuantizeSpec(9, 10, data=DataBits(gates=8))
    model = integers(observed(network, [one[:60] for one in frames], spec, finer_cells=1), spec)
    assert model.exponents("l0.c").min() < 0
    check(model, Design(2, 1, 2), 4)


def test_an_engine_with_relu_is_clean() -> None:
    rng = np.random.default_rng(0)
    network = Network((random_cell(rng, COMPACT["ligru"], 7, 10, BlockCirculant(4, pad=True)),))
    plan = schedule(
        quantize(network, [random_frames(rng, network)]), Design(2, 2, 2, staggered=True)
    )
    assert lint(to_verilog(Engine(plan))) == ()
