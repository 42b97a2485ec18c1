"""The path, command after command, on a network of 8 units, and the page that leads from there to a
program.

Yosys and nextpnr have tests of their own (tests/flow); here their answers are given.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ernn.cli.app import run
from ernn.flow.bitstream import Bitstream, wire_of
from ernn.flow.boards import Board
from ernn.flow.serial_link import Link, Wire
from ernn.golden import Stream
from ernn.ir import serialization as codec
from ernn.ir.integer_model import IntegerModel
from ernn.pipeline import exports, placing
from ernn.report.record import RunRecord
from ernn.scheduling.schedule import Schedule
from tests.brief import search_briefly
from tests.cli.test_commands import AREA, PLACEMENT
from tests.pages import ROOT, follow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory of both tests: what the first has done the second finds unchanged."""
    place = tmp_path_factory.mktemp("path")

    def packed(
        plan: Schedule, board: Board, *, clock_mhz: float, baud: int, seed: int
    ) -> Bitstream:
        made = place / "ernn.bit"
        made.write_bytes(b"bits")
        wire = wire_of(plan)
        return Bitstream(board.name, made, clock_mhz, 60.0, baud, wire, place / "log")

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        search_briefly(patch)
        patch.setattr(exports, "bitstream", packed)
        patch.setattr(placing, "synthesise", lambda verilog, device: AREA)
        patch.setattr(placing, "place_and_route", lambda verilog, device, **options: PLACEMENT)
        yield place


def test_from_speech_to_a_placed_engine(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What each command leaves is what the next one needs."""

    def done(*arguments: str) -> dict[str, Any]:
        assert run([*arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    out, run_folder = "out/first", Path("out/first")
    small = ("--hidden", "8", "--layers", "1", "--epochs", "1")
    assert done("train", "--out", out, *small)["figures"]["error_rate.dense"]["tokens"] > 500
    assert (
        done("compress", out, "--block", "2", "--towards", "1", "--inside", "1")["skipped"] is False
    )
    few = ("--weight-bits", "4", "--data-bits", "4", "--utterances", "20")
    for _ in range(2):  # done, and unchanged
        assert run(["quantize", out, *few, "--strict"]) == 1
        said = capsys.readouterr().err
        assert "ernn: warning: the integers are " in said and ": give " in said
    assert run(["quantize", out, *few]) == 0
    assert "ernn: warning: " in capsys.readouterr().err
    found = done("quantize", out, "--strict")["figures"]
    assert found["activations.tanh_error"]["value"] < 0.01
    assert found["quantization.error"]["value"] < 1 and "note" not in found["quantization.error"]
    assert done("evaluate", out)["figures"]["error_rate.integer"]["kind"] == "measured"
    asked = ("--device", "lfe5u-25f", "--streams", "2", "--pes", "2")
    designed = done("design", out, *asked)
    assert designed["figures"]["utilisation"]["value"] <= 100
    best = designed["designs"]["best"]
    assert best["streams"] == 2 and best["dsp"] == designed["figures"]["chosen.dsp"]["value"]
    assert best["cycles_per_frame"] * 2 == designed["figures"]["cycles.predicted"]["value"]
    picture = Path("designs.svg")
    model = str(run_folder / "model.safetensors")
    alone = done("design", model, *asked, "--plot", str(picture))
    assert alone["designs"]["best"] == best
    assert picture.read_text(encoding="utf-8").startswith(
        "<svg"
    ) and "var(" not in picture.read_text(encoding="utf-8")
    assert done("build", out)["skipped"] is False
    assert "module ernn_engine" in (run_folder / "rtl" / "ernn_engine.v").read_text()
    counted = done("synth", out, "--also", "XC7A100T")
    assert counted["figures"]["area.lut"]["value"] == AREA.lut
    assert [found["LUT"]["used"] for found in counted["areas"].values()] == [AREA.lut] * 2
    assert list(counted["areas"]) == ["LFE5U-25F", "XC7A100T"]
    assert done("place", out, "--seeds", "3")["figures"]["clock_mhz"]["value"] == 100
    assert done("verify", out, "--frames", "200")["figures"]["verify.mismatches"]["value"] == 0
    assert done("verify", out, "--frames", "200")["skipped"] is True
    exported = [
        Path(file).name for file in done("export", out, "--part", "xc7a100tcsg324-1")["files"]
    ]
    assert exported == ["ernn_engine.v", "ernn_engine.xdc", "build.tcl", "package_ip.tcl"]
    in_c = [Path(file) for file in done("export", out, "--c")["files"]]
    assert [file.name for file in in_c] == ["ernn.h", "ernn.c"]
    assert "ernn_frame" in in_c[0].read_text(encoding="utf-8")
    assert done("bitstream", out, "--clock-mhz", "50", "--baud", "1000000")["board"] == "ulx3s-85f"
    assert json.loads((run_folder / "board" / "wire.json").read_text())["streams"] == 2
    page = Path(done("report", out)["report"]).read_text(encoding="utf-8")
    assert "GRU of 8" in page and "LFE5U-25F" in page
    assert "Integers against floats" in page and "The edge with the largest error" in page
    record = RunRecord.load(run_folder / "record.json")
    assert record.missing() == []
    cycles = record.get("cycles.simulated").value
    assert record.get("cycles.predicted").value == cycles
    assert record.get("fps").value == pytest.approx(2 * 100e6 / cycles, abs=0.1)
    assert record.get("latency_us").value == pytest.approx(
        record.get("verify.latency_cycles").value / 100, abs=1e-3
    )


class GoldenBoard:
    """The serial port of a board on which golden runs in place of the engine."""

    def __init__(self, wire: Wire, model: IntegerModel) -> None:
        self.wire, self.answers = wire, bytearray()
        self.streams = [Stream(model) for _ in range(wire.streams)]

    def send_break(self, duration: float = 0.0) -> None:
        self.answers.clear()

    def write(self, data: bytes) -> None:
        wire, stream = self.wire, self.streams[data[0] & 15]
        if data[0] >> 7:
            stream.reset()
        numbers = np.frombuffer(data[1:], f"<i{wire.number_bytes}")[: wire.inputs]
        values = stream.push(numbers[None].astype(np.int64))[0]
        beats = np.zeros(wire.beats(len(values)) * wire.line, f"<i{wire.number_bytes}")
        beats[: len(values)] = values
        self.answers += data[:1] + beats.tobytes()

    def read(self, size: int = 1) -> bytes:
        came = bytes(self.answers[:size])
        del self.answers[:size]
        return came

    @classmethod
    def open(cls, name: str, wire: Wire, baud: int) -> Link:
        assert (name, baud) == ("/dev/ttyUSB0", 1_000_000)
        return Link(cls(wire, codec.load("out/first/model.safetensors", IntegerModel)), wire)


def test_from_a_run_to_a_program(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Link, "open", GoldenBoard.open)
    names = follow(ROOT / "docs" / "how-to" / "deploy.md")
    names["service"].server_close()
    assert "said:" in capsys.readouterr().out
    assert len(names["scores"]) == len(names["features"]) > 20
