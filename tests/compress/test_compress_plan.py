"""Which matrices a plan reaches, in anyone's module."""

import pytest
import torch
from torch import nn

from ernn.compress import inside
from ernn.compress.plan import (
    CompressionPlan,
    compressed,
    layer_blocks,
    matrices,
    stored_weights,
    structures,
)
from ernn.errors import UserError
from ernn.ir.structure import BlockCirculant, Dense
from ernn.nn.cells import PeepholeLSTM

B8 = BlockCirculant(8)


def model() -> nn.Sequential:
    return nn.Sequential(
        nn.LSTM(8, 32, 2, proj_size=16), nn.GRU(16, 24, bidirectional=True), nn.Linear(48, 10)
    )


def test_every_matrix_is_found_with_its_gates() -> None:
    found = {
        m.name: (m.gates, tuple(m.weight.shape), m.role)
        for m in matrices(model(), CompressionPlan())
    }
    assert found == {
        "0.weight_ih_l0": (4, (4, 32, 8), "input"),
        "0.weight_hh_l0": (4, (4, 32, 16), "recurrent"),
        "0.weight_hr_l0": (1, (1, 16, 32), "projection"),
        "0.weight_ih_l1": (4, (4, 32, 16), "input"),
        "0.weight_hh_l1": (4, (4, 32, 16), "recurrent"),
        "0.weight_hr_l1": (1, (1, 16, 32), "projection"),
        "1.weight_ih_l0": (3, (3, 24, 16), "input"),
        "1.weight_hh_l0": (3, (3, 24, 24), "recurrent"),
        "1.weight_ih_l0_reverse": (3, (3, 24, 16), "input"),
        "1.weight_hh_l0_reverse": (3, (3, 24, 24), "recurrent"),
        "2.weight": (1, (1, 10, 48), "output"),
    }


def test_a_bare_layer_and_our_own_cells() -> None:
    assert [m.name for m in matrices(nn.GRU(8, 16), CompressionPlan())] == [
        "weight_hh_l0",
        "weight_ih_l0",
    ]
    cell = PeepholeLSTM(8, 16, proj_size=8)
    assert {m.name: m.gates for m in matrices(cell, CompressionPlan())} == {
        "weight_hh_l0": 4,
        "weight_hr_l0": 1,
        "weight_ih_l0": 4,
    }


def test_roles_and_overrides() -> None:
    plan = CompressionPlan(recurrent=B8, projection=B8).override(
        "1.weight_hh_l0", BlockCirculant(4)
    )
    found = structures(model(), plan)
    assert found["0.weight_hh_l1"] == B8 and found["1.weight_hh_l0"] == BlockCirculant(4)
    assert found["0.weight_ih_l0"] == Dense() and found["2.weight"] == Dense()
    assert [m.name for m in compressed(model(), plan) if m.name.startswith("1")] == [
        "1.weight_hh_l0",
        "1.weight_hh_l0_reverse",
    ]


def test_one_block_size_a_layer() -> None:
    found = structures(model(), layer_blocks(model(), (8, 16, 4), output=2))
    sizes = {
        name: structure.block
        for name, structure in found.items()
        if isinstance(structure, BlockCirculant)
    }
    first = {f"0.weight_{kind}_l0": 8 for kind in ("ih", "hh", "hr")}
    second = {f"0.weight_{kind}_l1": 16 for kind in ("ih", "hh", "hr")}
    third = {f"1.weight_{kind}_l0{side}": 4 for kind in ("ih", "hh") for side in ("", "_reverse")}
    assert sizes == {**first, **second, **third, "2.weight": 2}
    named = nn.ModuleDict({"last_layer": nn.Linear(8, 8), "deep": nn.GRU(8, 8, num_layers=11)})
    deep = structures(named, layer_blocks(named, (8,) * 10 + (4,)))
    assert (
        deep["deep.weight_hh_l10"] == BlockCirculant(4, pad=True)
        and deep["last_layer.weight"] == Dense()
    )
    with pytest.raises(UserError, match="2 block sizes for 3 recurrent layers"):
        layer_blocks(model(), (8, 16))


def test_weights_are_counted_as_stored() -> None:
    net = nn.Sequential(nn.GRU(13, 32), nn.Linear(32, 11))
    plan = CompressionPlan.blocks(8)
    assert stored_weights(net, plan, recurrent_only=True) == 3 * 4 * (2 + 4) * 8
    assert stored_weights(net, plan) == 3 * 4 * 6 * 8 + 32 * 11
    inside.enter(net, plan)
    assert stored_weights(net, plan) == sum(p.numel() for p in net.parameters() if p.dim() > 1)


def test_a_matrix_that_does_not_fit_is_named() -> None:
    with pytest.raises(UserError, match=r"weight_ih_l0: block size 8 does not divide 13 columns"):
        matrices(nn.GRU(13, 32), CompressionPlan(input=B8))


def test_an_override_that_names_nothing_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"overrides 'gru\.weight'; the matrices are weight_hh_l0, weight_ih_l0"
    ):
        matrices(nn.GRU(8, 8), CompressionPlan().override("gru.weight", B8))


def test_plans_go_through_plain_values() -> None:
    plan = CompressionPlan.blocks(8, output=4).override("0.weight_hh_l0", BlockCirculant(16))
    assert CompressionPlan.from_dict(plan.to_dict()) == plan
    with pytest.raises(UserError, match="no block: it has input, recurrent"):
        CompressionPlan.from_dict({"block": 8})
    with pytest.raises(UserError, match="a structure is a block size"):
        CompressionPlan.from_dict({"input": "eight"})
    with pytest.raises(UserError, match="a plan holds structures"):
        CompressionPlan(input=8)  # type: ignore[arg-type]


def test_weight_shares_memory_with_the_parameter() -> None:
    layer = nn.GRU(8, 16)
    with torch.no_grad():
        matrices(layer, CompressionPlan())[0].weight.zero_()
    assert not layer.weight_hh_l0.any()
