"""Back-pressure of every pattern, on either side: no integer, no flag and no order changes."""

from dataclasses import replace

import numpy as np
import pytest

from ernn.flow.beats import Beats, unpack
from ernn.flow.simulate import Simulation, Simulator, Stall
from ernn.golden.run import run
from ernn.ir.edges import data_bits
from ernn.rtl.stream import container_bits
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import Schedule, schedule
from ernn.verify import prove, simulator_of
from ernn.verify.prove import to_beats
from ernn.verify.stimulus import Stimulus
from tests.models import random_integer_model

STREAMS, FRAMES = 3, 12


@pytest.fixture(scope="module")
def plan() -> Schedule:
    """Of three outputs the first leaves as it is computed, the others are copied behind it."""
    network = dict(cell="gru", input_size=10, hidden=8, outputs=3, block=4)
    model = random_integer_model(np.random.default_rng(8), **network)
    model = replace(model, outputs=("l1.h", "l0.h", "l1.h"))
    return schedule(model, Design(pes=2, streams=STREAMS, chunk=2, lanes=2))


@pytest.fixture(scope="module")
def engine(plan: Schedule) -> Simulator:
    return simulator_of(plan, frames=100)


@pytest.fixture(scope="module")
def speech() -> list[np.ndarray]:
    rng = np.random.default_rng(11)
    return [rng.integers(-(1 << 15), 1 << 15, size=(FRAMES, 10)) for _ in range(STREAMS)]


def bursts(free: int, stalled: int) -> np.ndarray:
    return np.array([False] * free + [True] * stalled)


PATTERNS: dict[str, tuple[Stall, Stall]] = {
    "neither": (0.0, 0.0),
    "every other cycle": (bursts(1, 1), bursts(1, 1)),
    "every other cycle, in turns": (bursts(1, 1), np.array([True, False])),
    "one cycle in 50": (bursts(1, 49), bursts(1, 49)),
    "long sleeps of the slave": (0.0, bursts(3, 2000)),
    "long sleeps of the master": (bursts(2, 2000), 0.0),
    "the slave takes nothing, then all": (0.0, np.roll(bursts(20_000, 20_000), 20_000)),
    "the master sends all at the slave's pace": (0.0, bursts(1, 300)),
}


def simulated(
    engine: Simulator, plan: Schedule, beats: Beats, stalls: tuple[Stall, Stall]
) -> Simulation:
    return engine.run(
        beats,
        expected_beats=STREAMS * FRAMES * plan.layout.output_lines,
        max_cycles=200_000,
        stall_in=stalls[0],
        stall_out=stalls[1],
        record=["error"],
    )


def check(plan: Schedule, found: Simulation, speech: list[np.ndarray]) -> None:
    """Golden's integers on every stream, in order, with sound flags."""
    model = replace(plan.layout.model, last_step=False)
    lines, line = plan.layout.output_lines, plan.layout.line
    assert not found.violations and not len(found.events["error"])
    words = unpack(found.outputs.data, container_bits(data_bits(model)), line)
    for stream, utterance in enumerate(speech):
        mine = found.outputs.tid == stream
        frames = words[mine].reshape(FRAMES, lines * line)
        assert np.array_equal(frames[:, plan.layout.output_numbers], run(model, utterance))
        assert np.array_equal(found.outputs.first[mine], np.arange(FRAMES * lines) < lines)
        assert np.array_equal(
            found.outputs.last[mine], np.arange(FRAMES * lines) % lines == lines - 1
        )


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns(name: str, plan: Schedule, engine: Simulator, speech: list[np.ndarray]) -> None:
    beats = to_beats(plan, Stimulus(tuple(speech), STREAMS))
    check(plan, simulated(engine, plan, beats, PATTERNS[name]), speech)


@pytest.mark.parametrize("starved", range(STREAMS))
def test_a_starved_stream_holds_nobody_up(
    starved: int, plan: Schedule, engine: Simulator, speech: list[np.ndarray]
) -> None:
    """One stream gets the first word of its first frame, and no more before all others have had
    everything.
    """
    beats = to_beats(plan, Stimulus(tuple(speech), STREAMS))
    late = beats.tid == starved
    late[np.flatnonzero(late)[0]] = False
    order = np.argsort(late, kind="stable")
    moved = Beats(beats.data[order], beats.tid[order], beats.first[order], beats.last[order])
    found = simulated(engine, plan, moved, (0.1, 0.1))
    check(plan, found, speech)
    first_late = found.input_cycle[np.flatnonzero(late[order])[0]]
    others = found.output_cycle[found.outputs.tid != starved]
    assert (others < first_late).sum() >= (STREAMS - 1) * (FRAMES - 3), "all but those under way"


def test_a_short_soak(plan: Schedule, engine: Simulator) -> None:
    """1,500 frames without a reset between; `benchmarks/soak.py` does 100,000."""
    rng = np.random.default_rng(12)
    utterances = [
        rng.integers(-(1 << 15), 1 << 15, size=(int(n), 10)) for n in rng.integers(1, 60, 50)
    ]
    proof = prove(engine, plan, utterances, stall=0.3, seed=5)
    assert proof.passed and proof.frames > 1400
