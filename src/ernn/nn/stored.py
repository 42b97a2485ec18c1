"""The weights of a recurrent layer as they are stored: dense, or as block vectors
(`ernn.compress.inside`).
"""

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn
from torch.nn.utils import parametrize

from ernn.ir.structure import BlockCirculant


@dataclass(frozen=True, eq=False)
class Stored:
    """values: (gates * rows, columns), or block vectors (gates, block rows, block columns, block)
    for `block` > 1.
    """

    values: Tensor
    block: int = 1


class InBlocks(Protocol):
    """A parametrization whose weight is block-circulant, as `ernn.compress.inside` registers
    them.
    """

    structure: BlockCirculant
    rows: int

    def blocks(self, stored: Tensor) -> Tensor:
        """What is trained, as block vectors."""
        ...


def stored(owner: nn.Module, name: str) -> Stored:
    """Parameter `name` of `owner`. With rows that blocks do not divide it is decoded: their outputs
    need cutting.
    """
    found = _in_blocks(owner, name)
    if found is None or found[0].rows % found[0].structure.block:
        return Stored(getattr(owner, name))
    return Stored(found[0].blocks(found[1]), found[0].structure.block)


def in_blocks(owner: nn.Module) -> bool:
    """Whether any weight of `owner` is stored as block vectors."""
    return any(_in_blocks(owner, name) for name in getattr(owner, "parametrizations", ()))


def _in_blocks(owner: nn.Module, name: str) -> tuple[InBlocks, Tensor] | None:
    """The parametrization and what is trained, of a weight in blocks that has no other
    parametrization.
    """
    if not parametrize.is_parametrized(owner, name):
        return None
    chain: Any = owner.parametrizations[name]  # type: ignore[index]
    circulant = isinstance(getattr(chain[0], "structure", None), BlockCirculant) and hasattr(
        chain[0], "blocks"
    )
    return (chain[0], chain.original) if circulant and len(chain) == 1 else None
