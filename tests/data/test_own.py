"""A user's own arrays: what they are taken for, how they are divided and cut, what is refused."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ernn.data.corpus import SPLITS
from ernn.data.divide import divided
from ernn.data.manifest import Manifest
from ernn.data.objective import Classification, Detection, Regression, Transcription
from ernn.data.open import named, open_corpus
from ernn.data.own import OwnData
from ernn.data.recordings import Recording
from ernn.errors import UserError

LENGTHS = [3, 5, 4, 6, 3, 4, 5, 3, 4]
FRAMES = np.arange(2 * sum(LENGTHS), dtype=np.float64).reshape(-1, 2)
CLASSES = np.array(["a", "b", "c"] * 3)
A_FRAME = np.arange(sum(LENGTHS)) % 2


def npz(folder: Path, **arrays: Any) -> Path:
    whole = {"features": FRAMES, "lengths": LENGTHS, "targets": CLASSES} | arrays
    path = folder / "mine.npz"
    np.savez(path, **{name: one for name, one in whole.items() if one is not None})
    return path


def every(corpus: OwnData) -> dict[str, Any]:
    return {u.id: u for split in SPLITS for u in corpus.utterances(split)}


@pytest.mark.parametrize(
    ("targets", "more", "task", "objective"),
    [
        (CLASSES, {}, None, Classification(("a", "b", "c"))),
        (np.arange(9) % 3, {}, None, Classification(("0", "1", "2"))),
        (np.arange(9) % 3, {}, "regress", Regression(("y0",))),
        (np.arange(9) % 2 > 0, {}, None, Detection(("y0",))),
        (np.ones((9, 2)), {}, None, Regression(("y0", "y1"))),
        (A_FRAME, {}, None, Classification(("0", "1"), "frame")),
        (A_FRAME > 0, {}, None, Detection(("y0",), "frame")),
        (A_FRAME, {}, "classify", Classification(("0", "1"))),
        (np.ones((sum(LENGTHS), 3)), {}, None, Regression(("y0", "y1", "y2"), "frame")),
        (
            np.array(list("ab" * 9)),
            {"target_lengths": np.full(9, 2)},
            None,
            Transcription(("a", "b")),
        ),
    ],
)
def test_targets_are_taken_for_what_they_look_like(
    targets: Any, more: Any, task: Any, objective: Any, tmp_path: Path
) -> None:
    corpus = OwnData(npz(tmp_path, targets=targets, **more), Manifest(task))
    assert corpus.objective == objective
    found = every(corpus)
    assert len(found) == 9
    place = 0
    for number, length in enumerate(LENGTHS):
        one = found[f"{number:05d}"]
        np.testing.assert_array_equal(one.features(), FRAMES[place : place + length])
        if isinstance(objective, Classification) and objective.per == "frame":
            assert one.labels == tuple(str(v) for v in A_FRAME[place : place + length])
        if isinstance(objective, Transcription):
            assert one.labels == ("a", "b")
        place += length


def test_padded_arrays_are_the_same_as_those_one_after_another(tmp_path: Path) -> None:
    padded, labels = np.full((9, 6, 2), 7.0), np.zeros((9, 6), int)
    for row, (at, length) in enumerate(zip(np.cumsum([0, *LENGTHS]), LENGTHS, strict=False)):
        padded[row, :length] = FRAMES[at : at + length]
        labels[row, :length] = A_FRAME[at : at + length]
    one = OwnData(npz(tmp_path, targets=A_FRAME))
    expected = every(one)
    found = every(OwnData(npz(tmp_path, features=padded, targets=labels)))
    assert found == expected
    for name, utterance in found.items():
        np.testing.assert_array_equal(utterance.features(), expected[name].features())


def test_a_folder_says_the_same_as_arrays(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    lines = ["file,target,group"]
    for number, at in enumerate(np.cumsum([0, *LENGTHS[:-1]])):
        frames = FRAMES[at : at + LENGTHS[number]]
        if number % 2:
            np.save(folder / f"{number}.npy", frames)
        else:
            np.savetxt(folder / f"{number}.csv", frames, delimiter=",")
        lines.append(f"{number}.{'npy' if number % 2 else 'csv'},{CLASSES[number]},g{number}")
    (folder / "manifest.csv").write_text("\n".join(lines))
    (folder / "manifest.json").write_text(json.dumps({"task": "classify", "frame_ms": 20}))
    corpus = OwnData(folder)
    assert corpus.objective == Classification(("a", "b", "c")) and corpus.frame_ms == 20
    found = {name.split(".")[0]: one for name, one in every(corpus).items()}
    for name, one in every(OwnData(npz(tmp_path))).items():
        np.testing.assert_array_equal(found[str(int(name))].features(), one.features())
        assert found[str(int(name))].labels == one.labels
    before = corpus.identity
    (folder / "0.csv").write_text("1,2\n")
    assert OwnData(folder).identity != before


def test_windows_are_of_one_recording_and_take_its_target(tmp_path: Path) -> None:
    path = npz(tmp_path, targets=A_FRAME)
    found = every(OwnData(path, Manifest("classify", window=3, stride=2)))
    ids = [name for name in found if name.startswith("00001")]
    assert sorted(ids) == ["00001@0", "00001@2"]
    np.testing.assert_array_equal(found["00001@2"].features(), FRAMES[5:8])
    assert found["00001@2"].labels == (str(Counter(A_FRAME[5:8].tolist()).most_common(1)[0][0]),)
    framed = every(OwnData(path, Manifest("label", window=3)))
    assert framed["00001@0"].labels == tuple(str(v) for v in A_FRAME[3:6])
    whole = every(OwnData(path, Manifest("label", window=100)))
    assert {len(one.labels) for one in whole.values()} == set(LENGTHS)


@given(some.lists(some.integers(0, 30), min_size=3, max_size=120), some.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_groups_are_whole_and_every_split_has_some(groups: list[int], seed: int) -> None:
    items = [
        Recording(str(n), str(g), np.zeros((1, 1), np.float32), np.array(g % 3))
        for n, g in enumerate(groups)
    ]
    kinds = [str(g % 3) for g in groups]
    if len(set(groups)) < 3:
        with pytest.raises(UserError, match="groups cannot be divided"):
            divided(items, kinds, seed)
        return
    found = divided(items, kinds, seed)
    places = {split: {item.group for item in found[split]} for split in SPLITS}
    assert all(places.values()) and sum(map(len, found.values())) == len(items)
    assert sum(map(len, places.values())) == len(set(groups))
    assert divided(items, kinds, seed) == found


def test_many_recordings_are_divided_by_share_and_class() -> None:
    items = [
        Recording(str(n), str(n), np.zeros((1, 1), np.float32), np.array(n % 4)) for n in range(400)
    ]
    found = divided(items, [str(n % 4) for n in range(400)], 1)
    for split, share in zip(SPLITS, (0.65, 0.15, 0.2), strict=True):
        counts = Counter(int(item.target) for item in found[split])
        assert all(abs(count - 100 * share) <= 1 for count in counts.values()) and len(counts) == 4


def test_weights_have_the_mean_one_over_the_training_targets(tmp_path: Path) -> None:
    many = np.array(["a"] * 18 + ["b"] * 9)
    arrays = {"features": np.ones((27, 2, 1)), "lengths": None, "targets": many}
    path = npz(tmp_path, **arrays)
    for asked in ("balanced", {"a": 1.0, "b": 3.0}):
        corpus = OwnData(path, Manifest(weights=asked))
        weights = dict(zip(corpus.objective.names, corpus.objective.weights, strict=True))  # type: ignore[union-attr]
        labels = [u.labels[0] for u in corpus.utterances("train")]
        assert np.mean([weights[label] for label in labels]) == pytest.approx(1)
        ratio = weights["b"] / weights["a"]
        counts = Counter(labels)
        assert ratio == pytest.approx(3 if isinstance(asked, dict) else counts["a"] / counts["b"])


def bad(**arrays: Any) -> dict[str, Any]:
    return arrays


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (bad(features=FRAMES[:, 0]), "features are (sequences, frames, channels)"),
        (bad(features=FRAMES.astype(str)), "must be real numbers"),
        (bad(features=FRAMES.astype(complex)), "no array of numbers"),
        (bad(features=np.array([FRAMES, None], object)), "mine.npz is not an npz file with"),
        (bad(lengths=None), "with their lengths"),
        (bad(lengths=[*LENGTHS[:-1], 5]), "9 that sum to 38 are not"),
        (bad(lengths=[*LENGTHS[:-2], 7, 0]), "lengths are at least 1"),
        (bad(lengths=np.array(LENGTHS, float)), "whole numbers"),
        (bad(targets=CLASSES[:-1]), "targets are one a sequence, 9, or one a frame, not (8,)"),
        (bad(targets=None), "mine.npz is not an npz file with features, targets"),
        (bad(group=np.arange(9)), "'group' is none of features, targets, lengths"),
        (bad(groups=np.arange(8)), "groups must be one a sequence"),
        (bad(groups=np.arange(9) // 8), "2 groups cannot be divided"),
        (bad(ids=["x"] * 9), "ids must differ"),
        (bad(splits=["train"] * 9), "split 'validation' is empty"),
        (bad(splits=["train"] * 8 + ["dev"]), "a split is one of train, validation, test"),
        (bad(groups=[0] * 9, splits=["train", "test", "validation"] * 3), "group '0' is in train"),
        (bad(targets=np.array([0.5] * 8 + [np.nan])), "a target that is not finite"),
        (bad(manifest="{"), "manifest is not JSON"),
        (bad(manifest='{"tasks": "label"}'), "has no field 'tasks'"),
        (bad(manifest='{"task": "guess"}'), "must be one of 'classify'"),
        (bad(manifest='{"task": "label"}'), "cannot be used to label, only to classify"),
        (bad(manifest='{"stride": 3}'), "give window as well"),
        (bad(manifest='{"window": 0}'), "window must be above 0"),
        (bad(manifest='{"weights": "heavy"}'), "weights are equal, balanced or one by class"),
        (bad(manifest='{"weights": {"a": 1}}'), "weights are one above 0 for each of a, b, c"),
        (bad(manifest='{"classes": ["a", "b"]}'), "label 'c' of utterance"),
        (
            bad(targets=np.arange(9), manifest='{"classes": ["a", "b"]}'),
            "has the class 3, classes count from 0 to 1",
        ),
        (
            bad(targets=np.arange(9) - 1, manifest='{"task": "detect"}'),
            "neither 0 nor 1: detect is yes or no",
        ),
        (bad(targets=["a"] * 9), "a classification needs two classes"),
        (
            bad(targets=["a", "a", "b"] * 3, splits=["train", "validation", "test"] * 3),
            "class 'b' is not in the training split",
        ),
        (bad(targets=["a"] * 9, target_lengths=[1] * 8), "target_lengths are how many"),
        (
            bad(targets=["a"] * 9, target_lengths=[1] * 9, manifest='{"window": 2}'),
            "a string of labels is of the whole recording",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(arrays: Any, said: str, tmp_path: Path) -> None:
    corpus = OwnData(npz(tmp_path, **arrays))
    with pytest.raises(UserError) as caught:
        for split in SPLITS:
            _ = corpus.objective, corpus.utterances(split)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "its columns are file, target"),
        ("file\n0.csv", "its columns are file, target"),
        ("file,target\n", "has no line"),
        ("file,target\n0.csv", "line 2 has not as many values"),
        ("file,target\n../0.csv,a", "leads out of"),
        ("file,target\nnone.csv,a", "cannot read"),
        ("file,target\nodd.csv,a", "odd.csv is not a table of numbers"),
        ("file,targets\n0.csv,long.csv", "2 frames, 3 targets"),
    ],
)
def test_a_folder_that_does_not_fit_is_said_in_one_line(
    table: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "0.csv").write_text("1,2\n3,4\n")
    (tmp_path / "long.csv").write_text("1\n0\n1\n")
    (tmp_path / "odd.csv").write_text("1,2\n3,x\n")
    (tmp_path / "manifest.csv").write_text(table)
    with pytest.raises(UserError, match=said.replace("(", r"\(")):
        _ = OwnData(tmp_path, Manifest("classify" if "target\n" in table else None)).objective


def test_own_data_are_named_by_their_path(tmp_path: Path) -> None:
    path = npz(tmp_path)
    assert named(str(path), None) == ("own", path) and named("digits", None) == ("digits", None)
    assert open_corpus(*named(str(path), None)).name == "mine"
    with pytest.raises(UserError, match="your own data, an"):
        open_corpus("nothing")
