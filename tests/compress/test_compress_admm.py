"""ADMM against an optimum computed otherwise, in a plain PyTorch loop, and across a stop."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from ernn.compress import inside, sets
from ernn.compress.admm import Admm
from ernn.compress.plan import CompressionPlan, compressed
from ernn.errors import UserError
from ernn.ir.structure import BlockCirculant

B4 = BlockCirculant(4)
PLAN = CompressionPlan(output=B4)


def quadratic() -> tuple[nn.Linear, torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    # Correlated: the projection of the free optimum is not the answer.
    x = torch.randn(200, 12) @ torch.randn(12, 12)
    return nn.Linear(12, 8, bias=False), x, x @ torch.randn(12, 8) + torch.randn(200, 8)


def free_optimum(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.linalg.lstsq(x, y).solution.T


def constrained_optimum(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Least squares over the block vectors themselves."""
    unit = torch.eye(8 * 12 // 4).reshape(-1, 2, 3, 4)
    basis = torch.stack([(x @ sets.decode(u, B4, 8, 12).T).flatten() for u in unit], dim=1)
    return sets.decode(torch.linalg.lstsq(basis, y.flatten()).solution.reshape(2, 3, 4), B4, 8, 12)


def loss(weight: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (x @ weight.T - y).square().mean()


def minimise(layer: nn.Linear, objective: Callable[[], torch.Tensor]) -> None:
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        total = objective()
        total.backward()
        return total

    optimizer.step(closure)


def run_admm(layer: nn.Linear, x: torch.Tensor, y: torch.Tensor, admm: Admm, updates: int) -> None:
    for _ in range(updates):
        minimise(layer, lambda: loss(layer.weight, x, y) + admm.penalty())
        admm.update()


def test_converges_to_the_constrained_optimum() -> None:
    layer, x, y = quadratic()
    with torch.no_grad():
        layer.weight.copy_(free_optimum(x, y))
    admm = Admm(layer, PLAN, rho=100.0, growth=1.0)
    run_admm(layer, x, y, admm, 150)
    assert admm.distance() < 1e-3
    admm.finish()
    best = constrained_optimum(x, y)
    naive = sets.project(free_optimum(x, y), B4)
    assert torch.equal(sets.project(layer.weight, B4), layer.weight)
    reached, possible = loss(layer.weight, x, y).item(), loss(best, x, y).item()
    assert reached == pytest.approx(possible, rel=1e-3)
    assert reached < 0.9 * loss(naive, x, y).item()


def test_raising_rho_keeps_the_multiplier() -> None:
    """rho * U, the unscaled dual, does not change when rho does."""
    layer, _, _ = quadratic()
    admm = Admm(layer, PLAN, rho=10.0, growth=2.0, most=35.0)
    before = admm.penalty().item()
    admm.update()
    u = admm.state_dict()["u"]["weight"]
    residual = (layer.weight - sets.project(layer.weight, B4)).detach()
    torch.testing.assert_close(u[0], residual / 2)  # U = W - Z, then halved as rho doubles
    assert before == pytest.approx(
        5.0 * (residual.square().sum() / layer.weight.square().sum()).item()
    )
    admm.update()
    assert admm.rho == 35.0


def test_residuals_are_kept_for_every_matrix_and_update() -> None:
    model = nn.Sequential(nn.LSTM(8, 16, proj_size=8), nn.Linear(8, 5))
    admm = Admm(model, CompressionPlan.blocks(8), rho=2.0, growth=2.0)
    admm.update()
    admm.update()
    names = [m.name for m in compressed(model, CompressionPlan.blocks(8))]
    assert [(r.update, r.matrix) for r in admm.residuals] == [(u, n) for u in (1, 2) for n in names]
    assert {r.rho for r in admm.residuals if r.update == 2} == {4.0}
    assert all(0 < r.primal < 1.5 for r in admm.residuals) and admm.residuals[0].dual == 0


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_plain_loop_on_a_torch_layer(kind: type[nn.RNNBase]) -> None:
    torch.manual_seed(0)
    layer, x = kind(8, 16, batch_first=True), torch.randn(4, 6, 8)
    target = layer(x)[0].detach() + 0.1 * torch.randn(4, 6, 16)
    plan = CompressionPlan.blocks(4)
    admm = Admm(layer, plan, rho=0.3, growth=1.3)
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-2)
    slower = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.85)
    first = Admm(layer, plan).update()[0].primal
    for _ in range(25):
        for _ in range(10):
            optimizer.zero_grad()
            ((layer(x)[0] - target).square().mean() + admm.penalty()).backward()
            optimizer.step()
        admm.update()
        slower.step()
    assert admm.distance() < 0.1 * first
    admm.finish()
    for matrix in compressed(layer, plan):
        torch.testing.assert_close(sets.project(matrix.weight, matrix.structure), matrix.weight)


@pytest.mark.parametrize("rho", [0.1, 1e5])
def test_balancing_finds_its_way_from_a_bad_rho(rho: float) -> None:
    """With rho fixed so far off, as many updates end well above the optimum."""
    reached = {}
    for balance in (0.0, 10.0):
        layer, x, y = quadratic()
        with torch.no_grad():
            layer.weight.copy_(free_optimum(x, y))
        admm = Admm(layer, PLAN, rho=rho, growth=1.0, most=1e9, balance=balance)
        run_admm(layer, x, y, admm, 60)
        admm.finish()
        reached[balance] = (
            loss(layer.weight, x, y).item() / loss(constrained_optimum(x, y), x, y).item()
        )
    assert reached[10.0] < 1.01 < reached[0.0]


def test_converged_is_both_residuals() -> None:
    layer, x, y = quadratic()
    admm = Admm(layer, PLAN, rho=100.0, growth=1.0)
    assert not admm.converged(1e9)
    run_admm(layer, x, y, admm, 2)
    last = admm.residuals[-1]
    assert admm.converged(max(last.primal, last.dual)) and not admm.converged(
        0.999 * max(last.primal, last.dual)
    )


def test_state_goes_on_exactly() -> None:
    layer, x, y = quadratic()
    admm = Admm(layer, PLAN, rho=50.0, growth=1.2, balance=1.5)
    run_admm(layer, x, y, admm, 3)
    saved = {"admm": admm.state_dict(), "weight": layer.weight.detach().clone()}
    saved["admm"]["z"] = {k: v.clone() for k, v in saved["admm"]["z"].items()}
    run_admm(layer, x, y, admm, 3)
    other = nn.Linear(12, 8, bias=False)
    with torch.no_grad():
        other.weight.copy_(saved["weight"])
    resumed = Admm(other, PLAN, rho=50.0, growth=1.2, balance=1.5)
    resumed.load_state_dict(saved["admm"])
    run_admm(other, x, y, resumed, 3)
    assert torch.equal(other.weight, layer.weight)
    assert resumed.residuals == admm.residuals


def test_bad_input_is_refused() -> None:
    with pytest.raises(UserError, match="nothing for ADMM to do"):
        Admm(nn.GRU(8, 8), CompressionPlan())
    with pytest.raises(UserError, match="needs 0 < rho"):
        Admm(nn.GRU(8, 8), CompressionPlan.blocks(8), rho=0)
    with pytest.raises(UserError, match="by a factor above 1"):
        Admm(nn.GRU(8, 8), CompressionPlan.blocks(8), balance=0.5)
    admm = Admm(nn.GRU(8, 8), CompressionPlan.blocks(8))
    with pytest.raises(
        UserError, match="this ADMM state is of weight, the plan compresses weight_hh_l0"
    ):
        admm.load_state_dict(Admm(nn.Linear(8, 8), PLAN).state_dict())


def test_one_shot_is_projection() -> None:
    layer = nn.GRU(8, 16)
    before = {
        m.name: m.weight.detach().clone() for m in compressed(layer, CompressionPlan.blocks(8))
    }
    inside.project_once(layer, CompressionPlan.blocks(8))
    for matrix in compressed(layer, CompressionPlan.blocks(8)):
        assert torch.equal(matrix.weight, sets.project(before[matrix.name], matrix.structure))
