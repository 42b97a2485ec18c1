"""Bytes on a line to bytes on a line: golden's integers, by the host's own link
and by waveforms written by hand.
"""

from dataclasses import replace

import numpy as np
import pytest

from ernn.errors import UserError
from ernn.flow.bitstream import wire_of
from ernn.flow.serial_link import Link, Wire
from ernn.flow.simulate import Simulator
from ernn.golden.run import run
from ernn.ir.integer_model import IntegerModel
from ernn.quantization.quantize import QuantizeSpec
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import Schedule, schedule
from tests.flow.lines import SimulatedBoard, board_simulator, exchange, heard, pause, waveform
from tests.models import random_integer_model

CLOCKS = 8


@pytest.fixture(scope="module")
def plan() -> Schedule:
    spec = QuantizeSpec(weight_bits=8, data_bits=12, segment_bits=4)
    sizes = dict(input_size=6, hidden=8, outputs=5, block=4)
    model = random_integer_model(np.random.default_rng(3), spec, cell="gru", **sizes)
    model = replace(model, outputs=("l1.h", "l0.h"))
    return schedule(model, Design(pes=1, streams=2, lanes=1))


@pytest.fixture(scope="module")
def simulator(plan: Schedule) -> Simulator:
    return board_simulator(plan, CLOCKS)


def speech(plan: Schedule, lengths: list[int], seed: int = 1) -> list[np.ndarray]:
    source = plan.layout.model.input
    rng = np.random.default_rng(seed)
    return [
        rng.integers(source.format.low, source.format.high + 1, size=(n, source.length))
        for n in lengths
    ]


def every_frame(plan: Schedule) -> IntegerModel:
    return replace(plan.layout.model, last_step=False)


def test_waveforms_are_read_back() -> None:
    data = bytes(range(256))
    for clocks in (8, 8.2, 7.85):
        assert (
            heard(np.concatenate([pause(3, 8), waveform(data, clocks, gap=1), pause(2, 8)]), 8)
            == data
        )


def test_utterances_through_the_link(plan: Schedule) -> None:
    given = speech(plan, [4, 3, 2])
    board = SimulatedBoard(plan, CLOCKS, patience=600)
    link = Link(board, wire_of(plan))
    link.reset()
    for utterance, found in zip(given, link.run(given), strict=True):
        assert np.array_equal(found, run(every_frame(plan), utterance))
    again = speech(plan, [2, 1], seed=2)
    for utterance, found in zip(again, link.run(again), strict=True):
        assert np.array_equal(found, run(every_frame(plan), utterance)), (
            "a new sequence begins from zero state"
        )


@pytest.mark.parametrize("drift", [0.98, 1.0, 1.02])
def test_a_sender_that_is_slow_or_fast(plan: Schedule, simulator: Simulator, drift: float) -> None:
    [utterance], wire = speech(plan, [2]), wire_of(plan)
    data = [wire.encode(frame, 1, time == 0) for time, frame in enumerate(utterance)]
    levels = [
        pause(3, CLOCKS),
        *(waveform(one, CLOCKS * drift) for one in data),
        pause(900, CLOCKS),
    ]
    sent, lost = exchange(simulator, levels, CLOCKS)
    size = wire.answer_bytes
    answers = [wire.decode(sent[at : at + size]) for at in range(0, len(sent), size)]
    assert not lost and [(a.stream, a.begins, a.lost) for a in answers] == [
        (1, True, False),
        (1, False, False),
    ]
    assert np.array_equal(np.stack([a.values for a in answers]), run(every_frame(plan), utterance))


def test_a_break_in_mid_frame_leaves_nothing_behind(plan: Schedule, simulator: Simulator) -> None:
    [utterance], wire = speech(plan, [1]), wire_of(plan)
    data = wire.encode(utterance[0], 0, True)
    half, broken = waveform(data[: len(data) // 2], CLOCKS), pause(13.4, CLOCKS, level=0)
    levels = [
        pause(3, CLOCKS),
        waveform(data, CLOCKS),
        half,
        broken,
        pause(2, CLOCKS),
        waveform(data, CLOCKS),
    ]
    sent, lost = exchange(simulator, [*levels, pause(900, CLOCKS)], CLOCKS)
    assert not lost
    assert np.array_equal(
        wire.decode(sent[-wire.answer_bytes :]).values, run(every_frame(plan), utterance)[0]
    )


def test_a_header_that_names_no_stream_is_reported(plan: Schedule, simulator: Simulator) -> None:
    [utterance], wire = speech(plan, [2]), wire_of(plan)
    wrong, right = (wire.encode(frame, 1, True) for frame in utterance)
    levels = [pause(3, CLOCKS), waveform(b"\x0f" + wrong[1:] + right, CLOCKS), pause(900, CLOCKS)]
    sent, lost = exchange(simulator, levels, CLOCKS)
    assert lost and wire.decode(sent[-wire.answer_bytes :]).lost


@pytest.mark.parametrize(
    ("frame", "stream", "message"),
    [
        (np.zeros(5, int), 0, r"a frame is 6 integers, not \(5,\) of int64"),
        (np.zeros(6), 0, r"a frame is 6 integers, not \(6,\) of float64"),
        (np.full(6, 2048), 0, r"a frame holds 2048\.\.2048, outside 12 bits"),
        (np.zeros(6, int), 2, r"streams are 0\.\.1, not 2"),
    ],
)
def test_what_cannot_be_sent(frame: np.ndarray, stream: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Wire(6, (5, 8), 12, 4, 2).encode(frame, stream, True)


def test_a_board_that_is_silent_is_named(plan: Schedule) -> None:
    class Silent:
        def write(self, data: bytes) -> None: ...

        def read(self, size: int = 1) -> bytes:
            return b""

        def send_break(self, duration: float = 0.0) -> None: ...

    with pytest.raises(
        UserError, match="the board answered 0 of 33 bytes: reset the link, check baud and wiring"
    ):
        Link(Silent(), wire_of(plan)).run(speech(plan, [1]))
