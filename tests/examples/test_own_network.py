"""The scripts for someone who brings their own torch module run as they stand."""

import re
import runpy
from pathlib import Path

import pytest
import torch

from tests.brief import search_briefly

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    search_briefly(monkeypatch)
    torch.manual_seed(0)


def test_module_to_verified_verilog(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "own_lstm.py"))
    assert "240 frames, 2,400 integers, 0 differ: passed" in capsys.readouterr().out
    assert Path("out/own_lstm/ernn_engine.v").exists()


def test_streams(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "own_gru_stream.py"))
    assert "480 frames, 7,680 integers, 0 differ: passed" in capsys.readouterr().out


def test_module_to_network(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "own_lstm_to_network.py"))
    said = capsys.readouterr().out
    assert "LSTM: 13 -> 32" in said
    assert max(map(float, re.findall(r"floats: (\S+)", said))) < 1e-5
