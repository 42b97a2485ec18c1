"""A progress bar over jobs on standard error: what is being done, the share done, the time left."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ernn.pipeline.side_by_side import Job


class JobsBar(Callback):
    """Counts the weight of finished jobs; an epoch trained in this process weighs 1."""

    def __init__(self, jobs: Sequence[Job], shown: bool) -> None:
        self._jobs = jobs
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        console = Console(file=sys.stderr, quiet=not shown)
        self._progress = Progress(*columns, *times, console=console)
        self._task = self._progress.add_task(
            "", total=sum(job.weight for job in jobs if not job.done)
        )
        self._before = sum(job.weight for job in jobs if job.done)

    @contextmanager
    def showing(self) -> Iterator["JobsBar"]:
        with self._progress:
            yield self

    def watch(self, jobs: Sequence[Job]) -> None:
        """Show how far the jobs are, whichever process does them."""
        done = [job for job in jobs if job.done or job.failure.exists()]
        completed = sum(job.weight for job in done) - self._before
        self._progress.update(
            self._task, completed=completed, description=f"{len(done)} of {len(jobs)}"
        )

    def begun(self, job: Job) -> None:
        self.watch(self._jobs)
        left = sum(not one.done for one in self._jobs)
        self._progress.update(
            self._task,
            description=f"{len(self._jobs) - left + 1} of {len(self._jobs)}: {job.title}",
        )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._progress.advance(self._task)
