"""Stored features in 8 bits: what was coded is read; damage is one line."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from miniature import corpora_with

from ernn.data.corpus import SPLITS
from ernn.data.logmel import LogMel
from ernn.data.open import open_corpus
from ernn.errors import UserError
from ernn.pipeline.defaults import recipe_for
from ernn.train.task import Prepared

LENGTHS = {"train": (30, 41, 36), "train_more": (33,), "valid": (30,), "test": (35, 31)}
BINS = 5


def numbers(part: str) -> np.ndarray:
    rng = np.random.default_rng(len(part))
    return rng.integers(0, 256, (sum(LENGTHS[part]), BINS), np.uint8)


def write(root: Path, **changed: Any) -> Path:
    (root / "feats").mkdir(parents=True)
    lines = []
    for part, lengths in LENGTHS.items():
        coded = np.diff(numbers(part).T, axis=1, prepend=np.uint8(0))
        coded = np.diff(coded, axis=0, prepend=np.uint8(0))
        (root / "feats" / f"{part}.z").write_bytes(zlib.compress(coded.tobytes(), 9))
        for n, (frames, offset) in enumerate(zip(lengths, np.cumsum((0, *lengths)), strict=False)):
            item = {"id": f"{part}{n}", "speaker": part, "split": part, "phones": "K AE T"}
            lines.append(item | {"frames": frames, "offset": int(offset)} | changed)
    (root / "labels.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    return root


def test_what_was_coded_is_read(tmp_path) -> None:
    corpus = LogMel(write(tmp_path))
    assert [len(corpus.utterances(split)) for split in SPLITS] == [3, 1, 2]
    assert corpus.label_set == ("AE", "K", "T") and "train 1, validation 1" in corpus.description
    found = np.concatenate([u.features() for u in corpus.utterances("train")])
    np.testing.assert_array_equal(found, numbers("train") / 4 - 6)


def test_more_of_it_is_another_corpus(tmp_path) -> None:
    plain, more = (open_corpus(name, write(tmp_path / name)) for name in ("logmel", "logmel-more"))
    assert [u.id for u in more.utterances("train")][-1] == "train_more0"
    assert len(more.utterances("test")) == len(plain.utterances("test")) == 2
    assert more.identity != plain.identity


def test_it_is_trained_on_three_frames_at_a_time(tmp_path) -> None:
    corpus = LogMel(write(tmp_path))
    task = Prepared(corpus, recipe_for(corpus).features, tmp_path / "cache").task
    assert task.inputs == 3 * BINS and [len(e.features) for e in task.train] == [10, 13, 12]


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"speaker": 5}, "wrong: speaker"),
        ({"frames": 0}, "wrong: frames or offset"),
        ({"offset": -1}, "wrong: frames or offset"),
        ({"frames": 10**9}, "is not the features of"),
        ({"offset": 500}, "belong to different corpora"),
    ],
)
def test_labels_that_are_wrong(tmp_path, changed: dict[str, Any], rule: str) -> None:
    corpus = LogMel(write(tmp_path, **changed))
    with pytest.raises(UserError, match=rule):
        [u.features() for u in corpus.utterances("train")]


@pytest.mark.parametrize("damage", [b"no zlib", zlib.compress(b"abc"), None])
def test_features_that_are_damaged(tmp_path, damage: bytes | None) -> None:
    file = write(tmp_path) / "feats/train.z"
    file.write_bytes(file.read_bytes()[:-9] if damage is None else damage)
    with pytest.raises(UserError, match=r"train\.z is not"):
        LogMel(tmp_path).utterances("train")[0].features()


@pytest.mark.parametrize("root", corpora_with("librispeech_mini_logmel"))
def test_librispeech_mini(root: Path) -> None:
    corpus = LogMel(root)
    counts = {split: len(corpus.utterances(split)) for split in SPLITS}
    assert counts == {"train": 1346, "validation": 173, "test": 1325}
    assert len(corpus.label_set) == 39
    assert sum(len(u.labels) for u in corpus.utterances("test")) == 94_823
    first = corpus.utterances("validation")[0].features()
    assert first.shape[1] == 40 and first.min() >= -6 and first.max() <= 57.75
