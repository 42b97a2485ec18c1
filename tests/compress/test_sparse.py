"""Sparse sets: what fits them, and training inside them with a mask that stays."""

import numpy as np
import pytest
import torch
from torch import nn

from ernn.compress import inside, sets
from ernn.compress.plan import CompressionPlan, compressed, stored_weights, structures
from ernn.errors import UserError
from ernn.frontends.torch import import_torch
from ernn.ir import serialization as codec
from ernn.ir.network import Network
from ernn.ir.structure import BankBalanced, LoadBalanced, Pruned
from ernn.quantization.quantize import quantize


def test_banks_need_neither_padding_nor_pointers() -> None:
    assert BankBalanced(2 / 16, 16).bits((3, 32, 64), 12) == 3 * 256 * (12 + 4)


def test_structures_that_do_not_fit_are_refused() -> None:
    cases = {
        "32 processing elements do not divide 48 rows": lambda: sets.project(
            torch.zeros(48, 8), LoadBalanced(0.1, 32)
        ),
        "banks of 16 do not divide 24 columns": lambda: sets.project(
            torch.zeros(8, 24), BankBalanced(0.5, 16)
        ),
        "keeps none of the 8 weights": lambda: sets.project(
            torch.zeros(8, 8), BankBalanced(0.05, 8)
        ),
        "density is a share": lambda: Pruned(0.0),
        "pes must be a whole number": lambda: LoadBalanced(0.1, 0),
    }
    for message, attempt in cases.items():
        with pytest.raises(UserError, match=message):
            attempt()


SPARSE_PLAN = CompressionPlan.pruned(LoadBalanced(0.25, 4), output=Pruned(0.5))


def test_training_inside_keeps_the_mask_of_the_projection() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.GRU(8, 16, batch_first=True), nn.Linear(16, 6))
    matrices = compressed(model, SPARSE_PLAN)
    masks = [sets.project(m.weight, m.structure) != 0 for m in matrices]
    inside.enter(model, SPARSE_PLAN)
    assert stored_weights(model, SPARSE_PLAN) == sum(
        p.numel() for p in model.parameters() if p.dim() > 1
    )
    optimizer = torch.optim.AdamW(model.parameters(), 0.1)
    before = model[0].weight_hh_l0.detach().clone()
    for _ in range(3):
        optimizer.zero_grad()
        model[1](model[0](torch.randn(2, 5, 8))[0]).square().mean().backward()
        optimizer.step()
    assert not torch.equal(model[0].weight_hh_l0, before)
    inside.leave(model)
    for matrix, mask in zip(compressed(model, SPARSE_PLAN), masks, strict=True):
        assert not matrix.weight[~mask].any() and matrix.weight[mask].all()


def test_a_mask_is_part_of_the_state() -> None:
    first, second = nn.GRU(8, 16), nn.GRU(8, 16)
    inside.enter(first, SPARSE_PLAN)
    inside.enter(second, SPARSE_PLAN)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.weight_ih_l0, second.weight_ih_l0)


def test_a_pruned_network_is_kept_in_a_file_but_not_for_hardware(tmp_path) -> None:
    model = nn.GRU(8, 16, batch_first=True)
    inside.project_once(model, SPARSE_PLAN)
    network = import_torch(
        model, torch.zeros(1, 4, 8), structures=structures(model, SPARSE_PLAN)
    ).network
    again = codec.load(codec.save(tmp_path / "network.safetensors", network), Network)
    found = {matrix.structure for layer in again.layers for matrix in layer.matrices}
    assert found == {LoadBalanced(0.25, 4)}
    assert again.stored_weights == 3 * 16 * (8 + 16) // 4
    with pytest.raises(
        UserError, match=r"runs dense and block-circulant matrices, .* LoadBalanced\(density=0.25"
    ):
        quantize(network, [np.zeros((4, 8))])


def test_plans_of_pruned_matrices_go_through_plain_values() -> None:
    plan = CompressionPlan(LoadBalanced(0.1, 32), Pruned(0.2), BankBalanced(0.25, 16))
    assert CompressionPlan.from_dict(plan.to_dict()) == plan
    assert plan.to_dict()["input"] == {"density": 0.1, "pes": 32}
    with pytest.raises(UserError, match="a structure is a block size"):
        CompressionPlan.from_dict({"input": {"density": 0.1, "lanes": 2}})
