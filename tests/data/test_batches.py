"""Batches: every example once, padded with zeros, the same for the same seed
and epoch. The cache of features.
"""

import dataclasses

import numpy as np
import pytest
import torch

from ernn.data import prepare
from ernn.data.batches import BLANK, Batches, Example, collate, encode, example
from ernn.data.corpus import SPLITS, Utterance
from ernn.data.features import FeatureSpec
from ernn.data.fsdd import connected_digits
from ernn.data.objective import Classification, Transcription
from ernn.data.strings import StringSpec
from ernn.errors import UserError


def some(count: int = 50) -> list[Example]:
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 60, count)
    return [
        Example(f"u{i}", rng.normal(size=(n, 3)).astype(np.float32), (1,) * (i % 4))
        for i, n in enumerate(lengths)
    ]


def test_every_example_once_per_epoch_and_again_the_same() -> None:
    examples = some()
    first, second = Batches(examples, 8, seed=5), Batches(examples, 8, seed=5)
    for epoch in (0, 1, 2):
        ids = [b.ids for b in first.epoch(epoch)]
        assert sorted(i for b in ids for i in b) == sorted(e.id for e in examples)
        assert len(ids) == len(first)
        assert ids == [b.ids for b in second.epoch(epoch)]
    assert [b.ids for b in first.epoch(0)] != [b.ids for b in first.epoch(1)]
    second.set_epoch(1)
    assert [b.ids for b in second] == [b.ids for b in first.epoch(1)]


def test_batches_hold_what_the_examples_hold() -> None:
    examples = {e.id: e for e in some()}
    for batch in Batches(list(examples.values()), 8, shuffle=False):
        assert (
            batch.features.dtype == torch.float32
            and batch.lengths.dtype == batch.labels.dtype == torch.int64
        )
        for row, key in enumerate(batch.ids):
            n, m = int(batch.lengths[row]), int(batch.label_lengths[row])
            np.testing.assert_array_equal(batch.features[row, :n].numpy(), examples[key].features)
            assert tuple(batch.labels[row, :m].tolist()) == examples[key].labels
            assert (
                batch.features[row, n:].abs().sum() == 0 and (batch.labels[row, m:] == BLANK).all()
            )


def test_buckets_waste_little() -> None:
    rng = np.random.default_rng(1)
    examples = [
        Example(str(i), np.zeros((n, 1), np.float32), (1,))
        for i, n in enumerate(rng.integers(50, 500, 1000))
    ]
    batches = list(Batches(examples, 16, seed=0).epoch(0))
    used = sum(int(b.lengths.sum()) for b in batches) / sum(b.features.numel() for b in batches)
    assert used > 0.9


def test_labels_become_indices_of_ctc_after_the_blank() -> None:
    assert encode(("b", "a", "c"), ("a", "b", "c")) == (1, 0, 2)
    u = Utterance("u", "s", "train", ("b", "a"), read_features=lambda: np.zeros((3, 2), np.float32))
    assert example(u, u.features(), Transcription(("a", "b"))).labels == (2, 1)
    assert example(u, u.features(), Classification(("a", "b"), "frame")).labels == (1, 0)
    with pytest.raises(UserError, match="'x' is not in the label set"):
        encode(("x",), ("a", "b"))


def test_an_utterance_too_short_for_ctc_is_refused() -> None:
    u = Utterance(
        "u9", "s", "train", ("a", "a", "b"), read_features=lambda: np.zeros((3, 2), np.float32)
    )
    with pytest.raises(UserError, match="u9 has 3 frames, CTC needs 4 for 3 labels"):
        example(u, u.features(), Transcription(("a", "b")))


def test_bad_batches_are_refused() -> None:
    with pytest.raises(UserError, match="need examples"):
        Batches([], 4)
    with pytest.raises(UserError, match="one feature dimension"):
        collate(
            [
                Example("a", np.zeros((2, 3), np.float32), ()),
                Example("b", np.zeros((2, 4), np.float32), ()),
            ]
        )


def test_examples_of_a_corpus_are_normalised_by_its_training_split() -> None:
    corpus, spec = connected_digits(StringSpec(passes=(1, 1, 1))), FeatureSpec("stored", deltas=1)
    normalizer = prepare.fit_normalizer(corpus, spec)
    found = {split: prepare.examples(corpus, split, spec, normalizer) for split in SPLITS}
    frames = np.concatenate([e.features for e in found["train"]])
    assert frames.shape[1] == spec.dim(13) == 26
    np.testing.assert_allclose(frames.mean(0), 0, atol=1e-3)
    assert {label for e in found["test"] for label in e.labels} == set(range(1, 11))


def test_features_are_computed_once(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    corpus, spec = connected_digits(), FeatureSpec("stored")
    monkeypatch.setattr(prepare, "KEEP_AFTER_SECONDS", -1.0)
    first = prepare.features_of(corpus, "test", spec, tmp_path)
    monkeypatch.setattr(prepare, "extract", lambda *_: pytest.fail("computed twice"))
    again = prepare.features_of(corpus, "test", spec, tmp_path)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    for other in (dataclasses.replace(spec, deltas=1), None):
        with pytest.raises(pytest.fail.Exception):
            prepare.features_of(
                corpus if other else connected_digits(StringSpec(seed=1)),
                "test",
                other or spec,
                tmp_path,
            )


def test_a_damaged_cache_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    corpus, spec = connected_digits(), FeatureSpec("stored")
    monkeypatch.setattr(prepare, "KEEP_AFTER_SECONDS", -1.0)
    prepare.features_of(corpus, "test", spec, tmp_path)
    (kept,) = (tmp_path / "features").iterdir()
    kept.write_bytes(kept.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"damaged.*delete the file"):
        prepare.features_of(corpus, "test", spec, tmp_path)
