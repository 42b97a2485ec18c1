"""A network of one's own as the beginning of a run: what stays on the host is in its record and on
its page.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from ernn.cli.app import run
from ernn.errors import UserError
from ernn.pipeline import hardware
from ernn.pipeline.kept import model_of
from ernn.pipeline.run import Run
from tests.brief import search_briefly

NETWORK = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.letters, self.norm = nn.Embedding(20, 4), nn.LayerNorm(6)
        self.gru, self.lstm = nn.GRU(4, 6, batch_first=True), nn.LSTM(6, 8, batch_first=True)

    def forward(self, x):
        return self.lstm(self.norm(self.gru(self.letters(x))[0]))[0].softmax(-1)

def network():
    torch.manual_seed(0)
    return Net()
"""
WHY = {
    "embedding in module 'letters' (Embedding)": "looks rows up by an index",
    "module 'gru' (GRU)": "is not in the largest stretch that streams: layer_norm in module 'norm' "
    "(LayerNorm) lies between",
    "layer_norm in module 'norm' (LayerNorm)": "divides by what it finds in each frame's own "
    "values, whose range no table covers at once",
    "softmax in Net": "divides by what it finds in each frame's own values, whose range no table "
    "covers at once",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(NETWORK)
    letters = np.random.default_rng(0).integers(0, 20, (5, 12))
    np.savez(tmp_path / "letters.npz", *letters)
    data = str(tmp_path / "letters.npz")
    found = tmp_path / "run"
    network = f"{tmp_path}/net.py:network"
    bits = ["--bits-of", "input=12", "--bits-of", "l0.gates.x=10"]
    assert run(["import", network, "--data", data, "--out", str(found), *bits]) == 0
    return found


def test_it_goes_on_to_a_report(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search_briefly(monkeypatch)
    model = model_of(Run(folder))
    assert (model.input.format.width, [one.bits for one in model.matrices]) == (12, [10, 12])
    assert run(["design", str(folder), "--pes", "1", "--streams", "1"]) == 0
    assert run(["report", str(folder)]) == 0
    record = json.loads((folder / "record.json").read_text())
    share = 4 * 8 * (6 + 8) / (4 * 8 * (6 + 8) + 3 * 6 * (4 + 6))
    assert record["share_in_hardware"]["value"] == pytest.approx(100 * share, abs=1e-3)
    rows = record["series"]["hosted"]["rows"]
    assert {row["name"]: row["why"] for row in rows} == WHY
    page = (folder / "report.html").read_text()
    assert "run in hardware" in page
    assert all(text.replace("'", "&#39;") in page for pair in WHY.items() for text in pair)
    utterances = hardware._stimulus(Run(folder), model_of(Run(folder)), 20)
    assert [one.shape for one in utterances] == [(12, 6), (12, 6)]


def test_two_beginnings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "--corpus", "digits", "--out", str(folder)]) == 2
    assert "is a run that began with `ernn import`" in capsys.readouterr().err
    assert run(["compress", str(folder)]) == 2


def test_its_frames_are_damaged(folder: Path) -> None:
    (folder / "frames.npz").write_bytes(b"no")
    with pytest.raises(UserError, match=r"frames.npz is no .npy or .npz file"):
        hardware._stimulus(Run(folder), model_of(Run(folder)), 20)
