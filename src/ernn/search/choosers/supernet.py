"""A one-shot super-net (Guo et al. 2020): every step trains another pick of the same weights.

Narrower layers are the first units of the widest, which has them in the order of their size
(slimmable networks). Picks are then heard on validation examples with the shared weights, without
training, and proposed the best first.
"""

from collections.abc import Sequence
from functools import cached_property

import lightning.pytorch as pl
import numpy as np
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from ernn.search.candidates import Candidate, Part, Pick, Space
from ernn.search.choosers.chooser import Setting, Tried, own_training
from ernn.search.choosers.shared import share_weights
from ernn.search.cost import Shape, shapes
from ernn.search.rehearsal import validation_loss
from ernn.train.fit import fit

HEARD = 200
"""Picks that are tried on validation examples after the training."""
DRAWS = 200_000
"""At most this many picks are drawn to find those within the budget."""


class SuperNet:
    """Half of the trials' epochs are spent on the shared weights."""

    def __init__(self, setting: Setting) -> None:
        self.setting, self.epochs = setting, setting.trials * setting.spec.epochs // 2

    def propose(self, history: Sequence[Tried]) -> Pick | None:
        tried = {one.pick for one in history}
        return next((pick for pick in self._ranked if pick not in tried), None)

    @cached_property
    def _ranked(self) -> list[Pick]:
        setting = self.setting
        picks = fitting(
            setting.space, max(HEARD, 10 * setting.trials), np.random.default_rng(setting.seed)
        )
        current = Current(setting.space, picks)
        model = setting.widest()
        share_weights(model, setting.space, current.of, current.size)
        fit(
            model,
            setting.task,
            own_training(setting, self.epochs),
            setting.folder,
            [current],
            "super-net",
            False,
        )
        heard: dict[Pick, float] = {}
        for pick in picks[:HEARD]:
            current.choose(pick)
            heard[pick] = validation_loss(model, setting.task)
        return sorted(heard, key=lambda pick: heard[pick])


class Current(Callback):
    """The pick whose weights are read; another one before every step of the training."""

    def __init__(self, space: Space, picks: Sequence[Pick]) -> None:
        self.space, self.picks = space, picks
        self.choose(picks[0])

    def choose(self, pick: Pick) -> None:
        self.candidates = {part.name: candidate for part, candidate in self.space.assigned(pick)}
        self.sizes = {one.name: one.shape for one in shapes(self.space.spec(pick))}

    def of(self, part: Part) -> dict[Candidate, Tensor | float]:
        return {self.candidates[part.name]: 1.0}

    def size(self, one: Shape) -> tuple[int, int, int]:
        return self.sizes[one.name]

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int
    ) -> None:
        self.choose(
            self.picks[int(np.random.default_rng(trainer.global_step).integers(len(self.picks)))]
        )


def fitting(space: Space, count: int, random: np.random.Generator) -> list[Pick]:
    """Different picks within the budget, drawn evenly; fewer where there are not so many."""
    found: dict[Pick, None] = {}
    for _ in range(DRAWS):
        pick = tuple(part.options[random.integers(len(part.options))] for part in space.parts)
        if space.fits(pick):
            found[pick] = None
        if len(found) == count:
            break
    return list(found)
