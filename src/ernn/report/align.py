"""Where a recognised sequence differs from the truth, for showing; error rates are
counted elsewhere, by a library.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ernn.report.series import Token, Utterance


@dataclass(frozen=True)
class Pair:
    """A column of an alignment: index into the truth and into the recognised; None is a gap."""

    truth: int | None
    recognised: int | None


def aligned(item: Utterance) -> tuple[Pair, ...]:
    """The utterance's truth and recognised labels side by side; times decide between equals."""

    def overlap(i: int, j: int) -> bool:
        return _overlap(item.truth[i], item.recognised[j])

    return align(
        [token.label for token in item.truth], [token.label for token in item.recognised], overlap
    )


def _overlap(a: Token, b: Token) -> bool:
    if a.start is None or b.start is None:
        return False
    ends = [
        token.start + 1 if token.end is None else token.end
        for token in (a, b)
        if token.start is not None
    ]
    return a.start <= ends[1] and b.start < ends[0]


def align(
    truth: Sequence[str],
    recognised: Sequence[str],
    overlap: Callable[[int, int], bool] = lambda i, j: False,
) -> tuple[Pair, ...]:
    """Columns of an alignment with the fewest substitutions, deletions, insertions (Levenshtein).

    Among those, one with the most equal labels, so that a deletion and a later insertion are not
    shown as a run of substitutions; equal labels that overlap in time count double, so of two equal
    neighbours the right one is lost.
    """
    edit = 2 * len(truth) + 1  # one edit weighs more than all equal labels together

    def diagonal(i: int, j: int) -> int:
        if truth[i] != recognised[j]:
            return edit
        return -2 if overlap(i, j) else -1

    cost = _costs(len(truth), len(recognised), edit, diagonal)
    pairs: list[Pair] = []
    i, j = len(truth), len(recognised)
    while i or j:
        if i and j and cost[i][j] == cost[i - 1][j - 1] + diagonal(i - 1, j - 1):
            i, j = i - 1, j - 1
            pairs.append(Pair(i, j))
        elif i and cost[i][j] == cost[i - 1][j] + edit:
            i -= 1
            pairs.append(Pair(i, None))
        else:
            j -= 1
            pairs.append(Pair(None, j))
    return tuple(reversed(pairs))


def _costs(
    rows: int, columns: int, edit: int, diagonal: Callable[[int, int], int]
) -> list[list[int]]:
    """cost[i][j]: least cost of aligning the first i true labels with the first j recognised."""
    cost = [[edit * j for j in range(columns + 1)]]
    for i in range(rows):
        row = [edit * (i + 1)]
        for j in range(columns):
            row.append(min(cost[-1][j] + diagonal(i, j), cost[-1][j + 1] + edit, row[-1] + edit))
        cost.append(row)
    return cost
