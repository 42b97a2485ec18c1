"""The weights of a recurrent layer as they are stored: dense, or as block vectors
(`ernn.compress.inside`); in other units, where integers have them so.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ernn.ir.structure import BlockCirculant


class InBlocks(Protocol):
    """A parametrization whose weight is block-circulant, as `ernn.compress.inside` registers
    them.
    """

    structure: BlockCirculant
    rows: int

    def blocks(self, stored: Tensor) -> Tensor:
        """What is trained, as block vectors."""
        ...


@dataclass(frozen=True, eq=False)
class Weight:
    """Gates `first` to `behind` of the `gates` of parameter `name` of `owner`.

    rows (all gates' rows,), columns (columns,): powers of two that they are multiplied with, those
        of a block alike.
    """

    owner: nn.Module
    name: str
    gates: int
    first: int
    behind: int
    rows: Tensor | None = None
    columns: Tensor | None = None

    def some(self, first: int, behind: int) -> "Weight":
        """Gates of these."""
        return replace(self, first=self.first + first, behind=self.first + behind)

    @property
    def block(self) -> int:
        """The size of the blocks it is stored in; 1 for other weights, and for rows that blocks do
        not divide, whose outputs need cutting.
        """
        found = _in_blocks(self.owner, self.name)
        return 1 if found is None or found.rows % found.structure.block else found.structure.block

    @property
    def signs(self) -> Tensor | None:
        """Of its columns, which `blocks` is without; None where it has none."""
        chain: Any = self.owner.parametrizations[self.name]  # type: ignore[index]
        return chain[1].signs if len(chain) > 1 else None

    def dense(self) -> Tensor:
        """(gates * rows, columns)."""
        weight = getattr(self.owner, self.name).unflatten(0, (self.gates, -1))
        found = self._some(weight).flatten(0, 1)
        found = found if self.rows is None else found * self.rows[:, None]
        return found if self.columns is None else found * self.columns

    def blocks(self) -> Tensor:
        """Block vectors (gates, block rows, block columns, block)."""
        chain: Any = self.owner.parametrizations[self.name]  # type: ignore[index]
        found, k = self._some(chain[0].blocks(chain.original)), self.block
        if self.rows is not None:
            found = found * self.rows[::k].view(len(found), -1, 1, 1)
        return found if self.columns is None else found * self.columns[::k, None]

    def _some(self, gates: Tensor) -> Tensor:
        whole = self.behind - self.first == self.gates
        return gates if whole else gates[self.first : self.behind]


def joined(weights: Iterable[Weight]) -> Iterator[Weight]:
    """The same, gates that follow each other in one parameter together."""
    last: Weight | None = None
    for weight in weights:
        same = last is not None and _follows(last, weight)
        if last and not same:
            yield last
        last = _both(last, weight) if last and same else weight
    if last:
        yield last


def _follows(last: Weight, weight: Weight) -> bool:
    here = weight.owner, weight.name, weight.first, weight.rows is None
    there = last.owner, last.name, last.behind, last.rows is None
    return here == there and last.columns is weight.columns


def _both(last: Weight, weight: Weight) -> Weight:
    rows = None
    if last.rows is not None and weight.rows is not None:
        rows = torch.cat([last.rows, weight.rows])
    return replace(weight, first=last.first, rows=rows)


def in_blocks(owner: nn.Module) -> bool:
    """Whether any weight of `owner` is stored as block vectors."""
    return any(_in_blocks(owner, name) for name in getattr(owner, "parametrizations", ()))


def _in_blocks(owner: nn.Module, name: str) -> InBlocks | None:
    """The parametrization of a weight in blocks that has no other one but for signs."""
    if not parametrize.is_parametrized(owner, name):
        return None
    chain: Any = owner.parametrizations[name]  # type: ignore[index]
    circulant = isinstance(getattr(chain[0], "structure", None), BlockCirculant) and hasattr(
        chain[0], "blocks"
    )
    alone = len(chain) == 1 or (len(chain) == 2 and hasattr(chain[1], "signs"))
    return chain[0] if circulant and alone else None
