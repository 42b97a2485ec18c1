"""Error rate of what turns features into scores: torch model, float reference, integer model."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import kaldialign
import torch
from torch import nn

from ernn.data.batches import Batches, Example
from ernn.data.corpus import FloatArray
from ernn.errors import UserError
from ernn.train.decode import Decoder, Scores, greedy


@dataclass(frozen=True)
class ErrorRate:
    """Edits from recognised to said, over `tokens` labels said (Levenshtein, by kaldialign)."""

    insertions: int = 0
    deletions: int = 0
    substitutions: int = 0
    tokens: int = 0
    utterances: int = 0

    @property
    def errors(self) -> int:
        return self.insertions + self.deletions + self.substitutions

    @property
    def rate(self) -> float:
        """Errors per token, 0.15 for 15 %; insertions can take it
        above 1. UserError without tokens.
        """
        if self.tokens == 0:
            raise UserError("an error rate needs at least one label in the reference")
        return self.errors / self.tokens

    @property
    def percent(self) -> float:
        return 100 * self.rate

    def __add__(self, other: "ErrorRate") -> "ErrorRate":
        return ErrorRate(
            self.insertions + other.insertions,
            self.deletions + other.deletions,
            self.substitutions + other.substitutions,
            self.tokens + other.tokens,
            self.utterances + other.utterances,
        )

    def __str__(self) -> str:
        return (
            f"{self.percent:.2f} % of {self.tokens} ({self.substitutions} substituted, "
            f"{self.deletions} deleted, {self.insertions} inserted)"
        )


def compare(truth: Sequence[int], recognised: Sequence[int]) -> ErrorRate:
    """One utterance's edits."""
    edits = kaldialign.edit_distance(list(truth), list(recognised))
    return ErrorRate(int(edits["ins"]), int(edits["del"]), int(edits["sub"]), len(truth), 1)


def evaluate(
    scores: Callable[[FloatArray], Scores], examples: Iterable[Example], decoder: Decoder = greedy
) -> ErrorRate:
    """Error rate of `scores`: features float32 (frames, dim) to (frames, classes), blank 0."""
    pairs = ((example.labels, decoder(scores(example.features))) for example in examples)
    return sum((compare(truth, found) for truth, found in pairs), ErrorRate())


def evaluate_model(
    model: nn.Module, examples: Sequence[Example], decoder: Decoder = greedy, batch: int = 32
) -> ErrorRate:
    """Error rate of a torch model (batch, frames, dim) -> (batch, frames, classes), no dropout."""
    training = model.training
    model.eval()
    total = ErrorRate()
    with torch.inference_mode():
        for part in Batches(examples, batch, shuffle=False):
            logits = model(part.features)
            for row, length, labels, count in zip(
                logits, part.lengths, part.labels, part.label_lengths, strict=True
            ):
                total += compare(labels[:count].tolist(), decoder(row[:length].numpy()))
    model.train(training)
    return total
