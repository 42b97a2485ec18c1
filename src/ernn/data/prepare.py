"""From a corpus to examples: features computed once, kept on disk, normalised by training data."""

import hashlib
import io
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ernn.data.batches import Example, example
from ernn.data.cache import cache_folder, progress
from ernn.data.corpus import Corpus, FloatArray, Split, Utterance
from ernn.data.features import FeatureSpec, extract
from ernn.data.normalizer import Normalizer
from ernn.data.objective import Regression
from ernn.data.stored import apart
from ernn.errors import UserError
from ernn.files import write_atomic
from ernn.ground.reading import read_arrays

KEEP_AFTER_SECONDS = 2.0
_FORMAT = 1


def features_of(
    corpus: Corpus, split: Split, spec: FeatureSpec, cache: Path | None = None
) -> list[FloatArray]:
    """float32 [frames, dim] of every utterance of `corpus.utterances(split)`, in order.

    What took longer than two seconds is kept as npz in `cache` (default `cache_folder()`), under a
    digest of the spec and of the corpus's identity.  UserError where a value is not finite.
    """
    utterances = corpus.utterances(split)
    path = (
        (cache or cache_folder())
        / "features"
        / f"{corpus.name}-{split}-{_key(corpus, split, spec, utterances)}.npz"
    )
    if (kept := _load(path, len(utterances))) is not None:
        return [_finite(corpus, u, f) for u, f in zip(utterances, kept, strict=True)]
    start = time.monotonic()
    shown = progress(utterances, f"features of {corpus.name} {split}", len(utterances))
    computed = [_finite(corpus, u, extract(spec, u)) for u in shown]
    if time.monotonic() - start > KEEP_AFTER_SECONDS:
        _save(path, computed)
    return computed


def examples(
    corpus: Corpus,
    split: Split,
    spec: FeatureSpec,
    normalizer: Normalizer,
    cache: Path | None = None,
    targets: Normalizer | None = None,
) -> list[Example]:
    """Normalised examples of a split, in the corpus's order. targets: of numbers to be said."""
    features = features_of(corpus, split, spec, cache)
    pairs = zip(corpus.utterances(split), features, strict=True)
    found = [example(u, normalizer(f), corpus.objective, spec.ends) for u, f in pairs]
    if targets is None:
        return found
    return [replace(one, numbers=targets(one.asked)) for one in found]


def fit_normalizer(corpus: Corpus, spec: FeatureSpec, cache: Path | None = None) -> Normalizer:
    """Mean and deviation over the training split."""
    return Normalizer.fit(features_of(corpus, "train", spec, cache))


def fit_targets(corpus: Corpus) -> Normalizer | None:
    """Mean and deviation of the numbers of a regression over the training split; else None."""
    if not isinstance(corpus.objective, Regression):
        return None
    return Normalizer.fit(u.numbers for u in corpus.utterances("train") if u.numbers is not None)


def _finite(corpus: Corpus, utterance: Utterance, features: FloatArray) -> FloatArray:
    if not np.isfinite(features).all():
        frame = int(np.argmin(np.isfinite(features).all(1)))
        raise UserError(
            f"{corpus.name}: frame {frame} of utterance {utterance.id} ({utterance.split}) has a "
            "feature that is not finite: repair that recording, or leave it out of the corpus"
        )
    return features


def _key(corpus: Corpus, split: Split, spec: FeatureSpec, utterances: Sequence[Utterance]) -> str:
    ids = [u.id for u in utterances]
    return hashlib.sha256(
        repr((_FORMAT, corpus.name, corpus.identity, split, spec, ids)).encode()
    ).hexdigest()[:24]


def _save(path: Path, features: list[FloatArray]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, frames=np.concatenate(features), lengths=np.array([len(f) for f in features]))
    write_atomic(path, buffer.getvalue())


def _load(path: Path, count: int) -> list[FloatArray] | None:
    if not path.is_file():
        return None
    try:
        frames, lengths = read_arrays(path, "frames", "lengths")
        if lengths.shape != (count,):
            raise UserError(f"{path} has other utterances than the corpus")
        return apart(frames, lengths)
    except UserError as error:
        raise UserError(f"kept features are damaged: {error}; delete the file") from error
