"""Whatever is wrong with what is asked for is said in one line, before any time is spent."""

from dataclasses import replace
from pathlib import Path

import pytest

from ernn.cli.app import run
from ernn.data.corpus import Corpus, Split, Utterance, checked
from ernn.data.open import open_corpus
from ernn.errors import UserError
from ernn.ir.structure import BlockCirculant, LoadBalanced
from ernn.nn.spec import LayerSpec, ModelSpec
from ernn.pipeline import network, sequences
from ernn.pipeline.run import Run
from ernn.train import stages
from ernn.train.recipe_file import changed, load_recipe
from ernn.train.recipes import AN4, DIGITS
from ernn.train.task import Prepared

GOOD = """
dropout = 0.1
[[layers]]
cell = "lstm"
hidden = 64
projection = 32
[plan]
recurrent = {density = 0.1, pes = 8}
input = 16
[dense]
epochs = 7
[solver]
rho = 3.0
[features]
deltas = 1
"""


def test_a_recipe_file_changes_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text(GOOD)
    found = load_recipe(tmp_path / "good.toml", AN4)
    assert found.layers == (LayerSpec("lstm", 64, 32),) and found.dropout == 0.1
    assert found.plan.recurrent == LoadBalanced(0.1, 8) and found.plan.input == BlockCirculant(16)
    assert found.plan.output == AN4.plan.output
    assert (
        found.dense.epochs == 7 and found.dense.rate == AN4.dense.rate and found.solver.rho == 3.0
    )
    assert (found.features.deltas, found.features.stack, found.retrain) == (
        1,
        AN4.features.stack,
        AN4.retrain,
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 3}, "a recipe has no epochs: it has features, layers"),
        ({"dense": {"epoch": 3}}, r"\[dense\]: TrainSpec has no epoch"),
        ({"dense": {"epochs": 0}}, r"\[dense\]: epochs must be a whole number of at least 1"),
        ({"dense": {"rate": "high"}}, r"\[dense\]: rate must be a number, not 'high'"),
        ({"distil": {"label": 1.0}}, r"\[distil\]: DistilSpec has no label"),
        ({"distil": {"labels": -1.0}}, r"\[distil\]: labels and peaks must be at least 0"),
        ({"layers": 3}, r"layers must be tables, \[\[layers\]\], not 3"),
        ({"dense": 3}, "dense must be a table of keys, not 3"),
        ({"solver": {"rho": -1.0}}, r"\[solver\]: rho must be above 0"),
        ({"plan": {"block": 8}}, r"\[plan\]: a compression plan has no block"),
        ({"plan": {"input": 3}}, r"\[plan\]: block size must be one of"),
        ({"layers": [{"cell": "gru"}]}, "a layer needs hidden"),
        ({"layers": [{"cell": "gru", "hidden": 8, "units": 8}]}, "a layer has no units"),
        ({"layers": [{"cell": "transformer", "hidden": 8}]}, "cell must be one of"),
        ({"features": {"stack": 2, "subsample": 3}}, r"\[features\]: 1 <= subsample <= stack"),
        ({"features": {"bin": 3}}, r"\[features\]: it has no bin: it has kind"),
    ],
)
def test_a_wrong_recipe_is_named(values: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        changed(AN4, values)


def refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> str:
    """The one line on standard error of a command that must not train."""

    def trained(*_: object, **__: object) -> None:
        raise AssertionError("time was spent")

    monkeypatch.setattr(stages, "train_dense", trained)
    assert run(arguments) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("ernn: ")]
    assert len(lines) == 1
    return lines[0]


def test_commands_refuse_before_they_train(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, out = tmp_path / "bad.toml", str(tmp_path / "out")
    bad.write_text("[dense]\nepoch = 3\n")
    cases = {
        "bad.toml: [dense]: TrainSpec has no epoch": [
            "explore",
            "digits",
            "--recipe",
            str(bad),
            "--out",
            out,
        ],
        "cannot read the recipe": ["train", "--recipe", str(tmp_path / "none.toml"), "--out", out],
        "no corpus is called 'speech'": ["search", "speech", "--out", out],
        "is read from your disk; give its folder": ["explore", "an4", "--out", out],
        "is not a folder": [
            "train",
            "--corpus",
            "an4",
            "--root",
            str(tmp_path / "none"),
            "--out",
            out,
        ],
        "no device called 'XC9'": ["explore", "digits", "--device", "XC9", "--out", out],
        "a limit is": ["explore", "digits", "--limit", "few", "--out", out],
        "even in blocks of 64 it takes": ["explore", "digits", "--hidden", "9000", "--out", out],
        "none of 1 trials came to its end; the first: does not fit": [
            *("search", "digits", "--hidden", "1000000", "--trials", "1", "--out", out),
        ],
        "GiB to train, this machine has": ["train", "--hidden", "1000000", "--out", out],
        "block sizes are of": ["search", "digits", "--blocks", "8,9", "--out", out],
    }
    for message, arguments in cases.items():
        assert message in refused(arguments, capsys, monkeypatch), arguments


def test_an_empty_test_split_is_named_before_training() -> None:
    corpus = open_corpus("digits")

    class WithoutTest(Corpus):
        name, label_set = corpus.name, corpus.label_set

        def utterances(self, split: Split) -> list[Utterance]:
            return checked(
                "digits", split, self.label_set, [] if split == "test" else corpus.utterances(split)
            )

    with pytest.raises(UserError, match="split 'test' is empty"):
        _ = Prepared(WithoutTest(), DIGITS.features).task


def test_the_front_of_a_recipe_is_trained(tmp_path: Path) -> None:
    corpus, folder = open_corpus("digits"), Run(tmp_path)
    task = sequences.describe(corpus, "digits", 0, DIGITS.features)
    layers = (LayerSpec("gru", 4),)
    network.train(
        folder, corpus, task, layers, 0.0, replace(DIGITS.dense, epochs=1, batch=400), front=4
    )
    assert folder.option("train", "model", ModelSpec).front == 4


def test_an_empty_split_is_named() -> None:
    """What every corpus's reader ends with."""
    with pytest.raises(UserError, match="split 'test' is empty; check that the folder is complete"):
        checked("an4", "test", (), [])
