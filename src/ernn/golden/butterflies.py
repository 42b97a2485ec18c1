"""Transforms as short programs over vectors: each row that is not a copy is one sum, difference or
rotation.

A tile holds `slots` vectors of so many lanes; a stage's rows are grouped by what they do.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numba import njit

from ernn.golden.lanes import LANES, add_rows, rotate_rows, subtract_rows
from ernn.ir.integer_parts import Stage, Transform

Array = np.ndarray

ADD, SUBTRACT, ROTATE = range(3)
_EXACT: dict[tuple[int, ...], int] = {(1, 1): ADD, (1, -1): SUBTRACT}

Pending = tuple[list[tuple[int, ...]], list[tuple[int, ...]], list[tuple[int, ...]]]
"""A stage's rows by kind."""


class Butterflies(NamedTuple):
    """`runs` (n, 3): what, first row, row after the last; `rows` (n, 6): to, a, b, by, by, shift;
    `results` (k,).
    """

    runs: Array
    rows: Array
    results: Array


@dataclass
class _Slots:
    used: set[int]
    most: int = 0

    def take(self) -> int:
        slot = next(i for i in range(len(self.used) + 1) if i not in self.used)
        self.used.add(slot)
        self.most = max(self.most, slot + 1)
        return slot


@dataclass
class _Writer:
    slots: _Slots
    rows: list[tuple[int, ...]] = field(default_factory=list)
    runs: list[tuple[int, int, int]] = field(default_factory=list)

    def stage(self, stage: Stage, where: list[int]) -> list[int]:
        """Slots of a stage's results, those of its operands given."""
        pending: Pending = ([], [], [])
        after = [
            self._row(row, int(by), where, pending)
            for row, by in zip(stage.matrix, stage.shift, strict=True)
        ]
        for kind, rows in enumerate(pending):
            if rows:
                self.runs.append((kind, len(self.rows), len(self.rows) + len(rows)))
                self.rows += rows
        self.slots.used = set(after)
        return after

    def _row(self, row: Array, shift: int, where: list[int], pending: Pending) -> int:
        terms = [(where[at], int(row[at])) for at in np.flatnonzero(row)] or [(where[0], 0)]
        while len(terms) > 2:  # rotations are done last, and in order
            terms = [(self._write(ROTATE, terms[:2], 0, pending), 1), *terms[2:]]
        factors = [by for _, by in terms]
        if shift == 0 and factors == [1]:
            return terms[0][0]
        if shift == 0 and factors == [2]:
            terms, factors = [(terms[0][0], 1)] * 2, [1, 1]
        simple = shift == 0 and np.count_nonzero(row) <= 2
        kind = _EXACT.get(tuple(factors), ROTATE) if simple else ROTATE
        return self._write(kind, [*terms, (terms[0][0], 0)][:2], shift, pending)

    def _write(self, kind: int, terms: list[tuple[int, int]], shift: int, pending: Pending) -> int:
        (a, by_a), (b, by_b) = terms
        slot = self.slots.take()
        pending[kind].append((slot, a, b, by_a, by_b, shift))
        return slot


def butterflies(transform: Transform, k: int) -> tuple[Butterflies, int]:
    """The transform of words in slots 0 .. k-1, and how many slots it needs."""
    slots = _Slots(set(range(k)), k)
    writer, where = _Writer(slots), list(range(k))
    for stage in transform.stages:
        where = writer.stage(stage, where)
    rows = np.array(writer.rows, np.int64).reshape(-1, 6)
    runs = np.array(writer.runs, np.int64).reshape(-1, 3)
    return Butterflies(runs, rows, np.array(where, np.int64)), slots.most


def largest_in(transform: Transform, k: int, bound: int) -> int:
    """The largest value a row's exact sum, rounded, can have where no word exceeds `bound`: what a
    lane must hold.
    """
    bounds, most = [bound] * k, bound
    for stage in transform.stages:
        bounds = [
            _row_bound(row, int(by), bounds)
            for row, by in zip(stage.matrix, stage.shift, strict=True)
        ]
        most = max(most, *bounds)
    return most


def _row_bound(row: Array, shift: int, bounds: Iterable[int]) -> int:
    """Rows of more than two terms are summed in lanes before they are shifted."""
    exact = sum(abs(int(by)) * bound for by, bound in zip(row, bounds, strict=True))
    return exact if np.count_nonzero(row) > 2 else (exact >> shift) + 1


@njit(boundscheck=False)
def transform_tile(tile, parts, transform):
    """Slots of `parts * LANES` lanes each, through the butterflies."""
    width, rows, runs = parts * LANES, transform.rows, transform.runs
    for run in range(len(runs)):
        kind = runs[run, 0]
        for row in range(runs[run, 1], runs[run, 2]):
            to, a, b = rows[row, 0] * width, rows[row, 1] * width, rows[row, 2] * width
            if kind == ADD:
                for part in range(0, width, LANES):
                    add_rows(tile, to + part, tile, a + part, tile, b + part)
            elif kind == SUBTRACT:
                for part in range(0, width, LANES):
                    subtract_rows(tile, to + part, tile, a + part, tile, b + part)
            else:
                by_a, by_b, shift = rows[row, 3], rows[row, 4], rows[row, 5]
                half = (1 << shift) >> 1
                for part in range(0, width, LANES):
                    rotate_rows(
                        tile, to + part, tile, a + part, tile, b + part, by_a, by_b, half, shift
                    )
