"""What is learned: examples of the three splits, all made and normalised in the same way."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import nn

from ernn.data.batches import Example
from ernn.data.corpus import Corpus, Split
from ernn.data.features import FeatureSpec
from ernn.data.normalizer import Normalizer
from ernn.data.objective import Objective
from ernn.data.prepare import examples, fit_normalizer, fit_targets
from ernn.train.evaluate import evaluate_model
from ernn.train.score import Score


@dataclass(frozen=True, eq=False)
class Task:
    """Examples to train and to validate on, and what is to be said of them."""

    train: Sequence[Example]
    validation: Sequence[Example]
    objective: Objective

    @property
    def inputs(self) -> int:
        """Values per frame."""
        return self.train[0].features.shape[1]

    @property
    def outputs(self) -> int:
        """Values per frame of what a network gives."""
        return self.objective.outputs

    def score(self, model: nn.Module) -> Score:
        """Of a network on the validation examples."""
        return evaluate_model(model, self.validation, self.objective)


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
    def targets(self) -> Normalizer | None:
        """Of the numbers to be said, in the training split; None where none are."""
        return fit_targets(self.corpus)

    @cached_property
    def task(self) -> Task:
        """UserError if a split is empty or damaged, the test split too: before training."""
        self.corpus.utterances("test")
        return Task(self._examples("train"), self._examples("validation"), self.objective)

    @cached_property
    def test(self) -> list[Example]:
        return self._examples("test")

    @property
    def objective(self) -> Objective:
        return self.corpus.objective

    def score(self, model: nn.Module) -> Score:
        """Of a network on the test examples."""
        return evaluate_model(model, self.test, self.objective)

    def _examples(self, split: Split) -> list[Example]:
        return examples(
            self.corpus, split, self.features, self.normalizer, self.cache, self.targets
        )
