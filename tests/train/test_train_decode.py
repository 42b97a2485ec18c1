"""Decoders against definitions written out by hand."""

from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ernn.errors import UserError
from ernn.train.decode import beam_search, greedy

logits = arrays(
    np.float64, st.tuples(st.integers(1, 5), st.integers(2, 4)), elements=st.floats(-4, 4, width=16)
)


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(label for label, _ in groupby(path) if label != 0)


def best_labelling(scores: np.ndarray) -> tuple[float, dict[tuple[int, ...], float]]:
    """Every labelling's probability, summed over all paths of frames."""
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    total: dict[tuple[int, ...], float] = {}
    for path in product(range(p.shape[1]), repeat=len(p)):
        key = collapse(path)
        total[key] = total.get(key, 0.0) + float(np.prod([p[t, c] for t, c in enumerate(path)]))
    return max(total.values()), total


@given(logits)
def test_greedy_is_the_collapsed_best_path(scores: np.ndarray) -> None:
    assert greedy(scores) == collapse(tuple(int(c) for c in scores.argmax(1)))


def test_greedy_by_hand() -> None:
    path = [0, 1, 1, 0, 1, 2, 2, 0, 0, 3]
    assert greedy(np.eye(4)[path]) == (1, 1, 2, 3)
    assert greedy(np.eye(4, dtype=np.int64)[[0, 0]]) == ()


@settings(max_examples=50, deadline=None)
@given(logits)
def test_wide_beam_finds_the_most_probable_labelling(scores: np.ndarray) -> None:
    most, total = best_labelling(scores)
    assert total[beam_search(scores, width=1000)] == pytest.approx(most, rel=1e-4)


def test_beam_sums_over_alignments_where_greedy_does_not() -> None:
    """Graves et al. 2006, figure 2: blank is best in both frames, yet label
    1 is more probable than nothing.
    """
    scores = np.log([[0.6, 0.4], [0.6, 0.4]])
    assert greedy(scores) == ()
    assert beam_search(scores) == (1,)


def test_integer_scores_need_their_scale() -> None:
    scores = np.round(np.log([[0.6, 0.4], [0.6, 0.4]]) * 256).astype(np.int64)
    assert beam_search(scores, scale=1 / 256) == (1,)
    assert beam_search(scores) == ()


def test_edges() -> None:
    assert greedy(np.zeros((0, 3))) == () and beam_search(np.zeros((0, 3))) == ()
    with pytest.raises(UserError, match="beam width must be at least 1, not 0"):
        beam_search(np.zeros((2, 3)), width=0)
