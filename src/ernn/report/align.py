"""Where a recognised sequence differs from the truth, for showing; error rates are counted elsewhere, by a library."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """One column of an alignment: index into the truth and into the recognised sequence; None is a gap."""

    truth: int | None
    recognised: int | None


def align(truth: Sequence[str], recognised: Sequence[str]) -> tuple[Pair, ...]:
    """Columns of an alignment with the fewest substitutions, deletions and insertions (Levenshtein); among those, one
    with the most equal labels, so that a deletion and a later insertion are not shown as a run of substitutions."""
    edit = len(truth) + 1  # one edit weighs more than all equal labels together
    cost = _costs(truth, recognised, edit)
    pairs: list[Pair] = []
    i, j = len(truth), len(recognised)
    while i or j:
        if i and j and cost[i][j] == cost[i - 1][j - 1] + (-1 if truth[i - 1] == recognised[j - 1] else edit):
            i, j = i - 1, j - 1
            pairs.append(Pair(i, j))
        elif i and cost[i][j] == cost[i - 1][j] + edit:
            i -= 1
            pairs.append(Pair(i, None))
        else:
            j -= 1
            pairs.append(Pair(None, j))
    return tuple(reversed(pairs))


def _costs(truth: Sequence[str], recognised: Sequence[str], edit: int) -> list[list[int]]:
    cost = [[edit * j for j in range(len(recognised) + 1)]]
    for i, wanted in enumerate(truth, start=1):
        row = [edit * i]
        for j, found in enumerate(recognised, start=1):
            diagonal = cost[-1][j - 1] + (-1 if wanted == found else edit)
            row.append(min(diagonal, cost[-1][j] + edit, row[-1] + edit))
        cost.append(row)
    return cost
