"""The torch module of described cells: against torch, against the reference, trained, compressed,
imported.
"""

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from torch import nn

from ernn.compress import inside
from ernn.compress.admm import Admm
from ernn.compress.plan import CompressionPlan, layer_blocks, matrices, structures
from ernn.errors import UserError
from ernn.frontends.torch import import_torch
from ernn.ir.cell import INPUT, CellProduct, CellStage, CellStep, Read
from ernn.ir.cell import Cell as Description
from ernn.ir.cells import COMPACT, X
from ernn.ir.reference import run_all
from ernn.nn.described import DescribedCell
from ernn.nn.explicit import explicit
from ernn.nn.model import AcousticModel
from ernn.nn.recurrent import run
from ernn.nn.spec import Cell, LayerSpec, ModelSpec
from ernn.nn.through import scanned
from ernn.search.cost import cost, shapes
from tests.cells import LOOPS


def test_specifications_name_every_cell() -> None:
    assert set(get_args(Cell)) == {"lstm", "gru", *COMPACT} and set(LOOPS) == set(COMPACT)


def test_elman_is_torchs() -> None:
    theirs, ours = (
        nn.RNN(5, 8, batch_first=True),
        DescribedCell(COMPACT["rnn"], 5, 8, batch_first=True),
    )
    with torch.no_grad():
        ours.weight_ih_gates_l0.copy_(theirs.weight_ih_l0)
        ours.weight_hh_gates_l0.copy_(theirs.weight_hh_l0)
        ours.bias_gates_l0.copy_(theirs.bias_ih_l0 + theirs.bias_hh_l0)
    frames = torch.randn(3, 7, 5)
    (outputs, ends), (expected, last) = ours(frames), theirs(frames)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(ends["h"], last)


@pytest.mark.parametrize("name", COMPACT)
def test_a_model_is_imported_as_its_loop(name: str) -> None:
    torch.manual_seed(0)
    model = AcousticModel(ModelSpec(6, (LayerSpec(name, 8), LayerSpec(name, 8)), 4)).eval()  # type: ignore[arg-type]
    plan = CompressionPlan.blocks(4)
    inside.project_once(model, plan)
    network = import_torch(model, torch.zeros(1, 8, 6), structures=structures(model, plan)).network
    frames = torch.randn(1, 9, 6)
    (outputs,) = run_all(network, [frames[0].double().numpy()])
    np.testing.assert_allclose(outputs, model(frames)[0].detach().numpy(), atol=1e-5)
    found = {one.name: one.shape for one in shapes(model.spec)}
    assert found == {m.name: tuple(m.weight.shape) for m in matrices(model, plan)}
    assert cost(model.spec, plan).weights == network.stored_weights
    assert len(structures(model, layer_blocks(model, (2, 4)))) == len(found)


@pytest.mark.parametrize("name", COMPACT)
def test_it_trains_and_compresses(name: str) -> None:
    torch.manual_seed(0)
    layer, frames = DescribedCell(COMPACT[name], 8, 8), torch.randn(5, 4, 8)
    target, plan = torch.rand(5, 4, 8), CompressionPlan.blocks(4)
    Admm(layer, plan).finish()
    inside.enter(layer, plan)
    optimizer, losses = torch.optim.Adam(layer.parameters(), lr=0.02), []
    for _ in range(10):
        optimizer.zero_grad()
        loss = (layer(frames)[0] - target).square().mean()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


ODD = Description(
    "cell of what the others lack",
    (
        CellStage(
            (
                CellProduct("a", 1, (Read("x"), Read("h", 1), Read("c", 1))),
                CellProduct("b", 2, (Read("h", 1),), bias=False),
            ),
            (
                CellStep("f", "a.0 - c@1*c@1 + h@1*v", "sigmoid"),
                CellStep("k", "b.0 + b.1", "relu"),
                CellStep("c", "k + f*c@1 - h@1*w"),
            ),
        ),
        CellStage(
            (
                CellProduct("d", 1, (Read("c"), Read("x"))),
                CellProduct("e", 2, (Read("k"),), bias=False),
            ),
            (
                CellStep("g", "d.0 + h@1*v"),
                CellStep("p", "f*g + k*v", "tanh"),
                CellStep("h", "e.0 + e.1 + p*f", "tanh"),
            ),
        ),
    ),
    ("v", "w"),
)


LATE = Description(
    "cell that looks far back",
    (
        CellStage(
            (
                CellProduct("a", 2, (Read("x"), Read("x", 2), Read("h", 3)), bias=False),
                CellProduct("b", 1, (Read("h", 1), Read("h", 3), Read("k", 2))),
            ),
            (
                CellStep("f", "a.0 + v", "hard_sigmoid"),
                CellStep("g", "a.1 + x*x@1", "hard_tanh"),
                CellStep("p", "b.0 + f*x", "softplus"),
                CellStep("q", "f*p - g*g", "silu"),
                CellStep("k", "q + p*w", "gelu"),
                CellStep("h", "k - h@1*v", "tanh"),
            ),
        ),
    ),
    ("v", "w"),
    outputs=("h", "q"),
)


@settings(max_examples=80, deadline=None)
@given(
    some.sampled_from([*COMPACT.values(), ODD, LATE]),
    some.sampled_from([torch.float64, torch.float32]),
    some.sampled_from([1, 2, 4, 8]),
    some.integers(1, 12),
    some.sampled_from([1, 3, 16, 32]),
    some.integers(1, 19),
    some.integers(0, 2**31),
)
def test_the_scan_is_the_explicit_loop(
    cell: Description, kind: torch.dtype, block: int, units: int, batch: int, time: int, seed: int
) -> None:
    """Outputs, last states and every gradient, those of the states before the first frame too."""
    torch.manual_seed(seed)
    hidden, bound = block * units, 1e-12 if kind == torch.float64 else 1e-4
    size = hidden if cell is LATE else 6  # its steps read the input
    layer = DescribedCell(cell, size, hidden).to(kind)
    inside.enter(layer, CompressionPlan.blocks(block))
    given = [torch.randn(time, batch, size), *(torch.randn(1, batch, hidden) for _ in layer.states)]
    given = [one.to(kind).requires_grad_() for one in given]
    wanted, found = [*given, *layer.parameters()], []
    for way in (scanned, explicit):
        outputs, ends = run(layer, given[0], tuple(given[1:]), way)
        generator = torch.Generator().manual_seed(3)
        totals = [(x * torch.randn(x.shape, generator=generator)).sum() for x in (outputs, *ends)]
        found.append([outputs, *ends, *torch.autograd.grad(sum(totals), wanted)])
    # in single precision terms cancel: what is left errs by as much as they do
    least = 0.0 if kind == torch.float64 else max(one.norm().item() for one in found[1])
    for ours, theirs in zip(*found, strict=True):
        assert (ours - theirs).norm() <= bound * max(least, theirs.norm().item())
    with torch.no_grad():
        assert torch.equal(run(layer, given[0], tuple(given[1:]), scanned)[0], found[0][0])


@pytest.mark.parametrize("name", [name for name in COMPACT if not COMPACT[name].delays.get(INPUT)])
def test_the_end_state_continues_the_sequence(name: str) -> None:
    torch.manual_seed(0)
    layer, frames = DescribedCell(COMPACT[name], 4, 8, batch_first=True), torch.randn(2, 7, 4)
    whole, ends = layer(frames)
    first, state = layer(frames[:, :3])
    then, again = layer(frames[:, 3:], state)
    torch.testing.assert_close(torch.cat([first, then], 1), whole)
    assert set(ends) == set(layer.states)
    for step in layer.states:
        torch.testing.assert_close(again[step], ends[step])


def test_a_number_that_is_none_is_seen() -> None:
    for cell in COMPACT.values():
        frames = torch.zeros(3, 2, 4)
        frames[1, 0, 0] = torch.nan
        outputs = DescribedCell(cell, 4, 8)(frames)[0]
        assert outputs[1:, 0].isnan().all() and outputs[:, 1].isfinite().all(), cell.title


def test_recurrent_matrices_stay_orthogonal() -> None:
    torch.manual_seed(0)
    layer, frames = DescribedCell(COMPACT["rnn"], 4, 8, orthogonal=True), torch.randn(6, 3, 4)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    for _ in range(3):
        layer(frames)[0].square().mean().backward()
        optimizer.step()
    weight = layer.weight_hh_gates_l0.detach()
    torch.testing.assert_close(weight @ weight.T, torch.eye(8), atol=1e-5, rtol=0)
    assert [m.role for m in matrices(layer, CompressionPlan())] == ["recurrent", "input"]
    with pytest.raises(UserError, match="no square recurrent matrix"):
        DescribedCell(COMPACT["sru"], 4, 8, orthogonal=True)


def test_products_cost_what_the_page_says() -> None:
    """In H = D: multiplications a frame, in units of H * H."""
    expected = {"cifg": 6, "mgu": 4, "ligru": 4, "sru": 4, "qrnn": 6, "indrnn": 1, "rnn": 2}
    expected |= {"mingru": 2, "fastgrnn": 2, "lru": 5}
    assert {
        name: sum(p.gates * len(p.reads) for p in cell.products) for name, cell in COMPACT.items()
    } == expected
    assert all(X in p.reads for cell in COMPACT.values() for p in cell.products)


def test_what_it_refuses() -> None:
    layer = DescribedCell(COMPACT["mgu"], 4, 8)
    with pytest.raises(UserError, match="a state must have h, not s"):
        layer(torch.zeros(2, 1, 4), {"s": torch.zeros(1, 1, 8)})
    with pytest.raises(UserError, match="frames must be"):
        layer(torch.zeros(2, 1, 5))
