"""Every way into a set ends there, can be stopped, and is one call."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import train_toy as toy

from ernn.compress import inside, sets
from ernn.compress.gradual import path, pull
from ernn.compress.plan import CompressionPlan, compressed
from ernn.compress.spectral import transform
from ernn.errors import UserError
from ernn.ir.structure import BlockCirculant, Dense, LoadBalanced, Pruned
from ernn.train.distil import Distillation, soft_labels
from ernn.train.solvers import ByAdmm, Direct, Gradual, OneShot, Solver, Taught, compress, to_dict
from ernn.train.spec import AdmmSpec, DistilSpec

BLOCKS = CompressionPlan.blocks(4)
PRUNED = CompressionPlan.pruned(LoadBalanced(0.25, 4), output=Pruned(0.5))
SHORT = replace(toy.SPEC, epochs=3)
SOLVERS = (
    ByAdmm(SHORT, SHORT, AdmmSpec(growth=1.0, balance=10.0)),
    OneShot(SHORT),
    Direct(SHORT, "time"),
    Direct(SHORT, "frequency"),
    Gradual(SHORT, SHORT, "strength"),
    Gradual(SHORT, SHORT, "structure", steps=3),
    Taught(OneShot(SHORT)),
)


def in_set(model: torch.nn.Module, plan: CompressionPlan) -> bool:
    return all(
        torch.allclose(sets.project(m.weight, m.structure), m.weight, atol=1e-6)
        for m in compressed(model, plan)
    )


@pytest.mark.parametrize(
    "solver", SOLVERS, ids=lambda s: f"{s.title} {getattr(s, 'by', getattr(s, 'domain', ''))}"
)
@pytest.mark.parametrize("plan", [BLOCKS, PRUNED], ids=["blocks", "pruned"])
def test_every_solver_ends_in_the_set(solver: Solver, plan: CompressionPlan) -> None:
    model, task = toy.model(), toy.task()
    trained = compress(model, task, plan, solver, progress=False)
    assert in_set(model, plan)
    assert set(model.state_dict()) == set(toy.model().state_dict())
    assert trained[-1].history[-1].loss < trained[0].history[0].loss
    assert all(
        torch.equal(tensor, trained[-1].state[name]) for name, tensor in model.state_dict().items()
    )
    assert to_dict(solver)["solver"] == solver.title


@pytest.mark.parametrize("solver", [SOLVERS[3], SOLVERS[5]], ids=["frequency", "steps"])
def test_a_finished_way_is_not_walked_again(solver: Solver, tmp_path: Path) -> None:
    first, second = toy.model(), toy.model()
    once = compress(first, toy.task(), BLOCKS, solver, tmp_path, progress=False)
    again = compress(second, toy.task(), BLOCKS, solver, tmp_path, progress=False)
    assert [stage.history for stage in again] == [stage.history for stage in once]
    for name, tensor in first.state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], tensor)


def test_admm_ends_early_once_residuals_are_small_and_stays_ended(tmp_path: Path) -> None:
    spec = replace(toy.SPEC, epochs=12, rate=5e-3)
    way = ByAdmm(spec, SHORT, AdmmSpec(rho=30.0, growth=2.0, tolerance=0.4))
    first = compress(toy.model(), toy.task(), BLOCKS, way, tmp_path, progress=False)[0]
    assert 1 <= len(first.history) < 12
    last = [r for r in first.residuals if r.update == len(first.history)]
    assert max(max(r.primal, r.dual) for r in last) <= 0.4
    again = compress(toy.model(), toy.task(), BLOCKS, way, tmp_path, progress=False)[0]
    assert again.history == first.history and again.residuals == first.residuals


def test_a_network_is_taught_by_what_it_was() -> None:
    """The teacher is the model as it comes, so that a stopped run that starts
    from it again has the same one.
    """
    model, other = toy.model(), toy.model()
    compress(
        model, toy.task(), BLOCKS, Taught(OneShot(SHORT), DistilSpec(0.5, 1.0)), progress=False
    )
    learning = Distillation(soft_labels([toy.model()], toy.task().train, toy.OBJECTIVE), 0.5, 1.0)
    compress(other, toy.task(), BLOCKS, OneShot(SHORT), progress=False, distillation=learning)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], tensor)
    assert to_dict(Taught(OneShot(SHORT)))["way"]["solver"] == "one-shot"


def test_the_two_domains_are_one_set_and_one_gradient() -> None:
    """Plain gradient descent moves the weights alike, whichever of the two is the parameter."""
    moved = []
    for domain in ("time", "frequency"):
        model = toy.model()
        inside.enter(model, BLOCKS, domain)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        model(torch.ones(1, 5, 4)).square().sum().backward()
        optimizer.step()
        inside.leave(model)
        assert in_set(model, BLOCKS)
        moved.append(model.state_dict())
    for name, tensor in moved[0].items():
        torch.testing.assert_close(moved[1][name], tensor)


@pytest.mark.parametrize("k", [1, 2, 4, 8, 32])
def test_spectra_are_numpys(k: int) -> None:
    found = transform(k)
    torch.testing.assert_close(found.T @ found, torch.eye(k, dtype=torch.float64))
    w = torch.randn(k, dtype=torch.float64)
    bins, packed = torch.fft.rfft(w), w @ found * k**0.5
    assert packed[0] == pytest.approx(bins[0].real.item())
    if k > 2:
        assert packed[1] == pytest.approx(bins[k // 2].real.item())
        torch.testing.assert_close(
            packed[2:], torch.view_as_real(bins[1 : k // 2]).flatten() * 2**0.5
        )


def test_the_path_of_plans_grows_in_structure() -> None:
    plans = path(
        CompressionPlan(BlockCirculant(8, True), Pruned(0.1), Dense(), BlockCirculant(2)), 3
    )
    assert [p.input for p in plans] == [
        BlockCirculant(2, True),
        BlockCirculant(4, True),
        BlockCirculant(8, True),
    ]
    densities = [p.recurrent.density for p in plans]  # type: ignore[union-attr]
    assert densities == pytest.approx([0.3667, 0.1333, 0.1], abs=1e-4)
    assert [p.output for p in plans] == [Dense(), Dense(), BlockCirculant(2)]


def test_pulling_by_one_is_projecting() -> None:
    model, other = toy.model(), toy.model()
    pull(model, BLOCKS, 0.5)
    assert not in_set(model, BLOCKS)
    pull(model, BLOCKS, 1.0)
    inside.project_once(other, BLOCKS)
    for name, tensor in other.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], tensor)


def test_bad_solvers_are_refused() -> None:
    with pytest.raises(UserError, match="3 epochs cannot be spent in 4 steps"):
        Gradual(SHORT, SHORT, "structure", steps=4)
    with pytest.raises(UserError, match="by strength or by structure"):
        Gradual(SHORT, SHORT, "mood")  # type: ignore[arg-type]
