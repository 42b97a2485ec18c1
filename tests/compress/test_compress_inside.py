"""Weights whose parameters are their stored numbers."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ernn.compress import inside, sets
from ernn.compress.plan import CompressionPlan, compressed, matrices
from ernn.nn.cells import PeepholeLSTM, ResetBeforeGRU

PLAN = CompressionPlan.blocks(4)
PLANS = {"blocks": PLAN, "signed": CompressionPlan.blocks(4, signed=True)}
LAYERS = {
    "lstm": lambda: nn.LSTM(6, 16, 2, batch_first=True, proj_size=8),
    "gru": lambda: nn.GRU(6, 16, batch_first=True, bidirectional=True),
    "peepholes": lambda: PeepholeLSTM(6, 16, batch_first=True),
    "reset before": lambda: ResetBeforeGRU(6, 16, batch_first=True),
}


def output(layer: nn.Module, x: Tensor) -> Tensor:
    return layer(x)[0]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_training_stays_inside_and_reaches_the_forward(name: str, plan: CompressionPlan) -> None:
    torch.manual_seed(1)
    layer, x = LAYERS[name](), torch.randn(3, 5, 6)
    inside.enter(layer, plan)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
    first = output(layer, x)
    for _ in range(3):
        optimizer.zero_grad()
        with parametrize.cached():
            output(layer, x).square().mean().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in layer.parameters())
        optimizer.step()
    assert output(layer, x).square().mean() < first.square().mean()
    after = output(layer, x)
    inside.leave(layer)
    assert not parametrize.is_parametrized(layer)
    torch.testing.assert_close(output(layer, x), after)
    for matrix in compressed(layer, plan):
        torch.testing.assert_close(sets.project(matrix.weight, matrix.structure), matrix.weight)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_entering_is_projecting(name: str, plan: CompressionPlan) -> None:
    layer, x = LAYERS[name](), torch.randn(2, 4, 6)
    projected = copy.deepcopy(layer)
    inside.project_once(projected, plan)
    inside.enter(layer, plan)
    torch.testing.assert_close(output(layer, x), output(projected, x))


def test_state_inside_is_saved_and_loaded() -> None:
    first, second = LAYERS["gru"](), LAYERS["gru"]()
    inside.enter(first, PLAN)
    inside.enter(second, PLAN)
    second.load_state_dict(first.state_dict())
    x = torch.randn(1, 3, 6)
    assert torch.equal(output(first, x), output(second, x))


def test_leaving_leaves_other_parametrizations() -> None:
    model = nn.Sequential(nn.GRU(8, 8), nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)))
    inside.enter(model, PLAN)
    inside.leave(model)
    assert [parametrize.is_parametrized(m) for m in model] == [False, True]


def test_restart_keeps_the_size_of_weights() -> None:
    torch.manual_seed(0)
    layer = nn.GRU(64, 128)
    before = {m.name: m.weight.std().item() for m in matrices(layer, CompressionPlan.blocks(8))}
    inside.restart_inside(layer, CompressionPlan.blocks(8))
    for matrix in compressed(layer, CompressionPlan.blocks(8)):
        assert matrix.weight.std().item() == pytest.approx(before[matrix.name], rel=0.05)
        torch.testing.assert_close(sets.project(matrix.weight, matrix.structure), matrix.weight)
