"""What the engine does at its edges: reset in mid-frame, streams that pause, frames of the wrong
length.
"""

from dataclasses import replace

import numpy as np
import pytest

from ernn.flow.beats import Beats
from ernn.flow.simulate import SimulationError, Simulator
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import Schedule, schedule
from ernn.verify import prove, simulator_of
from ernn.verify.prove import to_beats
from ernn.verify.stimulus import Stimulus
from tests.models import random_integer_model

STREAMS = 3


@pytest.fixture(scope="module")
def plan() -> Schedule:
    network = dict(cell="gru", input_size=10, hidden=8, outputs=3, block=4)
    model = random_integer_model(np.random.default_rng(8), **network)
    return schedule(model, Design(pes=2, streams=STREAMS, chunk=2, lanes=2))


@pytest.fixture(scope="module")
def engine(plan: Schedule) -> Simulator:
    return simulator_of(plan, frames=100)


def utterances(lengths: list[int]) -> list[np.ndarray]:
    rng = np.random.default_rng(9)
    return [rng.integers(-30000, 30000, size=(length, 10)) for length in lengths]


@pytest.mark.parametrize("cycle", [3, 150, 500])
def test_reset_in_mid_frame_leaves_nothing_behind(
    plan: Schedule, engine: Simulator, cycle: int
) -> None:
    assert prove(engine, plan, utterances([4, 5, 3]), stall=0.1, reset_at=cycle).passed


@pytest.mark.parametrize("lengths", [[7], [1, 9, 1], [0, 4, 0], [0, 0, 5], [1, 1, 1, 1, 1, 1, 1]])
def test_streams_of_different_lengths(
    plan: Schedule, engine: Simulator, lengths: list[int]
) -> None:
    given = [u for u in utterances(lengths)]
    given += [given[0][:0]] * (-len(given) % STREAMS)
    assert prove(engine, plan, given, stall=0.5, seed=4).passed


def test_a_sequence_begins_from_zero_state(plan: Schedule, engine: Simulator) -> None:
    one = utterances([5])[0]
    assert prove(engine, plan, [one] * (2 * STREAMS), stall=0.2).passed


def beats_of(plan: Schedule) -> Beats:
    return to_beats(plan, Stimulus(tuple(utterances([2, 2, 2])), STREAMS))


def errors(engine: Simulator, beats: Beats, expected: int) -> int:
    """Cycles in which the engine reported an error."""
    try:
        result = engine.run(beats, expected_beats=expected, max_cycles=3000, record=["error"])
    except SimulationError as error:
        result = error.simulation
    return len(result.events["error"])


def test_well_formed_frames_raise_no_error(plan: Schedule, engine: Simulator) -> None:
    assert errors(engine, beats_of(plan), 6) == 0


def test_a_frame_of_the_wrong_length_raises_the_error(plan: Schedule, engine: Simulator) -> None:
    beats = beats_of(plan)
    last = beats.last.copy()
    last[1] = True
    assert errors(engine, replace(beats, last=last), 6) > 0


def test_an_unknown_stream_raises_the_error(plan: Schedule, engine: Simulator) -> None:
    beats = beats_of(plan)
    tid = beats.tid.copy()
    tid[:3] = STREAMS
    assert errors(engine, replace(beats, tid=tid), 5) > 0
