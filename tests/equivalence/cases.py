"""Cases of golden against simulation: a network, its integers, a design; random ones; and what a run of one shows."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ernn.design import Design
from ernn.integer_model import IntegerModel
from ernn.quantize import QuantizeSpec
from ernn.schedule import schedule
from ernn.verify import Proof, measure_cycles, prove, simulator_of
from tests.models import random_integer_model


@dataclass(frozen=True)
class Case:
    """`network`: arguments of `tests.models.random_network`."""

    network: dict[str, Any]
    design: Design
    spec: QuantizeSpec = field(default_factory=QuantizeSpec)


@dataclass(frozen=True)
class Outcome:
    """What a run showed; cycles as (interval, latency)."""

    proof: Proof
    predicted: tuple[int, int]
    simulated: tuple[int, int]

    @property
    def passed(self) -> bool:
        return self.proof.passed and self.predicted == self.simulated


def random_utterances(rng: np.random.Generator, model: IntegerModel, count: int) -> list[np.ndarray]:
    high = 1 << (model.input.format.width - 1)
    return [rng.integers(-high, high, size=(int(rng.integers(1, 7)), model.input.length)) for _ in range(count)]


def outcome(case: Case, seed: int, stall: float) -> Outcome:
    """Random weights and frames from `seed` through golden and simulation, and the cycles both ways."""
    rng = np.random.default_rng(seed)
    model = random_integer_model(rng, case.spec, **case.network)
    plan = schedule(model, case.design)
    simulator = simulator_of(plan)
    utterances = random_utterances(rng, model, 2 * case.design.streams + 1)
    proof = prove(simulator, plan, utterances, stall=stall, seed=seed)
    cycles = measure_cycles(simulator, plan, utterances[0][0])
    return Outcome(proof, (plan.interval, plan.latency), (cycles.interval, cycles.latency))


def check(case: Case, seed: int, stall: float = 0.3) -> None:
    found = outcome(case, seed, stall)
    assert found.proof.passed, str(found.proof.divergence or found.proof)
    assert found.simulated == found.predicted


def random_case(rng: np.random.Generator) -> Case:
    """Any kind of network that the engine runs, up to 64 wide and 3 layers deep, sizes that k does not divide."""

    def one(low: int, high: int) -> int:
        return int(rng.integers(low, high + 1))

    block = int(rng.choice([1, 2, 4, 8, 16, 32]))
    network: dict[str, Any] = {
        "input_size": one(1, 48),
        "hidden": one(1, 64),
        "layers": one(1, 3),
        "outputs": one(0, 1) * one(1, 20),
        "block": block,
        "last_step": bool(one(0, 1)),
    }
    if one(0, 1):
        network |= {"cell": "lstm", "peepholes": bool(one(0, 1)), "projection": one(0, 1) * one(1, network["hidden"])}
    else:
        network |= {"cell": "gru", "reset": ("after", "before")[one(0, 1)]}
    design = Design(pes=one(1, max(2, 32 // block)), streams=one(1, 4), chunk=one(1, 16))
    spec = QuantizeSpec(one(4, 18), one(4, 18), segment_bits=one(2, 8), guard=one(0, 4))
    return Case(network, design, spec)
