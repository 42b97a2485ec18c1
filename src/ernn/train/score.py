"""How good answers are: an error rate, lower is better, its spread, and what else fits the task.

Spreads are 95 % intervals: Wilson's where decisions are independent, else of 1,000 resamples of
whole sequences (the bootstrap), which takes the frames of one sequence as they belong together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import kaldialign
import numpy as np
import numpy.typing as npt

from ernn.data.batches import Example
from ernn.data.objective import Classification, Detection, Objective, Regression, Transcription
from ernn.errors import UserError
from ernn.train.decode import Answer

NORMAL_95 = 1.959964
RESAMPLES = 1000

Counts = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]
Interval = tuple[float, float]


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

    @property
    def interval(self) -> Interval:
        """In per cent (tokens taken as independent)."""
        return wilson(min(self.errors, self.tokens), self.tokens)

    @property
    def note(self) -> str:
        return (
            f"{self.substitutions} substitutions, {self.deletions} deletions, "
            f"{self.insertions} insertions"
        )

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


@dataclass(frozen=True, eq=False)
class Decisions:
    """Answers to questions of `names`: classes, of which one is right, or each yes or no.

    hits, said, true: (sequences, names), how often each was rightly said, said, and true. wrong,
    made: (sequences,), decisions. confusion: (true class, said class), of classes alone.
    """

    names: tuple[str, ...]
    hits: Counts
    said: Counts
    true: Counts
    wrong: Counts
    made: Counts
    confusion: Counts | None = None

    @property
    def tokens(self) -> int:
        return int(self.made.sum())

    @property
    def rate(self) -> float:
        """Wrong decisions of all."""
        return float(self.wrong.sum() / self.made.sum())

    @property
    def percent(self) -> float:
        return 100 * self.rate

    @property
    def interval(self) -> Interval:
        """Of the error rate, in per cent."""
        if (self.made == 1).all():
            return wilson(int(self.wrong.sum()), self.tokens)
        return self._resampled(lambda sums: sums[:, 0] / sums[:, 1], self.wrong, self.made)

    @property
    def f1(self) -> float:
        """Mean over the names that are ever true or said, in per cent (macro F1)."""
        sums = np.concatenate([part.sum(0) for part in (self.hits, self.said, self.true)])
        return float(100 * _macro_f1(sums[None])[0])

    @property
    def f1_interval(self) -> Interval:
        return self._resampled(_macro_f1, self.hits, self.said, self.true)

    @property
    def note(self) -> str:
        return f"{int(self.wrong.sum())} of {self.tokens} decisions wrong"

    def __str__(self) -> str:
        return f"{self.percent:.2f} % of {self.tokens} decisions wrong, F1 {self.f1:.2f} %"

    def _resampled(self, share: Callable[[Reals], Reals], *parts: Counts) -> Interval:
        return bootstrap(lambda sums: 100 * share(sums), np.column_stack(parts))


@dataclass(frozen=True, eq=False)
class Deviations:
    """Numbers said against those asked for. squares: (sequences, names), sums of squared
    differences in deviations of the training targets; counted: (sequences,), of so many each.
    """

    names: tuple[str, ...]
    squares: Reals
    counted: Counts

    @property
    def tokens(self) -> int:
        return int(self.counted.sum()) * len(self.names)

    @property
    def rate(self) -> float:
        """Root mean square of the difference, 1 for what the training mean would give."""
        return float(np.sqrt(self.squares.sum() / self.tokens))

    @property
    def percent(self) -> float:
        return 100 * self.rate

    @property
    def of_each(self) -> Reals:
        """The same for each of the names."""
        return np.sqrt(self.squares.sum(0) / self.counted.sum())

    @property
    def interval(self) -> Interval:
        """In per cent."""
        names = len(self.names)
        return bootstrap(
            lambda sums: 100 * np.sqrt(sums[:, :names].sum(1) / (names * sums[:, names])),
            np.column_stack([self.squares, self.counted]),
        )

    @property
    def note(self) -> str:
        return "root mean square error, in per cent of the training targets' deviation"

    def __str__(self) -> str:
        return f"{self.percent:.2f} % of the targets' deviation (root mean square)"


Score = ErrorRate | Decisions | Deviations


def score(objective: Objective, examples: Sequence[Example], answers: Sequence[Answer]) -> Score:
    """Answers, as `ernn.train.decode.answer` gives them, against what is asked for."""
    match objective:
        case Transcription():
            pairs = zip(examples, answers, strict=True)
            edits = (compare(example.labels, tuple(found)) for example, found in pairs)
            return sum(edits, ErrorRate())
        case Classification(names=names):
            return _classes(names, [one.asked for one in examples], answers)
        case Detection(names=names):
            return _marks(names, [one.asked > 0 for one in examples], answers)
        case Regression(names=names):
            pairs = zip(examples, answers, strict=True)
            apart = [np.asarray(found, np.float64) - one.asked for one, found in pairs]
            squares = np.array([np.square(one).sum(0) for one in apart])
            return Deviations(names, squares, np.array([len(one) for one in apart]))


def compare(truth: Sequence[int], recognised: Sequence[int]) -> ErrorRate:
    """One utterance's edits."""
    edits = kaldialign.edit_distance(list(truth), list(recognised))
    return ErrorRate(int(edits["ins"]), int(edits["del"]), int(edits["sub"]), len(truth), 1)


def _classes(
    names: tuple[str, ...], truths: Sequence[npt.NDArray[Any]], answers: Sequence[Answer]
) -> Decisions:
    size = len(names)
    pairs = [(true, np.asarray(said)) for true, said in zip(truths, answers, strict=True)]
    hits = np.array([np.bincount(t[t == s], minlength=size) for t, s in pairs])
    said = np.array([np.bincount(s, minlength=size) for _, s in pairs])
    true = np.array([np.bincount(t, minlength=size) for t, _ in pairs])
    cells = np.concatenate([size * t + s for t, s in pairs])
    confusion = np.bincount(cells, minlength=size * size).reshape(size, size)
    made = true.sum(1)
    return Decisions(names, hits, said, true, made - hits.sum(1), made, confusion)


def _marks(
    names: tuple[str, ...], truths: Sequence[npt.NDArray[Any]], answers: Sequence[Answer]
) -> Decisions:
    pairs = [(true, np.asarray(said)) for true, said in zip(truths, answers, strict=True)]
    hits, said, true = (
        np.array([one.sum(0) for one in of])
        for of in ([t & s for t, s in pairs], [s for _, s in pairs], [t for t, _ in pairs])
    )
    made = np.array([t.size for t, _ in pairs])
    return Decisions(names, hits, said, true, (said + true - 2 * hits).sum(1), made)


def _macro_f1(sums: Reals) -> Reals:
    """sums: (resamples, 3 * names), of hits, said and true."""
    hits, said, true = np.split(sums, 3, axis=1)
    there = said + true
    each = np.divide(2 * hits, there, out=np.zeros_like(hits, float), where=there > 0)
    return each.sum(1) / np.maximum(1, (there > 0).sum(1))


def wilson(errors: int, tokens: int) -> Interval:
    """95 % interval of a proportion, in per cent (Wilson 1927)."""
    share, z2 = errors / tokens, NORMAL_95**2 / tokens
    middle, half = (
        share + z2 / 2,
        NORMAL_95 * sqrt(share * (1 - share) / tokens + z2 / (4 * tokens)),
    )
    return round(100 * max(0.0, middle - half) / (1 + z2), 4), round(
        100 * min(1.0, middle + half) / (1 + z2), 4
    )


def bootstrap(statistic: Callable[[Reals], Reals], parts: npt.NDArray[Any]) -> Interval:
    """95 % interval of a statistic of sums of `parts` (sequences, sums), sequences resampled.

    statistic: of (resamples, sums). Percentiles of `RESAMPLES` resamples, the same every time.
    """
    count = len(parts)
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    low, high = np.percentile(statistic(drawn @ parts.astype(np.float64)), (2.5, 97.5))
    return round(float(low), 4), round(float(high), 4)
