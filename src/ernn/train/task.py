"""What is learned: examples of the three splits, all made and normalised in the same way."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ernn.data.batches import Example
from ernn.data.corpus import Corpus, Split
from ernn.data.features import FeatureSpec
from ernn.data.normalizer import Normalizer
from ernn.data.prepare import examples, fit_normalizer


@dataclass(frozen=True, eq=False)
class Task:
    """Examples to train and to validate on; labels 1..len(label_set), 0 the blank."""

    train: Sequence[Example]
    validation: Sequence[Example]
    label_set: tuple[str, ...]

    @property
    def inputs(self) -> int:
        """Values per frame."""
        return self.train[0].features.shape[1]

    @property
    def outputs(self) -> int:
        """Classes: the blank and the labels."""
        return 1 + len(self.label_set)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A corpus seen through one kind of features; test examples are made only when asked for."""

    corpus: Corpus
    features: FeatureSpec
    cache: Path | None = None

    @cached_property
    def normalizer(self) -> Normalizer:
        """Statistics of the training split."""
        return fit_normalizer(self.corpus, self.features, self.cache)

    @cached_property
    def task(self) -> Task:
        """UserError if a split is empty or damaged, the test split too: before training."""
        self.corpus.utterances("test")
        return Task(self._examples("train"), self._examples("validation"), self.corpus.label_set)

    @cached_property
    def test(self) -> list[Example]:
        return self._examples("test")

    def _examples(self, split: Split) -> list[Example]:
        return examples(self.corpus, split, self.features, self.normalizer, self.cache)
