"""Training of one model as a Lightning module."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import cos, isfinite, pi
from time import monotonic
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ernn.data.batches import Batch, Batches
from ernn.errors import UserError
from ernn.train.augment import augment
from ernn.train.average import Average
from ernn.train.distil import Distillation
from ernn.train.loss import loss
from ernn.train.spec import TrainSpec
from ernn.train.task import Task


@dataclass(frozen=True)
class Epoch:
    """number: from 1. loss: `ernn.train.loss`, mean of the epoch, penalties apart. validation:
    error rate, 0.15 for 15 %. seconds: since the stage began."""

    number: int
    loss: float
    validation: float
    seconds: float


class Training(pl.LightningModule):
    """`model` (batch, frames, dim) -> outputs (batch, frames, outputs) learns a task.

    Every epoch draws its order, dropout and noise from (seed, epoch) alone: a run that was stopped
    and resumed from an epoch's checkpoint goes on with the same numbers. `best_state` holds the
    weights of the epoch with the lowest validation error rate (the later one of equals); with
    `spec.average` both are of the averaged weights. With a `distillation` the model learns from a
    teacher too; `history` still shows the task's loss alone.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        spec: TrainSpec,
        distillation: Distillation | None = None,
    ) -> None:
        super().__init__()
        self.model, self.task, self.spec, self.distillation = model, task, spec, distillation
        self.average = Average(model, spec.average) if spec.average else None
        self.batches = Batches(task.train, spec.batch, spec.seed)
        self.history: list[Epoch] = []
        self.best: float = float("inf")
        self.best_state: dict[str, Tensor] = {}
        self._seconds_before = 0.0
        self._started = monotonic()
        self._losses: list[Tensor] = []

    def train_dataloader(self) -> Batches:
        """This epoch's batches; the trainer asks again before every epoch."""
        self.batches.set_epoch(self.current_epoch)
        return self.batches

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Training is on the processor, where a batch already is."""
        return batch

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(
            self.model.parameters(),
            self.spec.rate,
            betas=(0.9, 0.98),
            weight_decay=self.spec.weight_decay,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._share_of_rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(self.spec.seed * 100_003 + self.current_epoch)
        self._losses = []

    def training_step(self, batch: Batch, index: int) -> Tensor:
        with parametrize.cached():
            outputs = self.model(augment(batch, self.spec))
        own = loss(self.task.objective, outputs, batch)
        self._require_finite(own)
        self._losses.append(own.detach())
        if self.distillation is None:
            return own
        return self.distillation.labels * own + self.distillation.divergence(
            self.task.objective, outputs, batch
        )

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        if self.average is not None:
            self.average.update()

    def on_train_epoch_end(self) -> None:
        with self._judged():
            self._validate()

    def _judged(self) -> AbstractContextManager[None]:
        """Within it the model has the weights that are validated and kept."""
        return nullcontext() if self.average is None else self.average.in_place()

    def _validate(self) -> None:
        validation = self.task.score(self.model).rate
        mean = torch.stack(self._losses).mean().item()
        seconds = self._seconds_before + monotonic() - self._started
        self.history.append(Epoch(self.current_epoch + 1, mean, validation, seconds))
        if validation <= self.best:
            self.best = validation
            self.best_state = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.log("validation", validation)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["ernn"] = {
            "spec": self.spec.to_dict(),
            "history": [vars(epoch) for epoch in self.history],
            "best": self.best,
            "best_state": self.best_state,
            "average": self.average.state_dict() if self.average else None,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        kept = checkpoint["ernn"]
        if kept["spec"] != self.spec.to_dict():
            raise UserError(
                "the checkpoint is of another training specification: resume with the same, or "
                "start anew"
            )
        self.history = [Epoch(**epoch) for epoch in kept["history"]]
        self.best, self.best_state = kept["best"], kept["best_state"]
        if self.average is not None:
            self.average.load_state_dict(kept["average"])
        self._seconds_before = self.history[-1].seconds if self.history else 0.0

    def _share_of_rate(self, step: int) -> float:
        total = self.spec.epochs * len(self.batches)
        rise = self.spec.warmup * total
        if step < rise:
            return (step + 1) / (rise + 1)
        return (1 + cos(pi * min(1.0, (step - rise) / (total - rise)))) / 2

    def _require_finite(self, loss: Tensor) -> None:
        if isfinite(loss.item()):
            return
        checkpoint = getattr(self.trainer.checkpoint_callback, "best_model_path", "")
        good = (
            f"the last good checkpoint is {checkpoint}"
            if checkpoint
            else "no checkpoint was written"
        )
        raise UserError(
            f"the loss is {loss.item()} in epoch {self.current_epoch + 1}: training diverged; "
            f"{good}; start again with a lower rate than {self.spec.rate} or a smaller clip than "
            f"{self.spec.clip}"
        )
