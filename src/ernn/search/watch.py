"""Ending a trial early: when one that costs no more was already better at the same epoch."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from ernn.files import write_json
from ernn.ground.plain import decode
from ernn.ground.reading import read_json


class PrunedError(Exception):
    """The trial is not worth its remaining epochs."""


@dataclass(frozen=True)
class Course:
    """What a finished trial cost, and its validation error rate (per cent) by epoch."""

    kbit: float
    cycles: float
    validation: tuple[float, ...]

    def save(self, path: Path) -> None:
        write_json(path, asdict(self))


def finished(folder: Path) -> list[Course]:
    """Courses kept in `folder`."""
    return [decode(str(path), Course, read_json(path)) for path in sorted(folder.glob("*.json"))]


def hopeless(mine: Course, others: Sequence[Course], after: int, margin: float) -> Course | None:
    """A finished trial that costs no more and was lower by `margin` points at this epoch.

    Nothing is hopeless within the first `after` epochs.
    """
    epochs = len(mine.validation)
    if epochs <= after:
        return None
    best = min(mine.validation)
    for other in others:
        cheaper = other.kbit <= mine.kbit and other.cycles <= mine.cycles
        if (
            cheaper
            and len(other.validation) >= epochs
            and min(other.validation[:epochs]) <= best - margin
        ):
            return other
    return None


class Watch(Callback):
    """Raises `PrunedError` at the end of an epoch that makes the trial hopeless."""

    def __init__(
        self, kbit: float, cycles: float, others: Sequence[Course], after: int, margin: float = 1.0
    ) -> None:
        self.kbit, self.cycles, self.others, self.after, self.margin = (
            kbit,
            cycles,
            others,
            after,
            margin,
        )
        self._earlier: list[float] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        mine = Course(self.kbit, self.cycles, (*self._earlier, *_percents(pl_module)))
        if better := hopeless(mine, self.others, self.after, self.margin):
            epochs = len(mine.validation)
            raise PrunedError(
                f"{min(mine.validation):.2f} % after {epochs} epochs; "
                f"a trial of {better.kbit:g} kbit and {better.cycles:g} cycles had "
                f"{min(better.validation[:epochs]):.2f} % by then"
            )

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Called at the end of every stage, also of one that was done before."""
        self._earlier += _percents(pl_module)


def _percents(module: pl.LightningModule) -> list[float]:
    return [100 * epoch.validation for epoch in module.history]  # type: ignore[attr-defined]
