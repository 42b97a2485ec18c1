"""Error rates in `benchmarks/paper.py`'s results, and intervals of their paired differences."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

RESAMPLES = 10_000
Result = dict[str, Any]
Counts = np.ndarray
"""(seeds, speakers or utterances, 2): errors and phones."""


class Points(NamedTuple):
    """A difference of error rates, and its 95 % interval."""

    points: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.points:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


def percent(test: dict[str, list[int]]) -> float:
    """The error rate over all speakers, in per cent."""
    return 100 * sum(errors for errors, _ in test.values()) / sum(n for _, n in test.values())


def difference(rows: Sequence[Result], others: Sequence[Result]) -> Points:
    """Points of rows over others, one of each a seed: their mean, and the interval of a bootstrap
    over speakers and, where there are several, seeds; paired in both."""
    speakers = sorted(rows[0]["test"])
    mine, theirs = (
        np.array([[row["test"][s] for s in speakers] for row in side]) for side in (rows, others)
    )
    return _paired(mine, theirs)


def on_validation(row: Result, other: Result, phones: Sequence[int]) -> Points:
    """Points of a row over another on validation, paired over utterances of so many phones."""
    mine, theirs = (
        np.stack([np.array(one["validation_errors"].split(), int), phones], 1)[None]
        for one in (row, other)
    )
    return _paired(mine, theirs)


def _paired(mine: Counts, theirs: Counts) -> Points:
    random, (seeds, units, _) = np.random.default_rng(0), mine.shape
    drawn = random.integers(0, units, (RESAMPLES, units))
    apart = _percent(mine[:, drawn].sum(2)) - _percent(theirs[:, drawn].sum(2))
    of_seeds = random.integers(0, seeds, (RESAMPLES, seeds))
    means = apart[of_seeds, np.arange(RESAMPLES)[:, None]].mean(1)
    points = (_percent(mine.sum(1)) - _percent(theirs.sum(1))).mean()
    low, high = np.percentile(means, (2.5, 97.5))
    return Points(float(points), float(low), float(high))


def _percent(counts: np.ndarray) -> np.ndarray:
    return 100 * counts[..., 0] / counts[..., 1]
