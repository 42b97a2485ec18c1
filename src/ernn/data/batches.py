"""Length-bucketed, padded batches, the same for the same seed and epoch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from ernn.data.corpus import FloatArray, Utterance
from ernn.data.objective import Classification, Objective, Transcription
from ernn.errors import UserError

BLANK = 0
"""Index of the CTC blank; of a transcription, label i has index i + 1."""

ALL = slice(None)


@dataclass(frozen=True, eq=False)
class Example:
    """features: float32 [frames, dim], and what is to be said of them.

    labels: of a transcription indices into (blank, *labels), from 1 on; of a classification
    those of classes, one or one a frame. numbers: float32 [1 or frames, names], of the others.
    """

    id: str
    features: FloatArray
    labels: tuple[int, ...] = ()
    numbers: FloatArray | None = None

    @property
    def asked(self) -> np.ndarray:
        """The numbers, or the labels as int64 [labels]."""
        return np.array(self.labels, np.int64) if self.numbers is None else self.numbers


@dataclass(frozen=True, eq=False)
class Batch:
    """features: float32 [B, T, D], zero beyond each length. lengths: int64 [B]. labels: int64 [B,
    L], or float32 [B, L, names] of numbers; BLANK beyond each label length. label_lengths: int64
    [B]. ids: of the utterances.
    """

    features: torch.Tensor
    lengths: torch.Tensor
    labels: torch.Tensor
    label_lengths: torch.Tensor
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)


def encode(labels: Sequence[str], names: Sequence[str]) -> tuple[int, ...]:
    """Labels to indices; UserError if one is not in `names`."""
    index = {label: i for i, label in enumerate(names)}
    if unknown := [label for label in labels if label not in index]:
        raise UserError(f"label {unknown[0]!r} is not in the label set ({len(names)} labels)")
    return tuple(index[label] for label in labels)


def example(
    utterance: Utterance, features: FloatArray, objective: Objective, kept: slice = ALL
) -> Example:
    """An utterance with what is to be said of it.

    kept: of its targets, where they are one a frame, those that belong to a frame of `features`.
    UserError where it has too few frames: none, or for CTC fewer than labels plus repeats.
    """
    if isinstance(objective, Transcription):
        return _transcribed(utterance, features, objective)
    if len(features) == 0:
        raise UserError(f"{utterance.id} has too few frames: stack fewer, or leave it out")
    kept = kept if objective.per == "frame" else ALL
    if isinstance(objective, Classification):
        return Example(utterance.id, features, encode(utterance.labels[kept], objective.names))
    assert utterance.numbers is not None
    return Example(utterance.id, features, numbers=utterance.numbers[kept])


def _transcribed(utterance: Utterance, features: FloatArray, objective: Transcription) -> Example:
    labels = tuple(1 + index for index in encode(utterance.labels, objective.labels))
    needed = len(labels) + sum(a == b for a, b in pairwise(labels))
    if len(features) < max(1, needed):
        raise UserError(
            f"utterance {utterance.id} has {len(features)} frames, CTC needs {needed} for "
            f"{len(labels)} labels; use less subsampling or leave it out"
        )
    return Example(utterance.id, features, labels)


def collate(examples: Sequence[Example]) -> Batch:
    """Pad examples into one batch, in the order given."""
    if not examples or len({e.features.shape[1] for e in examples}) != 1:
        raise UserError("a batch needs at least one example, all of one feature dimension")
    features, lengths = _padded([e.features for e in examples], 0)
    labels, counts = _padded([e.asked for e in examples], BLANK)
    return Batch(features, lengths, labels, counts, tuple(e.id for e in examples))


def _padded(arrays: Sequence[np.ndarray], beyond: int) -> tuple[torch.Tensor, torch.Tensor]:
    """[B, longest, ...] of arrays [length, ...], and their lengths int64 [B]."""
    whole = pad_sequence(
        [torch.from_numpy(np.ascontiguousarray(one)) for one in arrays], True, beyond
    )
    return whole, torch.tensor([len(one) for one in arrays])


GROUP = 8
"""Batches that are sorted by length together."""


class Batches:
    """Batches of `size` examples of similar length.

    `shuffle=True` (training): each epoch draws another order from (seed, epoch); examples
    are sorted by length only within groups of `GROUP` batches, so that batches differ
    between epochs. `shuffle=False` (evaluation): sorted by length. Iterating gives the epoch
    last set by `set_epoch` (0 at first).
    """

    def __init__(
        self, examples: Sequence[Example], size: int, seed: int = 0, shuffle: bool = True
    ) -> None:
        if size < 1 or not examples:
            raise UserError(f"batches need examples and size >= 1, got {len(examples)}, {size}")
        self.examples, self.size, self.seed, self.shuffle = list(examples), size, seed, shuffle
        self._epoch = 0

    def __len__(self) -> int:
        return -(-len(self.examples) // self.size)

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __iter__(self) -> Iterator[Batch]:
        return self.epoch(self._epoch)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch, the same whenever and however often it is asked for."""
        for members in self._order(epoch):
            yield collate([self.examples[i] for i in members])

    def _order(self, epoch: int) -> list[list[int]]:
        lengths = np.array([len(e.features) for e in self.examples])
        if not self.shuffle:
            return _chunks(np.argsort(lengths, kind="stable"), self.size)
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(len(lengths))
        groups = [np.array(g) for g in _chunks(order, self.size * GROUP)]
        chunks = [
            c for g in groups for c in _chunks(g[np.argsort(lengths[g], kind="stable")], self.size)
        ]
        return [chunks[i] for i in rng.permutation(len(chunks))]


def _chunks(order: np.ndarray, size: int) -> list[list[int]]:
    return [[int(i) for i in order[at : at + size]] for at in range(0, len(order), size)]
