"""What a corpus holds, in figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ernn.data.corpus import SPLITS, Corpus, Split, Utterance
from ernn.data.open import NAMES, named, open_corpus
from ernn.errors import UserError

WHAT = {
    "digits": ("connected spoken digits, as features", "10 digits", "nothing: pip brings it"),
    "espeak": ("synthetic speech of 60 voices", "39 phones", "the extra `speech`"),
    "an4": ("CMU AN4, Sphinx cepstra", "33 phones", "--root"),
    "timit": ("TIMIT, LDC layout or NLTK sample", "39 phones", "--root, the LDC's licence"),
    "speechocean762": ("non-native English", "39 phones", "--root"),
    "fsdd": ("spoken digits from sound, in strings", "10 digits", "--root"),
    "fsdd-words": ("the same as single words", "10 digits", "--root"),
    "librispeech": ("LibriSpeech or its layout", "39 phones", "--root"),
    "logmel": ("log-mel features in 8 bits, as files", "their phones", "--root"),
    "logmel-more": ("the same with its train_more", "their phones", "--root"),
}


def listed() -> list[dict[str, str]]:
    """Every corpus there is a reader for: what it is, its labels, what it needs."""
    keys = ("name", "what", "labels", "needs")
    return [dict(zip(keys, (name, *WHAT[name]), strict=True)) for name in NAMES]


def describe(name: str, root: Path | None, seed: int) -> dict[str, Any]:
    """Name, description, labels, the counts of every split, and why one cannot be read.

    UserError where none can.
    """
    found = open_corpus(*named(name, root), seed)
    splits, unread = [], []
    for split in SPLITS:
        try:
            splits.append(_split(found, split))
        except UserError as error:
            unread.append(error)
    if not splits:
        raise unread[0]
    return {
        "name": found.name,
        "description": found.description,
        "unit": found.unit,
        "labels": list(found.label_set),
        "splits": splits,
        "unread": [str(error) for error in unread],
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
