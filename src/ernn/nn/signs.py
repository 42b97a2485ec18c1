"""Signs of columns in training: a product in blocks reads a signal whose signs are turned.

W = C D of `ernn.ir.structure.Signed` is decoded like any weight.  Where C is multiplied as spectra,
D is applied to what is read: to an input once for all frames, to a step by a step more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from torch import Tensor, nn

from ernn.ir.cell import Cell, CellProduct, CellStep, Read
from ernn.nn.parameters import Parameters

State = Mapping[str, Tensor]


class Turn(nn.Module):
    """C to C D and back, as a parametrization after that of C."""

    signs: Tensor

    def __init__(self, signs: Tensor) -> None:
        """signs: (columns,), of 1 and -1."""
        super().__init__()
        self.register_buffer("signs", signs, persistent=False)

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.signs

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight * self.signs


Turned = tuple[tuple[str, str], ...]
"""Inputs and steps that are read with signs, and the names that they have then."""


@dataclass(frozen=True, eq=False)
class Unsigned:
    """A layer whose products in blocks read what signs were applied to.

    named: with the steps and vectors for that. signs: by the name of what was turned. turned: what
    it was before.
    """

    named: Parameters
    signs: Mapping[str, Tensor]
    turned: Turned

    def frames(self, frames: State) -> dict[str, Tensor]:
        """Of each input of the cell, from the layer's own."""
        found = dict(frames)
        found |= {new: found[old] * self.signs[new] for old, new in self.turned if old in found}
        return {name: found[name] for name in self.named.cell.inputs}

    def state(self, state: State) -> dict[str, Tensor]:
        """Before the first frame, of every step."""
        turned = {new: state[old] * self.signs[new] for old, new in self.turned if old in state}
        return {**state, **turned}

    def ends(self, ends: State) -> dict[str, Tensor]:
        """After the last frame, of every step that the layer remembers."""
        turned = {old: ends[new] * self.signs[new] for old, new in self.turned if new in ends}
        return {**turned, **ends}


def unsigned(named: Parameters, block: int) -> Unsigned:
    """Of a layer whose weights in blocks of `block` are multiplied as spectra."""
    signs: dict[str, Tensor] = {}
    names: dict[tuple[str, bytes], str] = {}
    reads: list[tuple[str, str, str]] = []
    for (product, read), weight in named.weights.items():
        if block == 1 or weight.block != block or weight.signs is None:
            continue
        old = Read.of(read).name
        new = f"{old}_turned{len(names) or ''}"
        new = names.setdefault((old, weight.signs.numpy().tobytes()), new)
        signs[new] = weight.signs
        reads.append((product, read, new))
    turned = tuple((old, new) for (old, _), new in names.items())
    return Unsigned(_with(named, tuple(reads), turned, signs), signs, turned)


def _with(
    named: Parameters, reads: tuple[tuple[str, str, str], ...], turned: Turned, signs: State
) -> Parameters:
    if not reads:
        return named
    cell = _cell(named.cell, reads, turned)
    new = {(product, read): name for product, read, name in reads}

    def renamed(product: str, read: str) -> tuple[str, str]:
        old = Read.of(read)
        return product, str(replace(old, name=new.get((product, read), old.name)))

    weights = {renamed(*key): weight for key, weight in named.weights.items()}
    vectors = {f"{name}_signs": one for name, one in signs.items() if name not in cell.inputs}
    return replace(named, cell=cell, weights=weights, vectors={**named.vectors, **vectors})


@cache
def _cell(cell: Cell, reads: tuple[tuple[str, str, str], ...], turned: Turned) -> Cell:
    """The cell whose products read other names, with a step more for each step that is turned."""
    names = {(product, read): new for product, read, new in reads}

    def renamed(product: CellProduct) -> CellProduct:
        found = (replace(r, name=names.get((product.name, str(r)), r.name)) for r in product.reads)
        return replace(product, reads=tuple(found))

    def steps(step: CellStep) -> tuple[CellStep, ...]:
        more = (CellStep(new, f"{old}*{new}_signs") for old, new in turned if old == step.name)
        return step, *more

    stages = tuple(
        replace(
            stage,
            products=tuple(map(renamed, stage.products)),
            steps=tuple(one for step in stage.steps for one in steps(step)),
        )
        for stage in cell.stages
    )
    used = {
        read.name
        for stage in stages
        for one in (*stage.products, *stage.steps)
        for read in one.reads
    }
    inputs = (*cell.inputs, *(new for old, new in turned if old in cell.inputs))
    vectors = (f"{new}_signs" for old, new in turned if old not in cell.inputs)
    return replace(
        cell,
        title=f"{cell.title} with signs",
        stages=stages,
        vectors=(*cell.vectors, *vectors),
        inputs=tuple(name for name in inputs if name in used),
    )
