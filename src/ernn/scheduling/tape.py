"""Tapes: what a unit of the engine plays, row by row, once a round.

A row is a mapping of small non-negative integers.  Rows form groups that end with `last` = 1; a
group is played `count` times, after `gap` idle cycles (the same in all its rows); the input is
needed no more after the row where `end` = 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

Row = Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Tape:
    """Rows with the same fields; `early`: how many are played where it ends early (0: never)."""

    rows: tuple[Row, ...]
    early: int = 0

    @cached_property
    def constants(self) -> dict[str, int]:
        """Fields that never change, and so need no memory."""
        first = self.rows[0]
        return {
            name: value
            for name, value in first.items()
            if all(row[name] == value for row in self.rows)
        }

    @cached_property
    def widths(self) -> dict[str, int]:
        """Bits of every field that changes, in the order they are packed from bit 0."""
        names = [name for name in self.rows[0] if name not in self.constants]
        return {name: max(row[name] for row in self.rows).bit_length() for name in names}

    @cached_property
    def words(self) -> list[int]:
        """Rows packed into memory words."""
        return [self._pack(row) for row in self.rows]

    def _pack(self, row: Row) -> int:
        word, position = 0, 0
        for name, width in self.widths.items():
            if row[name] < 0:
                raise AssertionError(f"tape field {name} is negative: {row[name]}")
            word |= row[name] << position
            position += width
        return word

    @cached_property
    def groups(self) -> tuple[tuple[Row, ...], ...]:
        """Rows by group; without a field `last` every row is a group."""
        groups, group = [], []
        for row in self.rows:
            group.append(row)
            if row.get("last", 1):
                groups.append(tuple(group))
                group = []
        return tuple(groups)

    @property
    def early_groups(self) -> int:
        """`early`, in groups."""
        return sum(row.get("last", 1) for row in self.rows[: self.early])

    @property
    def index_bits(self) -> int:
        """Bits that count how often a group has been played."""
        return max(1, max(row["count"] for row in self.rows).bit_length())

    @property
    def width(self) -> int:
        return sum(self.widths.values())

    @property
    def changing(self) -> int:
        """Bits of a row that are not the same in all of them."""
        ever, always = 0, -1
        for word in self.words:
            ever, always = ever | word, always & word
        return (ever & ~always).bit_count()
