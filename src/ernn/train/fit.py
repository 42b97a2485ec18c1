"""One stage of training: a model, a task, a specification; optionally a folder to resume from."""

import logging
import signal
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from torch import Tensor, nn

from ernn.compress.admm import Residual
from ernn.errors import UserError, one_line
from ernn.ir.integer_model import IntegerModel
from ernn.train.callbacks import ProgressCallback, watching
from ernn.train.distil import Distillation
from ernn.train.module import Epoch, Training
from ernn.train.spec import TrainSpec
from ernn.train.task import Task

ONE_PROCESS = {"devices": 1}


@dataclass(frozen=True, eq=False)
class Trained:
    """What a stage gave. state: of the model with plain weights. validation: 0.15 is 15 %.

    history: every epoch. seconds: of all epochs, those before a stop included. residuals:
    ADMM's, empty elsewhere. formats: a model in integers with the formats that data were
    rounded to, None where they were not.
    """

    state: dict[str, Tensor] = field(repr=False)
    validation: float
    history: tuple[Epoch, ...]
    residuals: tuple[Residual, ...] = ()
    formats: IntegerModel | None = field(default=None, repr=False)

    @property
    def seconds(self) -> float:
        return self.history[-1].seconds if self.history else 0.0


def fit(
    model: nn.Module,
    task: Task,
    spec: TrainSpec,
    folder: Path | None = None,
    callbacks: Sequence[Callback] = (),
    title: str = "training",
    progress: bool = True,
    distillation: Distillation | None = None,
) -> Training:
    """Train `model` in place; it ends with the last epoch's weights, `best_state` has the best.

    With `folder`, every epoch is kept there as last.ckpt, and a run that finds one goes on from it
    with the same numbers as if it had never stopped.  Raises UserError where the loss is no longer
    finite, or where the checkpoint is of another specification.
    """
    return fit_module(Training(model, task, spec, distillation), folder, callbacks, title, progress)


def fit_module(
    module: Training,
    folder: Path | None,
    callbacks: Sequence[Callback],
    title: str,
    progress: bool,
    machines: Mapping[str, Any] = ONE_PROCESS,
) -> Training:
    """What `fit` does, of an existing module; `machines`: where Lightning is to run it."""
    spec = module.spec
    shown = [ProgressCallback(f"{title}, seed {spec.seed}")] if progress else []
    with _quiet(), _interruptible():
        trainer = _trainer(spec, folder, [*callbacks, *watching(), *shown], machines)
        kept = folder / "last.ckpt" if folder else None
        resume = kept if kept and _can_be_read(kept) else None
        trainer.fit(module, ckpt_path=resume, weights_only=True)
    return module


def _can_be_read(checkpoint: Path) -> bool:
    """Whether there is one; UserError where it is damaged."""
    if not checkpoint.is_file():
        return False
    try:
        torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged file does to the unpickler
        raise UserError(
            f"the checkpoint {checkpoint} is damaged ({one_line(error)}): remove it, and the "
            "training begins anew"
        ) from error
    return True


def _trainer(
    spec: TrainSpec, folder: Path | None, callbacks: list[Callback], machines: Mapping[str, Any]
) -> pl.Trainer:
    stopping = EarlyStopping(
        "validation", patience=spec.patience, check_on_train_epoch_end=True, strict=False
    )
    return pl.Trainer(
        accelerator="cpu",
        **machines,
        max_epochs=spec.epochs,
        gradient_clip_val=spec.clip,
        callbacks=[*callbacks, stopping, *([_keeper(folder)] if folder else [])],
        reload_dataloaders_every_n_epochs=1,
        logger=False,
        enable_checkpointing=folder is not None,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def _keeper(folder: Path) -> ModelCheckpoint:
    return ModelCheckpoint(
        folder, "last", save_top_k=1, save_on_train_epoch_end=True, enable_version_counter=False
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's banners and advice on machines and loaders that are not used here."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Lightning turns Ctrl+C into an exit and then ignores the next one; here it stays Ctrl+C."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as stop:
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from stop
