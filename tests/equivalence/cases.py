"""Cases of golden against simulation: a network, its integers, a design; random ones; and what a
run of one shows.
"""

from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any

import numpy as np
from hypothesis import reject, settings
from hypothesis import strategies as st

from ernn.errors import UserError
from ernn.ir.edges import DataBits
from ernn.ir.integer_model import IntegerModel
from ernn.ir.network import Layer, Network
from ernn.quantization.quantize import QuantizeSpec, quantize
from ernn.quantization.widths import named, names
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import Schedule, schedule
from ernn.verify import measure_cycles, prove, simulator_of
from ernn.verify.prove import Proof
from tests.models import (
    in_blocks_of,
    random_frames,
    random_gru,
    random_linear,
    random_lstm,
    random_network,
    structure_of,
    with_exponents,
)
from tests.networks import Limits, any_network

SEEDS = st.integers(0, 1 << 20)
PLANS = st.integers(0, 31)
"""Of random plans: so few that laws look at the same ones, which are then made once."""
SOME = settings(max_examples=16, deadline=None, derandomize=True)


@dataclass(frozen=True)
class Case:
    """`network`: arguments of `tests.models.random_network`, of `mixed_network`, or of
    `tests.networks.any_network`; `exponents`: rows get fraction bits of their own; `sizes`: every
    matrix gets one of these block sizes; `widths`: of these, the bits of its weights.
    """

    network: dict[str, Any]
    design: Design
    spec: QuantizeSpec = field(default_factory=QuantizeSpec)
    exponents: bool = False
    sizes: tuple[int, ...] = ()
    widths: tuple[int, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What a run showed; cycles as (interval, latency, interval after a sequence's last frame)."""

    proof: Proof
    predicted: tuple[int, int, int]
    simulated: tuple[int, int, int]

    @property
    def passed(self) -> bool:
        return self.proof.passed and self.predicted == self.simulated


def random_utterances(
    rng: np.random.Generator, model: IntegerModel, count: int
) -> list[np.ndarray]:
    high = 1 << (model.input.format.width - 1)
    return [
        rng.integers(-high, high, size=(int(rng.integers(1, 7)), model.input.length))
        for _ in range(count)
    ]


def mixed_network(
    rng: np.random.Generator, input_size: int, stack: list[tuple[str, int, int]]
) -> Network:
    """Layers in any order, each (lstm, gru or linear; width; block size, 1 for dense)."""
    layers: list[Layer] = []
    width = input_size
    for kind, size, block in stack:
        make = {"lstm": random_lstm, "gru": random_gru, "linear": random_linear}[kind]
        layers.append(make(rng, width, size, structure_of(block)))
        width = size
    return Network(tuple(layers))


def integer_model(rng: np.random.Generator, case: Case) -> IntegerModel:
    model = _integer_model(rng, case)
    return with_exponents(rng, model) if case.exponents else model


def _integer_model(rng: np.random.Generator, case: Case) -> IntegerModel:
    if "stack" in case.network:
        made = mixed_network(rng, **case.network)
    elif "seed" in case.network:
        made = any_network(**case.network)
    else:
        made = random_network(rng, **case.network)
    if case.sizes:
        made = in_blocks_of(rng, made, case.sizes)
    spec = case.spec
    if case.widths:
        widths = {name: int(rng.choice(case.widths)) for name in names(named(made))}
        spec = replace(spec, weights=widths)
    made = replace(made, last_step=made.last_step or case.design.once)
    return quantize(made, [random_frames(rng, made) for _ in range(3)], spec)


def outcome(case: Case, seed: int, stall: float) -> Outcome:
    """Random weights and frames from `seed` through golden and simulation, and the cycles both
    ways.
    """
    rng = np.random.default_rng(seed)
    return outcome_of(integer_model(rng, case), case.design, rng, seed, stall)


def outcome_of(
    model: IntegerModel, design: Design, rng: np.random.Generator, seed: int, stall: float
) -> Outcome:
    """Random frames through both."""
    plan = schedule(model, design)
    utterances = random_utterances(rng, model, 2 * design.streams + 1)
    simulator = simulator_of(plan, frames=sum(map(len, utterances)))
    proof = prove(simulator, plan, utterances, stall=stall, seed=seed)
    cycles = measure_cycles(simulator, plan, utterances[0][0])
    predicted = plan.interval, plan.latency, plan.last_interval
    return Outcome(proof, predicted, (cycles.interval, cycles.latency, cycles.last_interval))


def check(case: Case, seed: int, stall: float = 0.3) -> None:
    found = outcome(case, seed, stall)
    assert found.proof.passed, str(found.proof.divergence or found.proof)
    assert found.simulated == found.predicted


@cache
def random_plan(seed: int) -> Schedule:
    """The schedule of a random case; a hypothesis rejected where its formats are too far apart."""
    rng = np.random.default_rng(seed)
    case = random_case(rng)
    try:
        model = integer_model(rng, case)
    except UserError:  # a sum would need more than 62 bits
        reject()
    return schedule(model, case.design)


def random_case(rng: np.random.Generator) -> Case:
    """Layers of usual kinds, up to 64 wide and 3 layers deep, sizes that k does not divide; or any
    small network.
    """
    if rng.random() < 0.4:
        return random_language_case(rng, Limits(size=20))
    block = int(rng.choice([1, 2, 4, 8, 16, 32, 64]))
    network = random_uniform(rng, block) if rng.random() < 0.7 else random_mixed(rng, block)
    return _case(rng, network, block)


def random_language_case(rng: np.random.Generator, limits: Limits) -> Case:
    """Any network of `tests.networks`."""
    block = int(rng.choice([1, 2, 4, 8]))
    network = {"seed": between(rng, 0, 1 << 30), "block": block, "limits": limits}
    return _case(rng, network, block)


def _case(rng: np.random.Generator, network: dict[str, Any], block: int) -> Case:
    lanes = 1 << between(rng, 0, block.bit_length() - 1)
    design = random_design(rng, block, lanes)
    widths = (between(rng, 4, 18), between(rng, 4, 18))
    kinds = [one.name for one in fields(DataBits) if rng.random() < 0.2]
    data = DataBits(**{kind: between(rng, 2, 18) for kind in kinds})
    return Case(
        network,
        design,
        QuantizeSpec(*widths, segment_bits=between(rng, 2, 8), guard=between(rng, 0, 4), data=data),
        rng.random() < 0.4,
        tuple(1 << n for n in range(block.bit_length())) if rng.random() < 0.4 else (),
        tuple(range(2, 19)) if rng.random() < 0.4 else (),
    )


def random_design(rng: np.random.Generator, block: int, lanes: int) -> Design:
    """Half of them of one group and one word, the others of up to three words and nine groups."""
    words = 1 if rng.random() < 0.5 else between(rng, 1, 3)
    splits = words * (1 if words == 1 and rng.random() < 0.5 else between(rng, 1, 3))
    pes, streams = between(rng, 1, max(2, 32 // block // splits)), between(rng, 1, 4)
    staggered = bool(between(rng, 0, 1))
    design = Design(
        words * pes,
        streams,
        between(rng, 1, 16),
        lanes,
        splits,
        words,
        between(rng, 1, 4),
        staggered,
        rng.random() < 0.3,
        "shallow" if rng.random() < 0.3 else "deep",
        forwarding=rng.random() < 0.5,
        ahead=streams == 1 and rng.random() < 0.5,
        joined=between(rng, 1, 4),
    )
    lone = streams == 1 and not staggered and design.pipeline == "shallow"
    return replace(design, beforehand=lone and rng.random() < 0.5)


def between(rng: np.random.Generator, low: int, high: int) -> int:
    """Uniform, both ends included."""
    return int(rng.integers(low, high + 1))


def random_uniform(rng: np.random.Generator, block: int) -> dict[str, Any]:
    """One to three recurrent layers of one kind, with or without a dense linear one at the end."""
    network: dict[str, Any] = {
        "input_size": between(rng, 1, 48),
        "hidden": between(rng, 1, 64),
        "layers": between(rng, 1, 3),
        "outputs": between(rng, 0, 1) * between(rng, 1, 20),
        "block": block,
        "last_step": bool(between(rng, 0, 1)),
    }
    if between(rng, 0, 1):
        projection = between(rng, 0, 1) * between(rng, 1, network["hidden"])
        return network | {
            "cell": "lstm",
            "peepholes": bool(between(rng, 0, 1)),
            "projection": projection,
        }
    return network | {"cell": "gru", "reset": ("after", "before")[between(rng, 0, 1)]}


def random_mixed(rng: np.random.Generator, block: int) -> dict[str, Any]:
    """One to four layers of any kind in any order, each in blocks or dense."""
    kinds = rng.choice(["lstm", "gru", "linear"], between(rng, 1, 4))
    stack = [(str(kind), between(rng, 1, 40), int(rng.choice([1, block]))) for kind in kinds]
    return {"input_size": between(rng, 1, 40), "stack": stack}
