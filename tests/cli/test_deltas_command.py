"""Deltas over a run directory: errors, shares and cycles for every threshold."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ernn.cli.app import run as ernn
from ernn.data.batches import Example
from ernn.data.objective import Transcription
from ernn.files import write_json
from ernn.ir import serialization as codec
from ernn.pipeline import temporal
from ernn.pipeline.run import STATE
from ernn.train.task import Task
from tests.models import random_integer_model

STEP = {"options": {}, "key": "", "seconds": 1.0, "command": ""}


def test_a_run_gets_a_line_a_threshold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    model = random_integer_model(rng, cell="gru", input_size=4, hidden=8, outputs=4)
    codec.save(tmp_path / "model.safetensors", model)
    done = {"quantize": STEP}
    write_json(tmp_path / STATE, {"settings": {}, "steps": done})
    examples = [
        Example(str(n), rng.standard_normal((9, 4)).cumsum(axis=0), (1, 2)) for n in range(3)
    ]
    task = SimpleNamespace(task=Task(examples, examples, Transcription(("a", "b", "c"))))
    monkeypatch.setattr(temporal.sequences, "prepared", lambda run: task)
    command = [
        "deltas",
        str(tmp_path),
        "--threshold",
        "0",
        "--threshold",
        "0.5",
        "--utterances",
        "2",
    ]
    assert ernn(command) == 0
    shown = capsys.readouterr().out
    assert "0.5" in shown and "`ernn design` first" in " ".join(shown.split())
    write_json(tmp_path / "design.json", {"device": "LFE5U-25F", "pes": 1, "streams": 4})
    write_json(tmp_path / STATE, {"settings": {}, "steps": done | {"design": STEP}})
    assert ernn([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((tmp_path / "deltas.json").read_text())
    first, second = found["lines"]
    assert (found["frames"], found["utterances"], found["split"]) == (18, 2, "validation")
    assert (
        second["columns"] < first["columns"]
        and second["cycles"] < first["cycles"] <= found["without_deltas"]
    )
    assert second["cycles"] <= second["cycles_as_they_lie"]
