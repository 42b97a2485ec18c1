"""Robustness over a run directory: a line per network, strain and level, a table, a picture."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ernn.cli.app import run as ernn
from ernn.compress.plan import CompressionPlan
from ernn.data.batches import Example
from ernn.data.objective import Transcription
from ernn.files import write_json
from ernn.golden.faults import memory_bits, with_upsets
from ernn.ir import serialization as codec
from ernn.nn.model import AcousticModel
from ernn.nn.spec import LayerSpec, ModelSpec
from ernn.pipeline import robustness
from ernn.pipeline.network import integer_rate, integers_of
from ernn.pipeline.run import STATE
from ernn.quantization.quantize import QuantizeSpec
from ernn.train.evaluate import evaluate_model
from ernn.train.robustness import attacked, noisy
from ernn.train.task import Task

OBJECTIVE = Transcription(("a", "b", "c"))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A run of a dense network and its integers."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    module = AcousticModel(ModelSpec(4, (LayerSpec("gru", 8),), 4))
    examples = [
        Example(str(n), rng.standard_normal((9, 4)).cumsum(axis=0).astype(np.float32), (1, 2))
        for n in range(5)
    ]
    prepared = SimpleNamespace(task=Task(examples, examples, OBJECTIVE))
    integers = integers_of(module, CompressionPlan(), QuantizeSpec(), prepared)  # type: ignore[arg-type]
    codec.save(tmp_path / "model.safetensors", integers)
    write_json(
        tmp_path / STATE,
        {
            "settings": {},
            "steps": {"quantize": {"options": {}, "key": "", "seconds": 1.0, "command": ""}},
        },
    )
    monkeypatch.setattr(robustness, "dense_model", lambda run: module)
    monkeypatch.setattr(robustness.sequences, "prepared", lambda run: prepared)
    return SimpleNamespace(folder=tmp_path, module=module, integers=integers, examples=examples[:3])


def test_a_run_gets_its_lines(run: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["robustness", str(run.folder), "--utterances", "3", "--seed", "7"]
    assert ernn([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((run.folder / "robustness.json").read_text())
    assert (found["kind"], found["split"], found["utterances"], found["seed"]) == (
        "measured",
        "validation",
        3,
        7,
    )
    errors = {
        (line["network"], line["strain"], line["level"]): line["error"] for line in found["lines"]
    }
    assert len(errors) == len(found["lines"]) == (5 + 4 + 4) + (5 + 4 + 4 + 5 + 4)
    moved = attacked(run.module, run.examples, OBJECTIVE, 0.2)
    assert errors["dense", "FGSM", 0.2] == evaluate_model(run.module, moved, OBJECTIVE).percent
    noise = [
        evaluate_model(run.module, noisy(run.examples, 0.8, seed), OBJECTIVE).percent
        for seed in (7, 8, 9)
    ]
    assert errors["dense", "noise", 0.8] == pytest.approx(np.mean(noise))
    count = round(0.01 * memory_bits(run.integers))
    flips = [
        integer_rate(with_upsets(run.integers, count, seed), run.examples, OBJECTIVE).percent
        for seed in (7, 8, 9)
    ]
    assert errors["integers", "weights", 0.01] == pytest.approx(np.mean(flips))
    assert errors["integers", "noise", 0.0] == errors["integers", "tables", 0.0]
    picture = (run.folder / "robustness.svg").read_text()
    assert (
        picture.startswith("<svg")
        and "Flipped share of the weights" in picture
        and "integers" in picture
    )
    assert ernn(command) == 0
    shown = capsys.readouterr().out
    assert "integers" in shown and "0.0001" in shown
