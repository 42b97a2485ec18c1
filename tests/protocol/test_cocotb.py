"""The engine between cocotbext-axi's master and slave: golden's integers in sound
packets, however either pauses.
"""

import json
from dataclasses import replace
from typing import Any

import cocotb_tools.config
import numpy as np
import pytest

from ernn.flow.beats import pack, unpack
from ernn.flow.cache import Cache
from ernn.flow.verilog import Verilog, to_verilog
from ernn.golden.run import run
from ernn.ir.integer_model import IntegerModel
from ernn.quantization.quantize import QuantizeSpec
from ernn.rtl.engine import Engine
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import schedule
from ernn.verify.stimulus import Stimulus
from tests.models import random_integer_model
from tests.protocol.simulator import binary, drive

STREAMS, BLOCK = 2, 4
TESTS = ("no_pauses", "random_pauses", "long_pauses", "reset_in_mid_frame")
Packets = list[dict[str, Any]]


@pytest.fixture(scope="module")
def model() -> IntegerModel:
    """Two outputs: the GRU's and the last layer's."""
    sizes = dict(input_size=13, hidden=16, outputs=11, block=BLOCK)
    made = random_integer_model(np.random.default_rng(21), QuantizeSpec(), cell="gru", **sizes)
    return replace(made, outputs=("l0.h", "l1.h"))


@pytest.fixture(scope="module")
def speech() -> list[np.ndarray]:
    """Two utterances on stream 0, one on stream 1, full range."""
    rng = np.random.default_rng(22)
    return [rng.integers(-(1 << 15), 1 << 15, size=(length, 13)) for length in (5, 9, 6)]


@pytest.fixture(scope="module")
def verilog(model: IntegerModel) -> Verilog:
    return to_verilog(Engine(schedule(model, Design(pes=2, streams=STREAMS, lanes=2))))


@pytest.fixture(scope="module")
def packets(
    verilog: Verilog, speech: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Packets]:
    """What came out, by test, in order."""
    folder = tmp_path_factory.mktemp("cocotb")
    (folder / "frames.json").write_text(json.dumps({"frames": frames_to_send(speech)}))
    said = drive(binary(verilog, Cache.default()), verilog, folder, "bench")
    found = {
        name: json.loads((folder / f"{name}.json").read_text())
        for name in TESTS
        if (folder / f"{name}.json").exists()
    }
    assert set(found) == set(TESTS), said
    return found


def frames_to_send(speech: list[np.ndarray]) -> list[dict[str, Any]]:
    """Packets of both streams in turns."""
    order = Stimulus(tuple(speech), STREAMS).order
    frames = [
        (stream, time == 0, np.pad(speech[index][time], (0, 3)).reshape(1, -1))
        for stream, index, time in order
    ]
    return [
        {"stream": s, "first": bool(f), "data": pack(values, 16).tobytes().hex()}
        for s, f, values in frames
    ]


@pytest.mark.parametrize("name", TESTS)
def test_packets_are_goldens(
    name: str, model: IntegerModel, speech: list[np.ndarray], packets: dict[str, Packets]
) -> None:
    for stream in range(STREAMS):
        mine = [packet for packet in packets[name] if set(packet["streams"]) == {stream}]
        utterances = [speech[index] for index in range(stream, len(speech), STREAMS)]
        expected = np.concatenate(
            [run(replace(model, last_step=False), utterance) for utterance in utterances]
        )
        assert len(mine) == len(expected), "a packet a frame: TLAST is where a frame ends"
        data = np.frombuffer(bytes.fromhex("".join(packet["data"] for packet in mine)), np.uint8)
        words = unpack(data.reshape(-1, 2 * BLOCK), 16, BLOCK).reshape(len(mine), -1)
        assert np.array_equal(words[:, : 16 + 11], expected)
        assert not words[:, 16 + 11 :].any()
        begins = [time == 0 for utterance in utterances for time in range(len(utterance))]
        assert [set(packet["first"]) for packet in mine] == [{int(first)} for first in begins]


def test_the_kept_binary_names_no_folder_of_libraries(verilog: Verilog) -> None:
    """The cache outlives the environment that built it: one run's was gone in the next."""
    libraries = str(cocotb_tools.config.libs_dir)
    assert libraries.encode() not in binary(verilog, Cache.default()).read_bytes()


def test_no_packet_mixes_streams(packets: dict[str, Packets]) -> None:
    for came in packets.values():
        assert len(came) == 20 and all(len(set(packet["streams"])) == 1 for packet in came)
