"""Lightning callbacks: ADMM and gradual compression within training, a bar with the time left."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from ernn.compress.admm import Admm
from ernn.compress.gradual import pull
from ernn.compress.plan import CompressionPlan
from ernn.train.module import Epoch

_WATCHING: ContextVar[tuple[Callback, ...]] = ContextVar("watching", default=())


@contextmanager
def watched_by(*callbacks: Callback) -> Iterator[None]:
    """Every stage trained within has these callbacks too: how a search watches training."""
    token = _WATCHING.set(callbacks)
    try:
        yield
    finally:
        _WATCHING.reset(token)


def watching() -> tuple[Callback, ...]:
    """The callbacks of the enclosing `watched_by`."""
    return _WATCHING.get()


class AdmmCallback(Callback):
    """Adds an `Admm`'s penalty to every gradient and updates it after every `every`-th epoch.

    Works with any LightningModule: the penalty is differentiated by itself, after the module's own
    loss. Its state is part of the checkpoint. `finish()` is left to the caller.  Training stops
    once all residuals are at most `tolerance`.
    """

    def __init__(self, admm: Admm, every: int = 1, tolerance: float = 0.0) -> None:
        self.admm, self.every, self.tolerance = admm, every, tolerance

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # A stage that had ended must not go on when it is resumed.
        self._stop_if_converged(trainer)

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        penalty: Tensor = self.admm.penalty()
        penalty.backward()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if (trainer.current_epoch + 1) % self.every == 0:
            self.admm.update()
            self._stop_if_converged(trainer)

    def _stop_if_converged(self, trainer: pl.Trainer) -> None:
        if self.tolerance and self.admm.converged(self.tolerance):
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return self.admm.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.admm.load_state_dict(state_dict)


class PullCallback(Callback):
    """Draws `model`'s matrices to the plan's sets after every epoch, by a share that grows to 1."""

    def __init__(self, model: nn.Module, plan: CompressionPlan) -> None:
        self.model, self.plan = model, plan

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        pull(self.model, self.plan, (trainer.current_epoch + 1) / (trainer.max_epochs or 1))


class ProgressCallback(Callback):
    """One line on standard error in training: epoch, time left, loss and validation error rate."""

    def __init__(self, title: str) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        self._progress = Progress(
            *columns, TextColumn("{task.fields[state]}"), console=Console(stderr=True)
        )
        self._title = title

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._bar = self._progress.add_task(self._title, total=trainer.max_epochs, state="")
        self._progress.start()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._show(pl_module.history)  # type: ignore[arg-type]

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._progress.stop()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._show(pl_module.history)  # type: ignore[arg-type]
        self._progress.stop()

    def _show(self, history: list[Epoch]) -> None:
        done = len(history)
        state = (
            f"loss {history[-1].loss:.3f}, validation {100 * history[-1].validation:.2f} %"
            if history
            else ""
        )
        self._progress.update(self._bar, completed=done, state=state)
