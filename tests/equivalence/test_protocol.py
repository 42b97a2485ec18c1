"""Frames, sequences and the error port of one engine; what a proof refuses to run and what it
counts.
"""

from dataclasses import replace

import numpy as np
import pytest

from ernn.errors import UserError
from ernn.flow.beats import Beats, pack, unpack
from ernn.flow.simulate import Simulation, SimulationError, Simulator, build
from ernn.flow.verilog import to_verilog
from ernn.golden.run import run
from ernn.rtl.engine import Engine
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import Schedule, schedule
from ernn.verify import prove, simulator_of
from tests.models import random_integer_model

STREAMS = 3
RNG = np.random.default_rng(4)
SPEECH = [RNG.integers(-(1 << 11), 1 << 11, size=(5, 6)) for _ in range(7)]


@pytest.fixture(scope="module")
def plan() -> Schedule:
    network = dict(cell="gru", input_size=6, hidden=6, block=4, last_step=True)
    return schedule(
        random_integer_model(np.random.default_rng(3), **network), Design(1, STREAMS, lanes=1)
    )


@pytest.fixture(scope="module")
def simulator(plan: Schedule) -> Simulator:
    return simulator_of(plan, frames=100)


def frame(last: tuple[bool, bool] = (False, True), tid: int = 0) -> Beats:
    """One frame of zeros: 6 numbers are two words of 4."""
    return Beats.of(pack(np.zeros((2, 4), int), 16), tid=tid, first=[True, False], last=list(last))


def joined(*parts: Beats) -> Beats:
    columns = ("data", "tid", "first", "last")
    return Beats(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in columns}
    )


def errors(simulator: Simulator, beats: Beats) -> Simulation:
    try:
        return simulator.run(beats, expected_beats=2, max_cycles=2000)
    except SimulationError as error:
        return error.simulation


def test_a_sound_frame_raises_no_error(simulator: Simulator) -> None:
    assert not len(errors(simulator, frame()).events["error"])


@pytest.mark.parametrize("last", [(True, True), (False, False)], ids=["too early", "missing"])
def test_a_wrong_end_of_a_frame_raises_the_error_port(
    simulator: Simulator, last: tuple[bool, bool]
) -> None:
    assert len(errors(simulator, frame(last)).events["error"])


def test_an_unknown_stream_raises_the_error_port_and_is_dropped(simulator: Simulator) -> None:
    result = errors(simulator, joined(frame(tid=STREAMS), frame(tid=1)))
    assert len(result.events["error"])
    assert result.outputs.tid.tolist() == [1, 1]
    assert result.outputs.last.tolist() == [False, True]


def test_a_classifier_is_compared_at_every_frame(plan: Schedule, simulator: Simulator) -> None:
    proof = prove(simulator, plan, SPEECH)
    assert proof.passed
    assert proof.integers == 7 * 5 * 6


def test_an_engine_without_probes_is_proved_too(plan: Schedule) -> None:
    """It cannot be told where a difference begins, only that there is one."""
    bare = build(to_verilog(Engine(plan)), cycles=10_000)
    assert prove(bare, plan, SPEECH[:3]).passed
    other = random_integer_model(
        np.random.default_rng(9), cell="gru", input_size=6, hidden=6, block=4
    )
    proof = prove(bare, plan, SPEECH[:3], golden=other)
    assert proof.mismatches
    assert not proof.passed
    assert proof.divergence is None


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "there are no frames to verify with: give at least one utterance"),
        (
            [np.zeros((0, 6), int)],
            "there are no frames to verify with: give at least one utterance",
        ),
        ([np.zeros((3, 5), int)], "utterance 0 must be (time, 6 inputs), not (3, 5)"),
        (
            [np.zeros((3, 6), int), np.zeros(6, int)],
            "utterance 1 must be (time, 6 inputs), not (6,)",
        ),
        (
            [np.zeros((3, 6))],
            "utterance 0 is float64: the engine takes integers, which "
            "ernn.golden.boundary.quantize_input(model, frames) makes of features",
        ),
        ([np.full((3, 6), 1 << 15)], "utterance 0 holds 32768..32768, outside 16 bits"),
    ],
)
def test_what_cannot_be_verified_is_refused(
    plan: Schedule, simulator: Simulator, frames: list[np.ndarray], message: str
) -> None:
    with pytest.raises(UserError) as error:
        prove(simulator, plan, frames)
    assert str(error.value) == message


def sent(order: list[tuple[int, int, int]]) -> Beats:
    """Words (stream, time, word) of one utterance a stream, in any order."""
    padded = [
        np.pad(SPEECH[stream], ((0, 0), (0, 2))).reshape(5, 2, 4) for stream in range(STREAMS)
    ]
    stream, time, word = np.array(order).T
    data = pack(np.array([padded[s][t, w] for s, t, w in order]), 16)
    return Beats.of(data, tid=stream, first=(time == 0) & (word == 0), last=word == 1)


@pytest.mark.parametrize(
    "order",
    [
        [
            (stream, time, word)
            for stream in range(STREAMS)
            for time in range(5)
            for word in range(2)
        ],
        [
            (stream, time, word)
            for time in range(5)
            for word in range(2)
            for stream in range(STREAMS)
        ],
        [
            (stream, time, word)
            for time in range(5)
            for stream in reversed(range(STREAMS))
            for word in range(2)
        ],
    ],
    ids=["one stream after the other", "word by word in turns", "last stream first"],
)
@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_streams_may_be_sent_in_any_order(
    plan: Schedule, simulator: Simulator, order: list[tuple[int, int, int]], stall: float
) -> None:
    model = replace(plan.layout.model, last_step=False)
    result = simulator.run(
        sent(order), expected_beats=30, max_cycles=20_000, stall_in=stall, stall_out=stall, seed=1
    )
    assert not len(result.events["error"])
    for stream in range(STREAMS):
        lanes = unpack(result.outputs.data[result.outputs.tid == stream], 16, 4).reshape(5, 8)
        assert np.array_equal(lanes[:, :6], run(model, SPEECH[stream]))
        assert not lanes[:, 6:].any(), "numbers beyond the vector's end"
