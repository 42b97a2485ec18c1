"""Transforms as short programs over words: each row that is not a copy is one sum, difference or
rotation.
"""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from ernn.ir.integer_parts import Transform

Array = np.ndarray


class Kind(IntEnum):
    """What a row does; as in c/play.h."""

    ADD = 0
    SUBTRACT = 1
    ROTATE = 2
    BOTH = 3


_Value = tuple[int, int]
"""By number, and a factor: what is only the negative of another is not computed."""


class Row(NamedTuple):
    """`to` = by_a * a + by_b * b, rounded: (sum + half) >> shift.

    BOTH: the sum of a + by_a * b and c + by_b * d, and in `other` their difference.
    """

    kind: Kind
    to: int
    a: int
    b: int
    by_a: int
    by_b: int
    shift: int
    other: int
    c: int
    d: int


class Butterflies(NamedTuple):
    """A transform of what lies in slots 0 .. k - 1; number j of the result is in slot
    `results[j]`. A row never writes where it reads.
    """

    rows: list[Row]
    results: list[int]
    slots: int


def butterflies(transform: Transform, k: int) -> Butterflies:
    """The transform of words of k numbers."""
    rows, where = list[Row](), [(at, 1) for at in range(k)]
    for stage in transform.stages:
        where = [
            _row(rows, row, int(by), where)
            for row, by in zip(stage.matrix, stage.shift, strict=True)
        ]
    results = [at if by == 1 else _written(rows, Kind.ROTATE, [(at, by)], 0, k) for at, by in where]
    return _in_slots(_joined(rows, results), results, k)


def _row(rows: list[Row], row: Array, shift: int, where: Sequence[_Value]) -> _Value:
    """Adds what a row of a stage takes; values are never overwritten: those of the words come
    first, then one a row.
    """
    terms = [(where[at][0], int(row[at]) * where[at][1]) for at in np.flatnonzero(row).tolist()]
    while len(terms) > 2:  # rotations are done last, and in order
        terms = [(_written(rows, Kind.ROTATE, terms[:2], 0, len(row)), 1), *terms[2:]]
    factors = [by for _, by in terms]
    if shift == 0 and factors in ([1], [-1]):
        return terms[0]
    if shift == 0 and factors in ([2], [-2], [1, 1], [-1, -1]):
        added = _written(rows, Kind.ADD, [terms[0], terms[-1]], 0, len(row))
        return added, 1 if factors[0] > 0 else -1
    if shift == 0 and sorted(factors) == [-1, 1]:
        positive = sorted(terms, key=lambda term: -term[1])
        return _written(rows, Kind.SUBTRACT, positive, 0, len(row)), 1
    return _written(rows, Kind.ROTATE, terms, shift, len(row)), 1


def _written(rows: list[Row], kind: Kind, terms: Sequence[_Value], shift: int, k: int) -> int:
    (a, by_a), (b, by_b) = [*terms, (0, 0), (0, 0)][:2]
    to = k + len(rows)
    rows.append(Row(kind, to, a, b, by_a, by_b, shift, to, a, a))
    return to


def _joined(rows: Sequence[Row], results: Sequence[int]) -> list[Row]:
    """Sum and difference of two sums that nothing else reads as one row: half as much is stored."""
    of, found = {row.to: row for row in rows}, dict[int, Row | None]()
    sums = {frozenset((row.a, row.b)): row for row in rows if row.kind == Kind.ADD}
    readers = {value: {row.to for row in rows if value in (row.a, row.b)} for value in of}
    readers |= {value: set() for value in results}
    for row in rows:
        total, s, t = sums.get(frozenset((row.a, row.b))), of.get(row.a), of.get(row.b)
        if row.kind != Kind.SUBTRACT or not (total and s and t) or Kind.ROTATE in (s.kind, t.kind):
            continue
        ends, four = {total.to, row.to}, {total.to, row.to, s.to, t.to}
        if readers[s.to] == readers[t.to] == ends and not four & found.keys():
            by_b, by_d = (1 if one.kind == Kind.ADD else -1 for one in (s, t))
            found |= dict.fromkeys(four)
            found[min(ends)] = Row(Kind.BOTH, total.to, s.a, s.b, by_b, by_d, 0, row.to, t.a, t.b)
    return [one for row in rows if (one := found.get(row.to, row))]


def _in_slots(rows: Sequence[Row], results: Sequence[int], k: int) -> Butterflies:
    """Every value in a slot, which is free again after its last use."""
    last = {value: at for at, row in enumerate(rows) for value in (row.a, row.b, row.c, row.d)}
    last |= dict.fromkeys(results, len(rows))
    slot, free, slots, placed = {value: value for value in range(k)}, list[int](), k, []
    for at, row in enumerate(rows):
        for value in dict.fromkeys((row.to, row.other)):
            slots += not free
            slot[value] = free.pop() if free else slots - 1
        names = ("to", "other", "a", "b", "c", "d")
        placed.append(row._replace(**{name: slot[getattr(row, name)] for name in names}))
        free += [slot[value] for value in {row.a, row.b, row.c, row.d} if last[value] == at]
    return Butterflies(placed, [slot[value] for value in results], slots)


def largest_in(transform: Transform, k: int, bound: int) -> int:
    """The largest value a row's exact sum, rounded, can have where no word exceeds `bound`: what a
    number must hold.
    """
    bounds, most = [bound] * k, bound
    for stage in transform.stages:
        rows = zip(stage.matrix, stage.shift, strict=True)
        bounds = [_row_bound(row, int(by), bounds) for row, by in rows]
        most = max(most, *bounds)
    return most


def _row_bound(row: Array, shift: int, bounds: Iterable[int]) -> int:
    """Rows of more than two terms are summed in numbers before they are shifted."""
    exact = sum(abs(int(by)) * bound for by, bound in zip(row, bounds, strict=True))
    return exact if np.count_nonzero(row) > 2 else (exact >> shift) + 1
