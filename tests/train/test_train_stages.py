"""Training learns, stops and goes on exactly, and fails loudly; ADMM inside it ends in the set."""

import signal
from dataclasses import replace
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
import train_toy as toy
from lightning.pytorch.callbacks import Callback

from ernn.compress import inside, sets
from ernn.compress.admm import Admm
from ernn.compress.plan import CompressionPlan, compressed
from ernn.data.batches import collate
from ernn.errors import UserError
from ernn.train.augment import augment
from ernn.train.fit import fit
from ernn.train.module import Training
from ernn.train.spec import AdmmSpec, TrainSpec
from ernn.train.stages import compress_by_admm, one_shot, retrain_inside, train_dense, train_direct

PLAN = CompressionPlan.blocks(4)
QUIET = {"progress": False}


class Kill(Callback):
    """Ends the process's training in the middle of an epoch, as a power cut would."""

    def __init__(self, epoch: int, step: int) -> None:
        self.at = (epoch, step)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int
    ) -> None:
        if (trainer.current_epoch, batch_idx) == self.at:
            raise RuntimeError("killed")


def numbers(module: Training) -> list[tuple[float, float]]:
    return [(epoch.loss, epoch.validation) for epoch in module.history]


def assert_in_set(model: torch.nn.Module) -> None:
    for matrix in compressed(model, PLAN):
        torch.testing.assert_close(sets.project(matrix.weight, matrix.structure), matrix.weight)


def test_ctc_training_learns() -> None:
    trained = train_dense(toy.model(), toy.task(), replace(toy.SPEC, epochs=15), **QUIET)
    assert trained.history[-1].loss < 0.3 * trained.history[0].loss
    assert trained.validation < 0.2
    assert [epoch.number for epoch in trained.history] == list(range(1, 16))


def test_same_seed_same_numbers_and_epochs_differ() -> None:
    first, second = (fit(toy.model(), toy.task(), toy.SPEC, **QUIET) for _ in range(2))
    assert numbers(first) == numbers(second)
    other = fit(toy.model(), toy.task(), replace(toy.SPEC, seed=6), **QUIET)
    assert numbers(first) != numbers(other)
    order = [[b.ids for b in first.batches.epoch(e)] for e in (0, 1)]
    assert order[0] != order[1]


def test_killed_and_resumed_gives_the_same_numbers(tmp_path: Path) -> None:
    whole = fit(toy.model(), toy.task(), toy.SPEC, **QUIET)
    with pytest.raises(RuntimeError, match="killed"):
        fit(toy.model(), toy.task(), toy.SPEC, tmp_path, [Kill(2, 3)], **QUIET)
    resumed = fit(toy.model(), toy.task(), toy.SPEC, tmp_path, **QUIET)
    assert numbers(resumed) == numbers(whole)
    assert resumed.best == whole.best
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], tensor)
        assert torch.equal(resumed.best_state[name], whole.best_state[name])


def test_killed_and_resumed_admm_gives_the_same_numbers(tmp_path: Path) -> None:
    whole = compress_by_admm(toy.model(), toy.task(), PLAN, toy.SPEC, AdmmSpec(), **QUIET)
    model, solver = toy.model(), AdmmSpec()
    from ernn.train.callbacks import AdmmCallback

    with pytest.raises(RuntimeError, match="killed"):
        admm = AdmmCallback(Admm(model, PLAN, solver.rho, solver.growth, solver.most))
        fit(model, toy.task(), toy.SPEC, tmp_path, [admm, Kill(2, 0)], **QUIET)
    resumed = compress_by_admm(
        toy.model(), toy.task(), PLAN, toy.SPEC, AdmmSpec(), tmp_path, **QUIET
    )
    assert resumed.residuals == whole.residuals
    assert all(torch.equal(resumed.state[name], tensor) for name, tensor in whole.state.items())


def test_a_finished_stage_is_not_trained_again(tmp_path: Path) -> None:
    first = train_dense(toy.model(), toy.task(), toy.SPEC, tmp_path, **QUIET)
    again = train_dense(toy.model(), toy.task(), toy.SPEC, tmp_path, **QUIET)
    assert again.history == first.history
    assert all(torch.equal(again.state[name], tensor) for name, tensor in first.state.items())


class Interrupt(Callback):
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        raise KeyboardInterrupt


def test_an_interrupt_stays_one() -> None:
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit(toy.model(), toy.task(), toy.SPEC, None, [Interrupt()], **QUIET)
    assert signal.getsignal(signal.SIGINT) is handler


def test_another_spec_does_not_resume(tmp_path: Path) -> None:
    train_dense(toy.model(), toy.task(), replace(toy.SPEC, epochs=1), tmp_path, **QUIET)
    with pytest.raises(UserError, match="checkpoint is of another training specification"):
        train_dense(toy.model(), toy.task(), toy.SPEC, tmp_path, **QUIET)


def test_early_stopping_keeps_the_best_epoch() -> None:
    spec = replace(toy.SPEC, epochs=12, rate=1e-6, patience=2)
    trained = train_dense(toy.model(), toy.task(), spec, **QUIET)
    assert len(trained.history) < 12
    assert trained.validation == min(epoch.validation for epoch in trained.history)


class Spoil(Callback):
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch == 1:
            with torch.no_grad():
                pl_module.model.output.weight.fill_(float("nan"))  # type: ignore[union-attr]


def test_a_loss_that_is_not_finite_stops_and_names_the_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"the loss is nan in epoch 2: .*last good checkpoint is .*last\.ckpt"
    ):
        fit(toy.model(), toy.task(), toy.SPEC, tmp_path, [Spoil()], **QUIET)
    with pytest.raises(UserError, match="no checkpoint was written"):
        fit(toy.model(), toy.task(), toy.SPEC, None, [Spoil()], **QUIET)
    assert (tmp_path / "last.ckpt").is_file()


def test_admm_then_retraining_ends_in_the_set() -> None:
    task, model = toy.task(), toy.model()
    train_dense(model, task, replace(toy.SPEC, epochs=8), **QUIET)
    solver = AdmmSpec(rho=1.0, growth=2.0, every=2)
    drawn = compress_by_admm(model, task, PLAN, replace(toy.SPEC, epochs=12), solver, **QUIET)
    assert_in_set(model)
    assert len(drawn.residuals) == 6 * len(compressed(model, PLAN))
    assert drawn.residuals[-1].primal < 0.4 * drawn.residuals[0].primal
    final = retrain_inside(model, task, PLAN, replace(toy.SPEC, epochs=8, rate=5e-3), **QUIET)
    assert_in_set(model)
    assert final.validation < 0.3
    assert set(final.state) == set(toy.model().state_dict())


def test_one_shot_and_direct_training_end_in_the_set() -> None:
    for stage in (one_shot, train_direct):
        model = toy.model()
        trained = stage(model, toy.task(), PLAN, toy.SPEC, **QUIET)
        assert_in_set(model)
        assert trained.history[-1].loss < trained.history[0].loss


def test_an_admm_callback_is_the_penalty_in_the_loss() -> None:
    """One step by the callback moves the weights as loss + penalty does in a plain loop."""
    model, task, spec = (
        toy.model(),
        toy.task(),
        TrainSpec(epochs=1, batch=40, warmup=0, noise=0, masks=0, clip=1e9),
    )
    model.dropout.p = 0.0
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(2)
    from ernn.train.callbacks import AdmmCallback
    from ernn.train.loss import ctc

    plain = toy.model()
    plain.load_state_dict(model.state_dict())
    plain.dropout.p = 0.0
    fit(model, task, spec, None, [AdmmCallback(Admm(model, PLAN, rho=30.0))], **QUIET)
    batch, admm = collate(task.train), Admm(plain, PLAN, rho=30.0)
    optimizer = torch.optim.AdamW(
        plain.parameters(), spec.rate, (0.9, 0.98), weight_decay=spec.weight_decay
    )
    (ctc(plain(batch.features), batch) + admm.penalty()).backward()
    optimizer.step()
    for a, b in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_augmentation_hides_few_frames_and_only_inside() -> None:
    batch = collate(toy.examples(50, 4))
    batch.features[:] = 1.0
    torch.manual_seed(0)
    hidden = augment(batch, TrainSpec(noise=0, masks=1, mask_frames=2)).sum(2) == 0
    counts = hidden.sum(1)
    assert (counts <= torch.minimum(torch.tensor(2), batch.lengths // 8)).all() and counts.any()
    assert not any(row[length:].any() for row, length in zip(hidden, batch.lengths, strict=True))
    assert torch.equal(augment(batch, TrainSpec(noise=0, masks=0)), batch.features)


def test_a_model_left_by_an_error_is_plain() -> None:
    model = toy.model()
    with pytest.raises(UserError):
        retrain_inside(model, toy.task(), CompressionPlan.blocks(8, pad=False), toy.SPEC, **QUIET)
    assert set(model.state_dict()) == set(toy.model().state_dict())
    inside.enter(model, PLAN)
    inside.leave(model)
    assert set(model.state_dict()) == set(toy.model().state_dict())
