"""The running average of the weights: torch's own average agrees, and
training validates and keeps it.
"""

from dataclasses import replace
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
import train_toy as toy
from lightning.pytorch.callbacks import Callback
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ernn.compress import inside
from ernn.compress.plan import CompressionPlan
from ernn.errors import UserError
from ernn.train.average import Average
from ernn.train.fit import fit
from ernn.train.spec import TrainSpec

SPEC = replace(toy.SPEC, average=0.9)


class StopAt(Callback):
    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch == self.epoch:
            raise KeyboardInterrupt


def test_it_is_torch_s_exponential_average_once_it_is_long() -> None:
    """With a decay that the early steps already allow: (1 + 1) / (10 + 1) > 0.1."""
    model = toy.model()
    ours, theirs = Average(model, 0.1), AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.1))
    theirs.update_parameters(model)  # torch's first update only copies
    for step in range(5):
        torch.manual_seed(step)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        ours.update()
        theirs.update_parameters(model)
    with ours.in_place():
        for a, b in zip(model.parameters(), theirs.module.parameters(), strict=True):
            torch.testing.assert_close(a, b)


def test_early_steps_forget_the_first_weights() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(0.0)
        average = Average(model, 0.999)
        model.weight.fill_(1.0)
    average.update()
    with average.in_place():
        assert model.weight.item() == pytest.approx(9 / 11)


def test_the_model_has_its_own_weights_again_also_after_an_error() -> None:
    model = toy.model()
    average, own = Average(model, 0.5), [p.detach().clone() for p in model.parameters()]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    with pytest.raises(RuntimeError), average.in_place():
        assert all(torch.equal(p, q) for p, q in zip(model.parameters(), own, strict=True))
        raise RuntimeError
    assert all(torch.equal(p, 3 * q) for p, q in zip(model.parameters(), own, strict=True))


def test_training_keeps_and_validates_the_average() -> None:
    module = fit(toy.model(), toy.task(), SPEC, progress=False)
    last = {name: tensor.clone() for name, tensor in module.model.state_dict().items()}
    assert any(not torch.equal(last[name], tensor) for name, tensor in module.best_state.items())
    module.model.load_state_dict(module.best_state)
    assert toy.task().score(module.model).rate == module.best


def test_inside_a_set_the_stored_numbers_are_averaged() -> None:
    model = toy.model()
    inside.enter(model, CompressionPlan.blocks(4))
    module = fit(model, toy.task(), replace(SPEC, epochs=1), progress=False)
    assert set(module.best_state) == set(model.state_dict())
    model.load_state_dict(module.best_state)
    inside.leave(model)
    assert toy.task().score(model).rate == module.best


def test_stopped_and_resumed_gives_the_same_average(tmp_path: Path) -> None:
    whole = fit(toy.model(), toy.task(), SPEC, progress=False)
    with pytest.raises(KeyboardInterrupt):
        fit(toy.model(), toy.task(), SPEC, tmp_path, [StopAt(2)], progress=False)
    resumed = fit(toy.model(), toy.task(), SPEC, tmp_path, progress=False)
    assert [e.validation for e in resumed.history] == [e.validation for e in whole.history]
    assert all(
        torch.equal(resumed.best_state[name], tensor) for name, tensor in whole.best_state.items()
    )


def test_a_decay_outside_0_to_1_is_refused() -> None:
    with pytest.raises(UserError, match="decay must be above 0 and below 1, not 1"):
        Average(toy.model(), 1.0)
    with pytest.raises(
        UserError, match="average is a decay per step, at least 0 and below 1, not 1"
    ):
        TrainSpec(average=1.0)
