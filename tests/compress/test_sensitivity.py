"""Each matrix compressed by itself; whole hidden units removed."""

import pytest
import torch
from torch import nn

from ernn.compress.hidden_units import group_lasso, largest_units, unit_norms, without_others
from ernn.compress.methods.low_rank import LowRank
from ernn.compress.plan import CompressionPlan, matrices
from ernn.compress.sensitivity import sensitivity
from ernn.compress.sets import project
from ernn.errors import UserError
from ernn.ir.structure import BlockCirculant
from ernn.nn.model import AcousticModel
from ernn.nn.spec import LayerSpec, ModelSpec

SPECS = [
    (LayerSpec("gru", 8), LayerSpec("lstm", 12)),
    (LayerSpec("lstm", 12, 5, peepholes=True), LayerSpec("gru", 8, reset="before")),
    (LayerSpec("sru", 8), LayerSpec("mgu", 10)),
    (LayerSpec("qrnn", 8), LayerSpec("indrnn", 7), LayerSpec("cifg", 9)),
]


def test_each_alone_and_everything_put_back() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.GRU(8, 12), nn.Linear(12, 5))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    seen = []

    def error(module: nn.Module) -> float:
        state = module.state_dict()
        changed = [name for name in before if not torch.equal(before[name], state[name])]
        seen.append(changed)
        return sum(float((state[name] - before[name]).norm()) for name in changed)

    lines = sensitivity(model, [BlockCirculant(4), LowRank(2)], error)
    # 5 % 4: a layer of 5 rows has no blocks of 4.
    assert [line.part for line in lines] == [
        *["0.weight_hh_l0"] * 2,
        *["0.weight_ih_l0"] * 2,
        "1.weight",
    ]
    assert [changed for changed in seen] == [[line.matrix] for line in lines]
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    named = {m.name: m.weight for m in matrices(model, CompressionPlan())}
    for line in lines:
        weight = named[line.matrix]
        off = torch.dist(weight, project(weight, line.structure)).item()
        assert line.error == pytest.approx(off, rel=1e-4)
        assert (
            line.stored == line.structure.stored(tuple(weight.shape))
            and line.bits == 12 * line.stored
        )
    by_gate = sensitivity(model, [LowRank(2)], error, gates=True)
    assert [line.part for line in by_gate][:4] == [f"0.weight_hh_l0[{g}]" for g in range(3)] + [
        "0.weight_ih_l0[0]"
    ]
    with pytest.raises(UserError, match=r"none of .* fits"):
        sensitivity(model, [BlockCirculant(32)], error)


@pytest.mark.parametrize("layers", SPECS)
def test_removing_units_that_nobody_reads_changes_nothing(layers: tuple[LayerSpec, ...]) -> None:
    torch.manual_seed(0)
    model = AcousticModel(ModelSpec(5, layers, 4)).eval()
    kept = [torch.arange(1, spec.hidden, 2) for spec in layers]
    state = model.state_dict()
    with torch.no_grad():
        for index, (units, spec) in enumerate(zip(kept, layers, strict=True)):
            gone = [u for u in range(spec.hidden) if u not in units]
            readers = [n for n in state if n.startswith(f"recurrent.{index}.") and "weight_hh" in n]
            if spec.projection:
                readers = [
                    n for n in state if n.startswith(f"recurrent.{index}.") and "weight_hr" in n
                ]
            else:
                last = index + 1 == len(layers)
                start = "output.weight" if last else f"recurrent.{index + 1}.weight_ih"
                readers += [n for n in state if n.startswith(start)]
            for name in readers:
                state[name][:, gone] = 0
    smaller, frames = without_others(model, kept), torch.randn(2, 7, 5)
    torch.testing.assert_close(smaller(frames), model(frames))
    assert [spec.hidden for spec in smaller.spec.layers] == [len(units) for units in kept]
    assert sum(p.numel() for p in smaller.parameters()) < sum(p.numel() for p in model.parameters())


def test_the_largest_units_are_kept_and_the_penalty_empties_the_others() -> None:
    torch.manual_seed(0)
    model = AcousticModel(ModelSpec(4, (LayerSpec("lstm", 6),), 3))
    lstm = model.recurrent[0]
    with torch.no_grad():
        for unit in (1, 4):
            lstm.weight_ih_l0.unflatten(0, (4, 6))[:, unit] *= 9
    (units,) = largest_units(model, [2])
    assert units.tolist() == [1, 4]
    first = unit_norms(model, 0).detach()
    with torch.no_grad():
        rows = [lstm.weight_ih_l0[::6], lstm.weight_hh_l0[::6]]  # of unit 0
        columns = [lstm.weight_hh_l0[:, 0], model.output.weight[:, 0]]
        expected = sum(part.square().sum().item() for part in (*rows, *columns))
    assert float(first[0]) == pytest.approx(expected**0.5, rel=1e-5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(40):
        optimizer.zero_grad()
        group_lasso(model).backward()
        optimizer.step()
    after = unit_norms(model, 0).detach()
    assert (after < first).all() and after.min() < 0.2 and after.max() > 1
    with pytest.raises(UserError, match="can keep 1 to 6, not 7"):
        largest_units(model, [7])
