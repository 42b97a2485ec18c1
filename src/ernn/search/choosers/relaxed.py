"""A gradient-based relaxation (DARTS, Liu et al. 2019): weights are mixtures of projections.

The loss has a penalty on the bytes to be expected above the budget.  The mixtures sharpen from
epoch to epoch; what has the largest shares within the budget is proposed first, then what lies
around it.  Widths are not relaxed: what a matrix stores would no longer be a sum over its own
shares.  Every layer keeps the widest that there is.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from math import log

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from ernn.errors import UserError
from ernn.search.candidates import Candidate, Part, Pick
from ernn.search.choosers.chooser import Setting, Tried, own_training
from ernn.search.choosers.shared import share_weights
from ernn.search.choosers.steps import around, descend
from ernn.train.fit import fit

PENALTY = 4.0
"""The penalty, in nats, at e times the budget."""
COLDEST = 0.2
"""Temperature of the shares in the last epoch; 1 in the first."""


class Relaxed:
    """Half of the trials' epochs are spent on the mixture."""

    def __init__(self, setting: Setting) -> None:
        self.setting, self.space = setting, setting.space.widest()
        self.epochs, mildest = setting.trials * setting.spec.epochs // 2, self.space.mildest
        if sum(
            part.stored_bits(one) for part, one in self.space.assigned(mildest)
        ) != 8 * self.space.price(mildest):
            raise UserError(
                "the relaxation takes a budget in bytes, which add up: --budget, or choose another "
                "way"
            )

    def propose(self, history: Sequence[Tried]) -> Pick | None:
        first, tried = descend(self.space, self._cost), {one.pick for one in history}
        every = chain([first], around(self.space, first, self._cost))
        return next((pick for pick in every if pick not in tried), None)

    def _cost(self, pick: Pick) -> float:
        return -sum(self._shares[part.name][one] for part, one in self.space.assigned(pick))

    @cached_property
    def _shares(self) -> dict[str, dict[Candidate, float]]:
        """Logarithms of the shares after the training."""
        shares = Shares(self.space.matrices, self.space.limit)
        model = self.setting.widest()
        model.add_module("shares", shares)
        share_weights(model, self.space, shares.of)
        spec, folder = own_training(self.setting, self.epochs), self.setting.folder
        fit(
            model,
            self.setting.task,
            spec,
            folder,
            [Sharpen(shares)],
            "relaxation",
            self.setting.progress,
        )
        return {
            part.name: dict(
                zip(part.options, (shares.logits[i] / COLDEST).log_softmax(0).tolist(), strict=True)
            )
            for i, part in enumerate(self.space.matrices)
        }


class Shares(nn.Module):
    """Of every part's options; at first half of it is the mildest."""

    def __init__(self, parts: Sequence[Part], limit: float) -> None:
        super().__init__()
        starts = [torch.zeros(len(part.options)) for part in parts]
        for start in starts:
            start[0] = log(max(1, len(start) - 1))
        self.logits = nn.ParameterList(nn.Parameter(start) for start in starts)
        self.parts, self.limit, self.temperature = list(parts), limit, 1.0
        self.stored = [
            torch.tensor([part.stored_bits(one) / 8 for one in part.options]) for part in parts
        ]

    def of(self, part: Part) -> dict[Candidate, Tensor | float]:
        index = self.parts.index(part)
        return dict(zip(part.options, self._at(index).unbind(), strict=True))

    def penalty(self) -> Tensor:
        """Of the bytes that the shares give on average, above the budget."""
        stored = sum((self._at(index) * one).sum() for index, one in enumerate(self.stored))
        return PENALTY * (torch.as_tensor(stored) / self.limit).log().clamp(min=0)

    def _at(self, index: int) -> Tensor:
        return (self.logits[index] / self.temperature).softmax(0)


class Sharpen(Callback):
    """Lowers the temperature epoch by epoch, and adds the penalty to every step's gradients."""

    def __init__(self, shares: Shares) -> None:
        self.shares = shares

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.shares.temperature = COLDEST ** (
            trainer.current_epoch / max(1, (trainer.max_epochs or 1) - 1)
        )

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.shares.penalty().backward()
