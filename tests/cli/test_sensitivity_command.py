"""Sensitivity over a run directory: structures as recipes write them, a table, a picture."""

import json
import re
import warnings
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ernn.compress.methods.low_rank import LowRank
from ernn.data.batches import Example
from ernn.data.objective import Transcription
from ernn.errors import UserError
from ernn.ir.structure import BlockCirculant, Dense
from ernn.nn.model import AcousticModel
from ernn.nn.spec import LayerSpec, ModelSpec
from ernn.pipeline import sensitivity
from ernn.pipeline.run import Run
from ernn.report.heat import heat_map
from ernn.train.task import Task


def test_structures_are_written_as_in_a_recipe() -> None:
    assert (
        sensitivity.structure_of("8") == BlockCirculant(8)
        and sensitivity.structure_of("1") == Dense()
    )
    assert sensitivity.structure_of('{kind = "LowRank", rank = 16}') == LowRank(16)
    with pytest.raises(UserError, match="not written as a recipe"):
        sensitivity.structure_of("{rank")


def test_a_run_gets_a_table_and_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = AcousticModel(ModelSpec(4, (LayerSpec("gru", 8),), 4))
    examples = [Example(str(n), torch.randn(9, 4).numpy(), (1, 2)) for n in range(4)]
    task = SimpleNamespace(task=Task(examples, examples, Transcription(("a", "b", "c"))))
    monkeypatch.setattr(sensitivity, "dense_model", lambda run: model)
    monkeypatch.setattr(sensitivity.sequences, "prepared", lambda run: task)
    found = sensitivity.measure(Run(tmp_path), [BlockCirculant(4), LowRank(2)], gates=True)
    assert len(found.lines) == 2 * (3 + 3) + 2
    assert found.left_out == ()
    few = sensitivity.measure(Run(tmp_path / "few"), [BlockCirculant(8)])
    assert {line.part for line in few.lines} == {"recurrent.0.weight_hh_l0"}
    assert (
        few.left_out
        == tuple(few.to_dict()["left_out"])
        == ("recurrent.0.weight_ih_l0", "output.weight")
    )
    kept = json.loads((tmp_path / "sensitivity.json").read_text())
    assert kept["kind"] == "measured" and len(kept["lines"]) == len(found.lines)
    picture = found.picture.read_text()
    assert (
        picture.startswith("<svg")
        and "recurrent.0.weight_hh_l0[2]" in picture
        and "BlockCirculant" in picture
    )


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 1), (3, 3), (9, 2)])
def test_rows_of_a_heat_map_stand_apart_however_few(rows: int, columns: int) -> None:
    kinds = [
        "BlockCirculant(block=8, pad=False)",
        "LowRank(rank=16, stacked=False)",
        "Quantized(inner=Dense())",
    ]
    names = [f"recurrent.{row}.weight_hh_l0" for row in range(rows)]
    values = [[row + 0.25 for _ in range(columns)] for row in range(rows)]
    label = "points of validation error more than 12.34 %, each part compressed alone"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = heat_map(names, kinds[:columns], values, label)
    heights = [_height(drawn, f"{row}.25") for row in range(rows)]
    assert all(below - above > 12 for above, below in pairwise(heights))


def _height(drawn: str, text: str) -> float:
    """Where a text stands in a picture, in points from the top."""
    found = re.search(
        rf"<text[^>]*?(?:translate\([\d.]+ |y=\")([\d.]+)[^>]*>{re.escape(text)}</text>", drawn
    )
    assert found is not None
    return float(found[1])
