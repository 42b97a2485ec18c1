"""Data-parallel training: processes with a part of every batch each, by DDP through Lightning.

    torchrun --nproc-per-node 2 train_my_network.py        # which calls `fit_together`

Each process makes every batch of `ernn.train.fit` and takes its own utterances of it; losses
are weighted by the labels of the whole batch, so the averaged gradient, and with it the loss
curve, is that of one process with the whole batch (noise, masks and dropout apart, which
every process draws by itself).
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import torch.distributed as dist
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks import powerSGD_hook as powersgd
from torch.nn.utils import parametrize

from ernn.data.batches import Batch, Batches
from ernn.errors import UserError
from ernn.train.augment import augment
from ernn.train.fit import fit_module
from ernn.train.loss import loss
from ernn.train.module import Training
from ernn.train.spec import TrainSpec
from ernn.train.task import Task


def fit_together(
    model: nn.Module,
    task: Task,
    spec: TrainSpec,
    folder: Path | None = None,
    callbacks: Sequence[Callback] = (),
    low_rank: int = 0,
    low_rank_after: int = 10,
    progress: bool = False,
) -> Training:
    """`ernn.train.fit.fit` in each process that torchrun started, on any number of machines.

    low_rank: above 0, gradients travel as products of matrices of this rank (PowerSGD,
    Vogels et al. 2019) from step `low_rank_after` on, what they lose being added to the next
    step's; its memory is not in the checkpoint, so a run that is stopped goes on with
    slightly other numbers. Raises UserError outside torchrun, or where a batch has fewer
    utterances than there are processes.
    """
    own, total = _place()
    if spec.batch < total:
        raise UserError(
            f"a batch of {spec.batch} utterances cannot be shared by {total} processes: choose a "
            "larger one"
        )
    if low_rank < 0 or low_rank_after < 2:
        raise UserError(
            f"low_rank is at least 0 and low_rank_after at least 2, not {low_rank} and "
            f"{low_rank_after}"
        )
    here = int(os.environ.get("LOCAL_WORLD_SIZE", total))
    strategy = DDPStrategy(process_group_backend="gloo")
    machines = {"devices": here, "num_nodes": total // here, "strategy": strategy}
    travel = [_LowRank(low_rank, low_rank_after)] if low_rank else []
    shown = progress and own == 0
    module = _Share(model, task, spec, own, total)
    return fit_module(module, folder, [*callbacks, *travel], "training", shown, machines)


def part_of(batch: Batch, own: int, total: int) -> tuple[Batch, float]:
    """Utterances own, own + total, ... of a batch; the weight of their mean loss in `total` wholes.

    A process for which none are left hears the first one, with weight 0.
    """
    rows = torch.arange(len(batch))[own::total]
    labels = int(batch.label_lengths.sum())
    weight = total * int(batch.label_lengths[rows].sum()) / labels
    rows = rows if len(rows) else torch.zeros(1, dtype=torch.int64)
    ids = tuple(batch.ids[row] for row in rows.tolist())
    part = Batch(
        batch.features[rows],
        batch.lengths[rows],
        batch.labels[rows],
        batch.label_lengths[rows],
        ids,
    )
    return part, weight


class _Parts:
    """The batches of an epoch, each as this process's part with its weight."""

    def __init__(self, batches: Batches, own: int, total: int) -> None:
        self.batches, self.own, self.total = batches, own, total

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Batch, float]]:
        return (part_of(batch, self.own, self.total) for batch in self.batches)


class _Share(Training):
    """One process's share of a training."""

    def __init__(self, model: nn.Module, task: Task, spec: TrainSpec, own: int, total: int) -> None:
        super().__init__(model, task, spec)
        self.own, self.total = own, total

    def train_dataloader(self) -> Any:
        return _Parts(super().train_dataloader(), self.own, self.total)

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        torch.manual_seed(torch.initial_seed() + 7919 * self.own)  # every process draws other noise

    def training_step(self, batch: Any, index: int) -> Tensor:
        part, weight = batch
        with parametrize.cached():
            outputs = self.model(augment(part, self.spec))
        own = weight * loss(self.task.objective, outputs, part)
        whole = own.detach().clone()
        dist.all_reduce(whole)
        self._require_finite(whole)
        self._losses.append(whole / self.total)
        return own

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        return batch


def _place() -> tuple[int, int]:
    """This process's number, and how many there are."""
    if not dist.is_torchelastic_launched():
        raise UserError(
            "training together needs its processes: start the program with torchrun "
            "--nproc-per-node 2 ..."
        )
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


class _LowRank(Callback):
    """Gradients travel by PowerSGD. Lightning's own option for it is for GPUs only."""

    def __init__(self, rank: int, after: int) -> None:
        self.rank, self.after = rank, after

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        state = powersgd.PowerSGDState(
            None, self.rank, start_powerSGD_iter=self.after, min_compression_rate=1, warm_start=True
        )
        trainer.strategy.model.register_comm_hook(state, powersgd.powerSGD_hook)  # type: ignore[union-attr, operator]
