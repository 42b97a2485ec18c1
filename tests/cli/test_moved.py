"""A run goes on where its corpus was touched or moved, and where the run itself was."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ernn.cli.app import run as ernn
from ernn.data.features import FeatureSpec
from ernn.data.open import open_corpus
from ernn.errors import UserError
from ernn.pipeline import sequences
from ernn.pipeline.run import Run


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a corpus, and a run that is said to have been trained on it."""
    monkeypatch.setenv("ERNN_CACHE", str(tmp_path / "cache"))
    made = tmp_path / "made"
    (made / "data").mkdir(parents=True)
    rng = np.random.default_rng(0)
    lengths = rng.integers(4, 7, 300)
    X = rng.normal(size=(lengths.sum(), 13)).astype(np.float32)
    np.savez(made / "data" / "own.npz", X=X, y=np.arange(300) % 10, lengths=lengths)
    corpus = open_corpus("digits", made / "data" / "own.npz")
    task = sequences.describe(corpus, "digits", 0, FeatureSpec(kind="stored"))
    run = Run(made / "run", made / "data" / "own.npz")
    assert not run.perform("train", {"task": task}, lambda: None).skipped
    return made


def frames(folder: Path, root: Path | None = None) -> int:
    return sequences.prepared(Run.existing(folder / "run", root)).task.inputs


def unchanged(folder: Path, root: Path | None = None) -> bool:
    run = Run.existing(folder / "run", root)
    return run.perform("train", run.options("train"), lambda: None).skipped


def test_a_touch_and_a_move_of_all_are_no_change(begun: Path, tmp_path: Path) -> None:
    os.utime(begun / "data" / "own.npz", (1, 1))
    assert frames(begun) == 13
    shutil.move(begun, tmp_path / "moved")
    assert frames(tmp_path / "moved") == 13 and unchanged(tmp_path / "moved")


def test_the_run_alone_may_move(begun: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    shutil.move(begun / "run", tmp_path / "elsewhere" / "deep")
    assert frames(tmp_path / "elsewhere" / "deep") == 13


def test_a_corpus_that_moved_is_asked_for_and_kept_in_mind(begun: Path, tmp_path: Path) -> None:
    now = tmp_path / "data.npz"
    shutil.move(begun / "data" / "own.npz", now)
    with pytest.raises(UserError, match=r"is not in .*own\.npz any more: say where .* --root FOLD"):
        frames(begun)
    assert frames(begun, now) == 13
    assert unchanged(begun, now)  # a step, which writes down where the corpus is
    assert frames(begun) == 13


def test_another_corpus_is_refused_whichever_way_it_is_named(begun: Path, tmp_path: Path) -> None:
    data, other = begun / "data" / "own.npz", tmp_path / "other.npz"
    with np.load(data) as arrays:
        np.savez(other, **{**arrays, "X": arrays["X"] + 1})
    with pytest.raises(UserError, match=r"in .*other\.npz has changed since `ernn train`"):
        frames(begun, other)
    shutil.move(data, tmp_path / "old.npz")
    shutil.copyfile(other, data)
    with pytest.raises(UserError, match="has changed since `ernn train`: train again"):
        frames(begun)
    assert frames(begun, tmp_path / "old.npz") == 13


@pytest.mark.parametrize("command", ["compress", "quantize", "evaluate", "verify", "robustness"])
def test_commands_that_hear_the_corpus_take_its_place(
    command: str, begun: Path, tmp_path: Path, capsys: Any
) -> None:
    assert ernn([command, str(begun / "run"), "--root", str(tmp_path / "none")]) == 2
    assert "No such option" not in capsys.readouterr().err
