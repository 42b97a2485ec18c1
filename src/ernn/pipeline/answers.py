"""What a network says of test sequences, as the report shows it, beside what is right."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from ernn.data.batches import BLANK
from ernn.data.corpus import Utterance as Spoken
from ernn.data.features import FeatureSpec, extract
from ernn.data.normalizer import Normalizer
from ernn.data.objective import Classification, Transcription
from ernn.report import series
from ernn.report.record import RunRecord
from ernn.report.series import DecisionRow, Token, Trace, Traced, Traces, Utterance, Utterances, put
from ernn.train.decode import answer, greedy
from ernn.train.score import Decisions, Score
from ernn.train.task import Prepared

FEATURE_NAMES = {"stored": "stored coefficients", "logmel": "log-mel bins", "mfcc": "MFCCs"}
TOOL = "ernn.golden in integers"
POINTS = 500
"""Sequences of one number each that are drawn."""

Outputs = Sequence[np.ndarray]
"""(frames, outputs) of each test sequence, in the network's own numbers."""


def put_answers(
    record: RunRecord, data: Prepared, outputs: Outputs, found: Score, count: int
) -> None:
    """What fits the task: decisions, and `count` sequences with labels, or numbers, over time."""
    objective = data.objective
    tool = f"{TOOL}, {objective.reading}"
    if isinstance(found, Decisions):
        put(record, _decisions(found, tool))
    if isinstance(objective, Transcription):
        put(record, _labelled(data, outputs, count, f"{TOOL}, greedy CTC"))
    elif isinstance(objective, Classification):
        if objective.per == "frame":
            put(record, _labelled(data, outputs, count, tool))
    else:
        put(record, _traces(data, outputs, count, tool))


def _decisions(found: Decisions, tool: str) -> series.Decisions:
    counts = [part.sum(0).tolist() for part in (found.true, found.said, found.hits)]
    rows = tuple(DecisionRow(*row) for row in zip(found.names, *counts, strict=True))
    confusion = () if found.confusion is None else found.confusion.tolist()
    return series.Decisions("measured", tool, rows, tuple(map(tuple, confusion)))


def _labelled(data: Prepared, outputs: Outputs, count: int, tool: str) -> Utterances:
    """`count` sequences, one with an error if any has."""
    pairs = enumerate(zip(data.test, outputs, strict=True))
    wrong = (i for i, (one, said) in pairs if one.labels != tuple(_answer(data, said)))
    chosen = list(dict.fromkeys([*range(count - 1), *_first(wrong), *range(count)]))[:count]
    chosen = [index for index in chosen if index < len(data.test)]
    spoken = data.corpus.utterances("test")
    items = tuple(_utterance(data, spoken[i], outputs[i]) for i in chosen)
    feature = f"{len(items[0].features[0])} {FEATURE_NAMES[data.features.kind]}"
    return Utterances("measured", tool, data.corpus.name, feature, _frame_ms(data), items)


def _answer(data: Prepared, outputs: np.ndarray) -> tuple[int, ...]:
    return tuple(int(label) for label in answer(data.objective, outputs, greedy))


def _first(found: Iterator[int]) -> list[int]:
    return [index for index, _ in zip(found, range(1), strict=False)]


def _frame_ms(data: Prepared) -> float | None:
    """The corpus's own, or that of features made of sound."""
    made = None if data.features.kind == "stored" else data.features.shift_ms
    return data.corpus.frame_ms or made


def _utterance(data: Prepared, spoken: Spoken, outputs: np.ndarray) -> Utterance:
    plain = extract(replace(data.features, deltas=0, stack=1, subsample=1), spoken)
    shown = (plain - plain.mean(0)) / np.maximum(plain.std(0), 1e-5)
    frames = tuple(tuple(round(float(value), 2) for value in frame) for frame in shown)
    objective, subsample = data.objective, data.features.subsample
    if isinstance(objective, Transcription):
        truth = said(spoken, data.features)
        return Utterance(spoken.id, frames, truth, recognised(outputs, objective.labels, subsample))
    labels = [data.corpus.label_set[label] for label in _answer(data, outputs)]
    return Utterance(spoken.id, frames, _runs(spoken.labels, 1), _runs(labels, subsample))


def _runs(labels: Sequence[str], frames: int) -> tuple[Token, ...]:
    """Stretches of equal labels, one label for so many `frames`."""
    tokens, position = [], 0
    for label, run in groupby(labels):
        length = frames * len(list(run))
        tokens.append(Token(label, position, position + length))
        position += length
    return tuple(tokens)


def _traces(data: Prepared, outputs: Outputs, count: int, tool: str) -> Traces:
    """In the user's own numbers: of regression those that the targets were given in."""
    objective = data.objective
    assert not isinstance(objective, Transcription)
    scattered = objective.per == "sequence"
    most = POINTS if scattered else count
    pairs = [
        (example.asked, np.asarray(answer(objective, found, greedy), float))
        for example, found in zip(data.test[:most], outputs, strict=False)
    ]
    if scattered:
        whole = tuple(np.concatenate(part) for part in zip(*pairs, strict=True))
        items = (Traced(f"{len(pairs)} test sequences", _lines(data, *whole)),)
    else:
        ids = (example.id for example in data.test)
        items = tuple(Traced(i, _lines(data, *pair)) for i, pair in zip(ids, pairs, strict=False))
    return Traces("measured", tool, scattered, _frame_ms(data), items)


def _lines(data: Prepared, truth: np.ndarray, found: np.ndarray) -> tuple[Trace, ...]:
    columns = (_own(data.targets, part).T.tolist() for part in (truth, found))
    rows = zip(data.corpus.label_set, *columns, strict=True)
    return tuple(Trace(name, _rounded(right), _rounded(said)) for name, right, said in rows)


def _own(targets: Normalizer | None, numbers: np.ndarray) -> np.ndarray:
    return numbers if targets is None else numbers * targets.deviation + targets.mean


def _rounded(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(f"{value:.5g}") for value in values)


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
