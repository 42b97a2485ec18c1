"""Test utterances as the report shows them: features, what was said, what the model recognised."""

from dataclasses import replace
from itertools import groupby

import numpy as np

from ernn.data.batches import BLANK
from ernn.data.corpus import Corpus
from ernn.data.corpus import Utterance as Spoken
from ernn.data.features import FeatureSpec, extract
from ernn.report.record import RunRecord
from ernn.report.series import Token, Utterance, Utterances, put
from ernn.train.decode import greedy
from ernn.train.task import Prepared

FEATURE_NAMES = {"stored": "stored coefficients", "logmel": "log-mel bins", "mfcc": "MFCCs"}
FRAME_MS = {"digits": 23.0}  # the hop of its ready-made features, which only the corpus knows


def put_utterances(record: RunRecord, data: Prepared, scores: list[np.ndarray], count: int) -> None:
    """Show `count` utterances, one with an error if any has. `scores`: (frames, classes) each."""
    wrong = [i for i, example in enumerate(data.test) if example.labels != greedy(scores[i])]
    chosen = list(dict.fromkeys([*range(count - 1), *wrong[:1], *range(count)]))[:count]
    spoken = data.corpus.utterances("test")
    items = tuple(_utterance(data.corpus, data.features, spoken[i], scores[i]) for i in chosen)
    feature = f"{len(items[0].features[0])} {FEATURE_NAMES[data.features.kind]}"
    frame_ms = FRAME_MS.get(data.corpus.name, data.features.shift_ms)
    put(
        record,
        Utterances(
            "measured", "ernn.golden, greedy CTC", data.corpus.name, feature, frame_ms, items
        ),
    )


def _utterance(
    corpus: Corpus, features: FeatureSpec, spoken: Spoken, scores: np.ndarray
) -> Utterance:
    plain = extract(replace(features, deltas=0, stack=1, subsample=1), spoken)
    shown = (plain - plain.mean(0)) / np.maximum(plain.std(0), 1e-5)
    frames = tuple(tuple(round(float(value), 2) for value in frame) for frame in shown)
    truth = said(spoken, features)
    return Utterance(
        spoken.id, frames, truth, recognised(scores, corpus.label_set, features.subsample)
    )


def said(spoken: Spoken, features: FeatureSpec) -> tuple[Token, ...]:
    """The truth, with its frames where the corpus knows them; silence, no label, is left out."""
    aligned = [one for one in spoken.alignment or () if one.label in spoken.labels]
    if tuple(one.label for one in aligned) != spoken.labels:
        return tuple(Token(label) for label in spoken.labels)
    # Stored features are aligned in frames, sound in samples.
    shift = 1 if features.kind == "stored" else features.shift
    return tuple(Token(one.label, one.start / shift, one.end / shift) for one in aligned)


def recognised(scores: np.ndarray, label_set: tuple[str, ...], subsample: int) -> tuple[Token, ...]:
    """Greedy CTC with the frames, before subsampling, in which each label was the best."""
    tokens, position = [], 0
    for label, run in groupby(scores.argmax(axis=1).tolist()):
        length = len(list(run))
        if label != BLANK:
            tokens.append(
                Token(label_set[label - 1], position * subsample, (position + length) * subsample)
            )
        position += length
    return tuple(tokens)
