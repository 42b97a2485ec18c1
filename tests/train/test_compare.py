"""The comparison on tiny networks: resumed, by several processes, of a
run of one's own, failures shown.
"""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import train_toy as toy
from safetensors.torch import save
from test_an4_example import write_miniature
from test_rivals import benchmark

from ernn.cli.app import run
from ernn.errors import UserError
from ernn.pipeline import compare, network, rival
from ernn.pipeline.compare import ComparisonRequest
from ernn.pipeline.run import Run
from ernn.train.recipe_file import load_recipe
from ernn.train.recipes import DIGITS
from tests.scripts import ROOT

NAMES = ("block-circulant, ADMM", "hidden units removed", "SRU", "tensor train")


class _Data:
    """A toy task in place of a corpus."""

    def __init__(self, corpus: object, features: object) -> None:
        self.task = toy.task()
        self.objective, self.score = self.task.objective, self.task.score
        self.test, self.corpus, self.features = (
            self.task.validation,
            SimpleNamespace(name="digits"),
            DIGITS.features,
        )


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "Prepared", _Data)
    monkeypatch.setattr(compare, "open_corpus", lambda name, root: SimpleNamespace(name=name))
    known = {"cycles": 100.0, "cycles_kind": "predicted", "mhz": 165.0}
    none = {"cycles": None}
    monkeypatch.setattr(
        rival, "cycles", lambda made, device, streams: none if "train" in made.rival.name else known
    )


def test_the_benchmark_resumes(tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--times", "4", "--seeds", "2", "--epochs", "1,1,1", "--hidden", "16"]
    arguments += [part for name in NAMES for part in ("--only", name)]
    arguments += ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    benchmark().main(arguments)
    first = (tmp_path / "out" / "compare-digits.md").read_text()
    assert all(name in first for name in NAMES) and "The dense network" in first
    assert "| 100 | 1,650,000 |" in first and "| software |  |" in first  # 165 MHz over 100 cycles
    results = json.loads((tmp_path / "out" / "compare-digits.json").read_text())["results"]
    assert len(results) == 2 * (1 + len(NAMES)) and all(r["percent"] >= 0 for r in results)
    monkeypatch.setattr(compare.rival, "trained", None)  # nothing is left to do
    monkeypatch.setattr(compare.stages, "train_dense", None)
    compare.setting.cache_clear()
    compare.dense_network.cache_clear()
    benchmark().main(arguments)
    assert (tmp_path / "out" / "compare-digits.md").read_text() == first
    assert torch.get_num_threads() == 1


def test_results_lie_where_they_always_lay(tmp_path: Path, tiny: None) -> None:
    """Long runs go on from these files: other names or fields would train everything again."""
    asked = ComparisonRequest(
        "digits",
        hidden=16,
        epochs=(1, 1, 1),
        times=(4.0,),
        seeds=1,
        only=(NAMES[0],),
        work=tmp_path,
    )
    compare.compare(asked, progress=False)
    at = compare.setting(asked)
    assert at.folder.relative_to(tmp_path).parts[0] == "digits" and re.fullmatch(
        "[0-9a-f]{12}", at.folder.name
    )
    assert {file.name for file in at.seed(0).glob("*.json")} == {
        "dense.json",
        "block-circulant-ADMM-4.json",
    }
    found = json.loads((at.seed(0) / "block-circulant-ADMM-4.json").read_text())
    assert list(found) == [
        *(
            "name",
            "family",
            "times",
            "bits",
            "multiplications",
            "cycles",
            "cycles_kind",
            "cpu_seconds",
        ),
        *("percent", "tokens", "validation_percent", "plan", "layers"),
    ]
    assert list(json.loads((at.seed(0) / "dense.json").read_text())) == [
        *("name", "times", "percent", "tokens", "validation_percent"),
    ]


def test_processes_side_by_side_have_the_results_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rival, "cycles", lambda made, device, streams: {"cycles": None})
    root = write_miniature(tmp_path / "an4", "abcdefghijkl")
    alone = ComparisonRequest(
        "an4",
        root,
        hidden=8,
        epochs=(1, 1, 1),
        times=(2.0,),
        seeds=2,
        only=("SRU", "pruned"),
        work=tmp_path / "alone",
    )
    compare.compare(alone, progress=False)
    beside = replace(alone, work=tmp_path / "beside")
    there, here = (compare.setting(asked).folder / "predicted" for asked in (alone, beside))
    shutil.copytree(there, here)  # a search of seconds, which is not what is tested
    found = compare.compare(beside, 2, progress=False)
    assert not found.failed and not found.missing and len(found.rows) == 2

    def kept(asked: ComparisonRequest) -> list[dict[str, Any]]:
        return [
            {name: one[name] for name in one if name != "cpu_seconds"}
            for one in compare.results(asked)
        ]

    assert kept(beside) == kept(alone) and len(kept(alone)) == 6


def test_a_run_of_ones_own_is_compared_from_its_own_network(
    tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own, model = Run(tmp_path / "run"), toy.model()
    options = {
        "model": model.spec.to_dict(),
        "train": toy.SPEC.to_dict(),
        "task": {
            "corpus": "digits",
            "title": "digits",
            "corpus_seed": 0,
            "identity": "",
            "features": {},
        },
    }

    def work() -> None:
        own.path(network.DENSE).write_bytes(save(dict(model.state_dict())))

    own.perform("train", options, work, writes=[network.DENSE])
    monkeypatch.setattr(compare.sequences, "prepared", lambda run: _Data(None, None))
    monkeypatch.setattr(compare.stages, "train_dense", None)  # the network is there
    arguments = ["compare", str(own.folder), "--times", "4", "--only", "pruned", "--seeds", "1"]
    assert run([*arguments, "--towards", "1", "--inside", "1", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in shown["rows"]] == ["pruned"] and shown["dense"]["times"] == 1.0
    page = own.path("compare") / "compare-digits.html"
    assert str(page) in shown["written"] and "seed5" in str(
        next(page.parent.rglob("pruned-4.json"))
    )
    assert run([*arguments, "--hidden", "8"]) == 2
    assert "is there already: leave --hidden and --epochs out" in capsys.readouterr().err


def test_what_fails_is_shown_and_the_rest_is_there(
    tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = rival.trained

    def diverges(made: Any, *rest: Any) -> Any:
        if made.rival.name == "SRU":
            raise UserError("the loss is no longer finite")
        return trained(made, *rest)

    monkeypatch.setattr(rival, "trained", diverges)
    short = [
        "--epochs",
        "1",
        "--towards",
        "1",
        "--inside",
        "1",
        "--hidden",
        "8",
        "--seeds",
        "1",
        "--times",
        "4",
    ]
    arguments = [
        "compare",
        "digits",
        *short,
        "--only",
        "SRU",
        "--only",
        "pruned",
        "--work",
        str(tmp_path),
    ]
    assert run(arguments) == 1
    shown = capsys.readouterr()
    assert (
        "failed: SRU, 4 times, seed 0 (ernn.errors.UserError: the loss is no longer finite)"
        in shown.err
    )
    assert (
        "pruned" in shown.out
        and "the loss is no longer finite" in (tmp_path / "compare-digits.html").read_text()
    )
    monkeypatch.setattr(rival, "trained", None)
    assert run([*arguments, "--only", "IndRNN", "--as-is"]) == 0
    assert "results are not there yet" in capsys.readouterr().err


def test_what_it_refuses() -> None:
    with pytest.raises(UserError, match="no method is called 'SRUU'; they are"):
        ComparisonRequest("digits", only=("SRUU",))
    with pytest.raises(UserError, match="a budget is more than 1 times fewer bits"):
        ComparisonRequest("digits", times=(0.5,))
    with pytest.raises(UserError, match='budgets are written as "4,8,16"'):
        compare.budgets("4;8")


def test_recipes_of_the_long_runs_keep_their_folders() -> None:
    """The folder of a recipe in this repository; where this changes,
    results on disk are trained again.
    """
    recipe = load_recipe(ROOT / "benchmarks" / "recipes" / "digits.toml", DIGITS)
    model = replace(
        toy.model().spec, input_size=52, layers=recipe.layers, outputs=11, dropout=recipe.dropout
    )
    assert compare.identity(recipe, model) == "e07e536f1c68"
