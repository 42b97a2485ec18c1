"""Own data by commands and from Python: one run directory, and errors in one line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ernn
from ernn.cli.app import run
from ernn.data.own import OwnData
from ernn.errors import UserError

WINDOWS = np.random.default_rng(0).standard_normal((30, 12, 3))
CLASSES = ["walk", "run", "jump"] * 10


def test_arrays_are_trained_on_by_a_command_and_by_python_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ernn.Sequences(WINDOWS, CLASSES, "classify", groups=np.arange(30) // 2)
    path = str(data.save(tmp_path / "mine.npz"))
    told = ["train", "--data", path, "--task", "classify", "--hidden", "4", "--epochs", "1"]
    assert run([*told, "--out", str(tmp_path / "run"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["figures"]
    assert set(found) == {"error_rate.dense", "f1.dense"}
    again = ernn.fit(data, tmp_path / "python", hidden=4, epochs=1, progress=False)
    assert again.figures["error_rate.dense"].value == found["error_rate.dense"]["value"]
    assert "error_rate.dense" in str(again.figures)
    (tmp_path / "mine.npz").rename(tmp_path / "moved.npz")
    assert run(["sensitivity", str(tmp_path / "run"), "--to", "4"]) == 2
    assert "is not in" in capsys.readouterr().err
    moved = ["--root", str(tmp_path / "moved.npz")]
    assert run(["sensitivity", str(tmp_path / "run"), "--to", "4", *moved]) == 0
    assert run(["train", "--task", "label", "--out", str(tmp_path / "other")]) == 2
    assert "are of --data alone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("features", "targets", "more", "said"),
    [
        (WINDOWS, CLASSES[:-1], {}, "30 sequences have 29 targets"),
        (WINDOWS, 5, {}, "targets must be a list, one a sequence, not int"),
        (WINDOWS, [None] * 30, {}, "target 0 must be text or numbers, not object"),
        (WINDOWS, [[1], [2, 3]] * 15, {}, "targets are alike for all sequences"),
        (WINDOWS, [[[1], [2, 3]]] * 30, {}, "target 0 is no array"),
        (WINDOWS[0], CLASSES, {}, "give one alone as"),
        (WINDOWS, CLASSES, {"settings": {"window": "3"}}, "manifest"),
        (WINDOWS, CLASSES, {"settings": {"classes": object()}}, "settings are plain values"),
        (WINDOWS, CLASSES, {"groups": [1]}, "groups must be one a sequence"),
    ],
)
def test_sequences_that_do_not_fit_together_are_refused(
    features: Any, targets: Any, more: Any, said: str
) -> None:
    with pytest.raises(UserError, match=said) as caught:
        ernn.Sequences(features, targets, **more)
    assert "\n" not in str(caught.value)


def test_what_is_saved_is_what_was_given(tmp_path: Path) -> None:
    lengths = [4, 6, 5]
    features = [np.full((n, 2), n, float) for n in lengths]
    labels = [np.arange(n) % 2 for n in lengths]
    strings = [list("ab"), list("c"), list("abc")]
    for targets, task in ((labels, "label"), (strings, "transcribe")):
        made = ernn.Sequences(features, targets, task)
        corpus = OwnData(made.save(tmp_path / f"{task}.npz"))
        found = {
            u.id: u for split in ("train", "validation", "test") for u in corpus.utterances(split)
        }
        for number, target in enumerate(targets):
            one = found[f"{number:05d}"]
            np.testing.assert_array_equal(one.features(), features[number])
            assert one.labels == tuple(str(label) for label in target)
