"""The torch module of described cells: against torch, against the reference, trained, compressed, imported."""

from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn

from ernn.cell import INPUT
from ernn.compact import COMPACT
from ernn.compress import inside
from ernn.compress.admm import Admm
from ernn.compress.plan import CompressionPlan, layer_blocks, matrices, structures
from ernn.errors import UserError
from ernn.nn.described import DescribedCell
from ernn.nn.importer import import_torch
from ernn.nn.model import AcousticModel
from ernn.reference import run_all
from ernn.search.cost import cost, shapes
from ernn.spec import Cell, LayerSpec, ModelSpec
from tests.cells import LOOPS


def test_specifications_name_every_cell() -> None:
    assert set(get_args(Cell)) == {"lstm", "gru", *COMPACT} and set(LOOPS) == set(COMPACT)


def test_elman_is_torchs() -> None:
    theirs, ours = nn.RNN(5, 8, batch_first=True), DescribedCell(COMPACT["rnn"], 5, 8, batch_first=True)
    with torch.no_grad():
        ours.weight_ih_gates_l0.copy_(theirs.weight_ih_l0)
        ours.weight_hh_gates_l0.copy_(theirs.weight_hh_l0)
        ours.bias_gates_l0.copy_(theirs.bias_ih_l0 + theirs.bias_hh_l0)
    frames = torch.randn(3, 7, 5)
    for found, expected in zip(ours(frames), theirs(frames), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", COMPACT)
def test_a_model_is_imported_as_its_loop(name: str) -> None:
    torch.manual_seed(0)
    model = AcousticModel(ModelSpec(6, (LayerSpec(name, 8), LayerSpec(name, 8)), 4)).eval()  # type: ignore[arg-type]
    plan = CompressionPlan.blocks(4)
    inside.project_once(model, plan)
    network = import_torch(model, torch.zeros(1, 8, 6), structures=structures(model, plan))
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
    assert {name: sum(p.gates * len(p.reads) for p in cell.products) for name, cell in COMPACT.items()} == expected
    assert all(INPUT in p.reads for cell in COMPACT.values() for p in cell.products)


def test_what_it_refuses() -> None:
    layer = DescribedCell(COMPACT["mgu"], 4, 8)
    with pytest.raises(UserError, match="starts from zero"):
        layer(torch.zeros(2, 1, 4), torch.zeros(1, 1, 8))
    with pytest.raises(UserError, match="frames must be"):
        layer(torch.zeros(2, 1, 5))
