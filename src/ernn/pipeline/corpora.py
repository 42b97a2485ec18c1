"""What a corpus holds, in figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ernn.data.corpus import SPLITS, Corpus, Split, Utterance
from ernn.data.open import NAMES, open_corpus


def names() -> tuple[str, ...]:
    """Every corpus there is a reader for."""
    return NAMES


def describe(name: str, root: Path | None, seed: int) -> dict[str, Any]:
    """Name, description, labels and the counts of every split; UserError if it cannot be read."""
    found = open_corpus(name, root, seed)
    return {
        "name": found.name,
        "description": found.description,
        "unit": found.unit,
        "labels": list(found.label_set),
        "splits": [_split(found, split) for split in SPLITS],
    }


def _split(corpus: Corpus, split: Split) -> dict[str, Any]:
    utterances = corpus.utterances(split)
    return {
        "split": split,
        "utterances": len(utterances),
        "speakers": len({u.speaker for u in utterances}),
        "labels": sum(len(u.labels) for u in utterances),
        **_extent(utterances),
    }


def _extent(utterances: Sequence[Utterance]) -> dict[str, Any]:
    """Hours of sound, or frames of a corpus that holds features."""
    if utterances[0].read_audio is None:
        return {"frames": sum(len(u.features()) for u in utterances)}
    lengths = (u.samples() for u in utterances)
    return {"hours": round(sum(len(samples) / rate for samples, rate in lengths) / 3600, 3)}
