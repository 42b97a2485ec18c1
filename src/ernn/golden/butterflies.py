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


_Terms = list[tuple[int, int]]
"""Values by number, and their factors."""


class Row(NamedTuple):
    """`to` = by_a * a + by_b * b, rounded: (sum + half) >> shift."""

    kind: Kind
    to: int
    a: int
    b: int
    by_a: int
    by_b: int
    shift: int


class Butterflies(NamedTuple):
    """A transform of what lies in slots 0 .. k - 1; number j of the result is in slot
    `results[j]`. A row never writes where it reads.
    """

    rows: list[Row]
    results: list[int]
    slots: int


def butterflies(transform: Transform, k: int) -> Butterflies:
    """The transform of words of k numbers."""
    rows, where = list[Row](), list(range(k))
    for stage in transform.stages:
        where = [
            _row(rows, row, int(by), where)
            for row, by in zip(stage.matrix, stage.shift, strict=True)
        ]
    return _in_slots(rows, where, k)


def _row(rows: list[Row], row: Array, shift: int, where: Sequence[int]) -> int:
    """Adds what a row of a stage takes; values are never overwritten: those of the words come
    first, then one a row.
    """
    terms = [(where[at], int(row[at])) for at in np.flatnonzero(row).tolist()] or [(where[0], 0)]
    while len(terms) > 2:  # rotations are done last, and in order
        terms = [(_written(rows, Kind.ROTATE, terms[:2], 0, len(row)), 1), *terms[2:]]
    factors = [by for _, by in terms]
    if shift == 0 and factors == [1]:
        return terms[0][0]
    if shift == 0 and factors == [2]:
        terms, factors = [(terms[0][0], 1)] * 2, [1, 1]
    kind = Kind.ROTATE
    if shift == 0 and factors in ([1, 1], [1, -1]):
        kind = Kind.ADD if factors == [1, 1] else Kind.SUBTRACT
    return _written(rows, kind, [*terms, (terms[0][0], 0)][:2], shift, len(row))


def _written(rows: list[Row], kind: Kind, terms: _Terms, shift: int, k: int) -> int:
    (a, by_a), (b, by_b) = terms
    rows.append(Row(kind, k + len(rows), a, b, by_a, by_b, shift))
    return rows[-1].to


def _in_slots(rows: Sequence[Row], results: Sequence[int], k: int) -> Butterflies:
    """Every value in a slot, which is free again after its last use."""
    last = {value: at for at, row in enumerate(rows) for value in (row.a, row.b)}
    last |= dict.fromkeys(results, len(rows))
    slot, free, slots, placed = {value: value for value in range(k)}, list[int](), k, []
    for at, row in enumerate(rows):
        slots += not free
        slot[row.to] = free.pop() if free else slots - 1
        placed.append(row._replace(to=slot[row.to], a=slot[row.a], b=slot[row.b]))
        free += [slot[value] for value in {row.a, row.b} if last[value] == at]
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
