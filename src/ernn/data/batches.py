"""Length-bucketed, padded batches for CTC, the same for the same seed and epoch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from ernn.data.corpus import FloatArray, Utterance
from ernn.errors import UserError

BLANK = 0
"""Index of the CTC blank; label i of a corpus's label_set has index i + 1."""


@dataclass(frozen=True, eq=False)
class Example:
    """features: float32 [frames, dim]. labels: indices into (blank, *label_set), from 1 on."""

    id: str
    features: FloatArray
    labels: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Batch:
    """features: float32 [B, T, D], zero beyond each length. lengths: int64 [B]. labels: int64 [B,
    L], BLANK beyond each label length. label_lengths: int64 [B]. ids: of the utterances.
    """

    features: torch.Tensor
    lengths: torch.Tensor
    labels: torch.Tensor
    label_lengths: torch.Tensor
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)


def encode(labels: Sequence[str], label_set: Sequence[str]) -> tuple[int, ...]:
    """Labels to indices; UserError if one is not in the label set."""
    index = {label: i + 1 for i, label in enumerate(label_set)}
    if unknown := [label for label in labels if label not in index]:
        raise UserError(f"label {unknown[0]!r} is not in the label set ({len(label_set)} labels)")
    return tuple(index[label] for label in labels)


def example(utterance: Utterance, features: FloatArray, label_set: Sequence[str]) -> Example:
    """An utterance ready for CTC; UserError if it has fewer frames than labels plus repeats."""
    labels = encode(utterance.labels, label_set)
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
    lengths, counts = [len(e.features) for e in examples], [len(e.labels) for e in examples]
    features = torch.zeros(len(examples), max(lengths), examples[0].features.shape[1])
    labels = torch.full((len(examples), max(counts)), BLANK, dtype=torch.int64)
    for row, item in enumerate(examples):
        features[row, : lengths[row]] = torch.from_numpy(np.ascontiguousarray(item.features))
        labels[row, : counts[row]] = torch.tensor(item.labels, dtype=torch.int64)
    return Batch(
        features, torch.tensor(lengths), labels, torch.tensor(counts), tuple(e.id for e in examples)
    )


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
