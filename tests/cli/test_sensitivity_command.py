"""Sensitivity over a run directory: structures as recipes write them, a table, a picture."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ernn.compress.methods.low_rank import LowRank
from ernn.data.batches import Example
from ernn.errors import UserError
from ernn.nn.model import AcousticModel
from ernn.pipeline import sensitivity
from ernn.pipeline.run import Run
from ernn.spec import LayerSpec, ModelSpec
from ernn.structure import BlockCirculant, Dense


def test_structures_are_written_as_in_a_recipe() -> None:
    assert sensitivity.structure_of("8") == BlockCirculant(8) and sensitivity.structure_of("1") == Dense()
    assert sensitivity.structure_of('{kind = "LowRank", rank = 16}') == LowRank(16)
    with pytest.raises(UserError, match="not written as a recipe"):
        sensitivity.structure_of("{rank")


def test_a_run_gets_a_table_and_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = AcousticModel(ModelSpec(4, (LayerSpec("gru", 8),), 4))
    examples = [Example(str(n), torch.randn(9, 4).numpy(), (1, 2)) for n in range(4)]
    task = SimpleNamespace(task=SimpleNamespace(validation=examples))
    monkeypatch.setattr(sensitivity, "dense_model", lambda run: model)
    monkeypatch.setattr(sensitivity.speech, "prepared", lambda run: task)
    found = sensitivity.measure(Run(tmp_path), [BlockCirculant(4), LowRank(2)], gates=True)
    assert len(found.lines) == 2 * (3 + 3) + 2
    kept = json.loads((tmp_path / "sensitivity.json").read_text())
    assert kept["kind"] == "measured" and len(kept["lines"]) == len(found.lines)
    picture = found.picture.read_text()
    assert picture.startswith("<svg") and "recurrent.0.weight_hh_l0[2]" in picture and "BlockCirculant" in picture
