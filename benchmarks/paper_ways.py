"""The ways of `benchmarks/paper.py`: how a network comes into its blocks, and its rivals."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ernn.compress import block_circulant
from ernn.compress.method import Method, Parts
from ernn.compress.plan import CompressionPlan
from ernn.compress.signs import with_signs
from ernn.ir.structure import BlockCirculant, LoadBalanced, Signed
from ernn.nn.model import AcousticModel
from ernn.search.rivals import RIVALS, entry
from ernn.train.recipes import Recipe
from ernn.train.solvers import ByAdmm, Direct, Gradual, OneShot, Solver, Taught
from ernn.train.spec import AdmmSpec, DistilSpec

Plan = Callable[[AcousticModel, int], CompressionPlan]
"""For a network, as it is before, and a block size: of a rival, whose bits it has."""
TOWARDS = 4
"""Epochs of ADMM, before those inside the blocks."""
GROWING = 3
"""Epochs in blocks of a quarter, of a half, and of the whole size, before the others."""


@dataclass(frozen=True)
class Way:
    """solver: None trains all weights freely. heard: whether its rows hear the test speakers; of
    the search only validation. changed: values of the recipe's training, or its dropout, by name.
    taught: whether it begins from the dense network of its seed, or learns from it. takes: of every
    training utterance in an epoch, of which there are as many fewer (`paper_takes`)."""

    about: str
    plan: Plan
    solver: Callable[[Recipe], Solver] | None
    heard: bool = False
    changed: tuple[tuple[str, Any], ...] = ()
    taught: bool = False
    takes: int = 1

    def recipe(self, base: Recipe) -> Recipe:
        """The one recipe with what this way changes."""
        changed = {"epochs": base.dense.epochs // self.takes, **dict(self.changed)}
        dropout = changed.pop("dropout", base.dropout)
        return replace(base, dropout=dropout, dense=replace(base.dense, **changed))


@dataclass(frozen=True)
class BothSigned(Method):
    """Matrices D' C D: signs on rows, too, drawn by another seed than those of the columns."""

    block: int

    def stored(self, shape: tuple[int, ...]) -> int:
        return self._circulant.stored(shape)

    def encode(self, matrix: Tensor) -> Parts:
        return Parts((block_circulant.encode(self._turned(matrix), self._circulant),))

    def decode(self, parts: Parts, rows: int, columns: int) -> Tensor:
        return self._turned(block_circulant.decode(parts.tensors[0], rows, columns))

    @property
    def _circulant(self) -> BlockCirculant:
        return BlockCirculant(self.block, pad=True)

    def _turned(self, matrix: Tensor) -> Tensor:
        rows, columns = (
            Signed(self._circulant, seed=seed).diagonal(size)
            for seed, size in zip((1, 0), matrix.shape[-2:], strict=True)
        )
        return matrix * torch.from_numpy(np.outer(rows, columns)).to(matrix)


def plain(model: AcousticModel, block: int) -> CompressionPlan:
    return CompressionPlan.blocks(block)


def signed(model: AcousticModel, block: int) -> CompressionPlan:
    return CompressionPlan.blocks(block, signed=True)


def chosen(model: AcousticModel, block: int) -> CompressionPlan:
    return with_signs(model, signed(model, block))


def both(model: AcousticModel, block: int) -> CompressionPlan:
    return CompressionPlan.pruned(BothSigned(block))


def ese(model: AcousticModel, block: int) -> CompressionPlan:
    """ESE's numbers have an index of 4 bits each: 16 bits where a block's have 12."""
    return CompressionPlan.pruned(LoadBalanced(12 / 16 / block, pes=32))


def low_rank(model: AcousticModel, block: int) -> CompressionPlan:
    found = entry(RIVALS["low rank, 6 bits"], model.spec, block)
    assert found is not None
    return found.plan


def direct(recipe: Recipe) -> Solver:
    return Direct(recipe.dense)


def taught(recipe: Recipe) -> Solver:
    return Taught(Direct(recipe.dense), DistilSpec())


def once(recipe: Recipe) -> Solver:
    return OneShot(recipe.dense)


def admm(recipe: Recipe) -> Solver:
    towards = replace(recipe.dense, epochs=TOWARDS, average=0.0)
    inside = replace(recipe.dense, epochs=recipe.dense.epochs - TOWARDS)
    return ByAdmm(towards, inside, AdmmSpec(rho=50.0, growth=1.5))


def growing(recipe: Recipe) -> Solver:
    towards = replace(recipe.dense, epochs=3 * GROWING)
    inside = replace(recipe.dense, epochs=recipe.dense.epochs - 3 * GROWING)
    return Gradual(towards, inside, by="structure", steps=3)


TWICE, HALF = (("rate", 8e-3),), (("rate", 2e-3),)
CLEAR = (("dropout", 0.0),)
BEST = "signed, taught, no dropout, twice the rate"
"""The lowest on validation of the search, with GRU 256 in blocks of 8."""
LONGER = f"{BEST}, 32 epochs"
AGAIN = "dense, taught, no dropout"
VARIED, TAKES = "dense, varied", 4
WAYS: Mapping[str, Way] = {
    "dense": Way("all weights trained freely", plain, None, heard=True),
    VARIED: Way(
        f"4 epochs of {TAKES} takes of every utterance, of other paces and vocal tracts",
        plain,
        None,
        heard=True,
        takes=TAKES,
    ),
    "dense, dropout 0.4": Way("the others have 0.2", plain, None, changed=(("dropout", 0.4),)),
    AGAIN: Way(
        "from fresh weights again, with the first dense network as teacher and no dropout",
        plain,
        taught,
        heard=True,
        changed=CLEAR,
        taught=True,
    ),
    "direct": Way("inside blocks from fresh weights", plain, direct, heard=True),
    "signed": Way("inside signed blocks from fresh weights", signed, direct, heard=True),
    "signed, twice the rate": Way("rate 8e-3", signed, direct, changed=TWICE),
    "signed, half the rate": Way("rate 2e-3", signed, direct, changed=HALF),
    "signed, no dropout": Way("the others have 0.2", signed, direct, changed=CLEAR),
    "signed, taught": Way("also learns the dense network's frames", signed, taught, taught=True),
    "signed, taught, no dropout": Way(
        "a teacher and no dropout", signed, taught, changed=CLEAR, taught=True
    ),
    BEST: Way(
        "a teacher, no dropout and rate 8e-3",
        signed,
        taught,
        heard=True,
        changed=(*CLEAR, *TWICE),
        taught=True,
    ),
    LONGER: Way(
        "the best way, twice as long",
        signed,
        taught,
        heard=True,
        changed=(*CLEAR, *TWICE, ("epochs", 32)),
        taught=True,
    ),
    "signed, 32 epochs": Way("the others have 16", signed, direct, changed=(("epochs", 32),)),
    "signed, from dense": Way(
        "the dense network projected once, then inside", signed, once, taught=True
    ),
    "chosen signs, from dense": Way(
        "projected once with the signs that keep most of it, then inside", chosen, once, taught=True
    ),
    "signed, ADMM": Way(
        f"{TOWARDS} epochs of ADMM from the dense network, then inside", signed, admm, taught=True
    ),
    "signed, growing": Way(
        f"from the dense network {GROWING} epochs in blocks of 2, {GROWING} of 4, then of 8",
        signed,
        growing,
        taught=True,
    ),
    "signed rows, too": Way("D' C D", both, direct),
    "projected once": Way(
        "plain blocks: the dense network projected once, then inside", plain, once, taught=True
    ),
    "ADMM": Way(
        f"plain blocks: {TOWARDS} epochs of ADMM from the dense network, then inside",
        plain,
        admm,
        taught=True,
    ),
    "ESE, pruned": Way(
        "load-balanced pruning of the dense network at the blocks' bits, then inside",
        ese,
        once,
        heard=True,
        taught=True,
    ),
    "low rank, 6 bits": Way(
        "of the dense network at the blocks' bits, then inside",
        low_rank,
        once,
        taught=True,
    ),
}
"""Every way by the name that rows have."""
