"""Every structure and solver on convolutions and embeddings, in anyone's module and loop."""

import pytest
import torch
from torch import Tensor, nn

from ernn.compress import inside
from ernn.compress.admm import Admm
from ernn.compress.gradual import pull
from ernn.compress.grids import Uniform
from ernn.compress.hidden_units import fewer_units, narrowed
from ernn.compress.methods.low_rank import LowRank
from ernn.compress.methods.quantized import Quantized
from ernn.compress.plan import CompressionPlan, matrices, stored_weights
from ernn.compress.sensitivity import sensitivity
from ernn.compress.sets import project
from ernn.errors import UserError
from ernn.ir.structure import (
    BankBalanced,
    BlockCirculant,
    Dense,
    LoadBalanced,
    Pruned,
    Signed,
    Structure,
)

NAMES = ("word.weight", "time.weight", "groups.weight", "picture.weight", "last.weight")


class Net(nn.Module):
    """Words through two convolutions over time, beside a picture: one of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.word = nn.Embedding(16, 8)
        self.time = nn.Conv1d(8, 16, 4)
        self.groups = nn.Conv1d(16, 16, 2, groups=2)
        self.picture = nn.Conv2d(4, 8, 2)
        self.last = nn.Linear(16, 8)

    def forward(self, words: Tensor, picture: Tensor) -> Tensor:
        sound = self.groups(self.time(self.word(words).transpose(1, 2)).relu())
        return self.last(sound.mean(2)) + self.picture(picture).mean((2, 3))


def net() -> Net:
    torch.manual_seed(0)
    return Net()


def given() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randint(16, (3, 9)), torch.randn(3, 4, 5, 5)


STRUCTURES = [
    BlockCirculant(8),
    BlockCirculant(4, pad=True),
    Pruned(0.25),
    LoadBalanced(0.25, 4),
    BankBalanced(0.25, 8),
    Signed(BlockCirculant(4), seed=3),
    LowRank(2),
    Quantized(BlockCirculant(4), Uniform(6)),
]


def test_weights_are_found_as_matrices_of_outputs_by_inputs_and_taps() -> None:
    def found(plan: CompressionPlan) -> dict[str, tuple[tuple[int, ...], str]]:
        return {m.name: (tuple(m.weight.shape), m.role) for m in matrices(net(), plan)}

    in_blocks = found(CompressionPlan.blocks(8, output=8))
    assert in_blocks["time.weight"] == ((4, 16, 8), "output")  # tap by tap
    assert in_blocks["picture.weight"] == ((1, 8, 16), "output")  # no block fits in 4 inputs
    assert found(CompressionPlan.blocks(8)) == {
        "word.weight": ((1, 16, 8), "output"),
        "time.weight": ((1, 16, 32), "output"),
        "groups.weight": ((2, 8, 16), "output"),
        "picture.weight": ((1, 8, 16), "output"),
        "last.weight": ((1, 8, 16), "output"),
    }


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_training_inside_keeps_every_weight_in_its_set(structure: Structure) -> None:
    model, plan = net(), CompressionPlan(output=structure)
    dense = stored_weights(net(), CompressionPlan())
    assert stored_weights(model, plan) < dense
    inside.enter(model, plan)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    wanted, losses = torch.randn(3, 8), []
    for _ in range(4):
        loss = (model(*given()) - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    inside.leave(model)
    assert losses[-1] < losses[0]
    for name, parameter in net().named_parameters():
        assert dict(model.named_parameters())[name].shape == parameter.shape
    if not isinstance(structure, Quantized):  # whose steps are found anew for other weights
        for matrix in matrices(model, plan):
            torch.testing.assert_close(
                project(matrix.weight, structure), matrix.weight, atol=1e-5, rtol=1e-4
            )


def test_each_tap_is_in_blocks() -> None:
    model, plan = net(), CompressionPlan(output=BlockCirculant(4))
    inside.enter(model, plan)
    inside.leave(model)
    kernels = model.time.weight.detach()
    for tap in range(4):
        for row, column in ((0, 0), (4, 4), (12, 0)):
            block = kernels[row : row + 4, column : column + 4, tap]
            torch.testing.assert_close(block, block.roll((1, 1), (0, 1)))


@pytest.mark.parametrize("structure", [BlockCirculant(4), Pruned(0.5), LowRank(2)], ids=str)
def test_solvers_reach_the_set_in_anyone_s_loop(structure: Structure) -> None:
    plan = CompressionPlan(output=structure)
    model = net()
    admm = Admm(model, plan, rho=1.0)
    assert sorted(m.name for m in admm.matrices) == sorted(NAMES)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    for _ in range(3):
        optimizer.zero_grad()
        (model(*given()).square().mean() + admm.penalty()).backward()
        optimizer.step()
        admm.update()
    admm.finish()
    drawn, once = net(), net()
    pull(drawn, plan, 1.0)
    inside.project_once(once, plan)
    for solved in (model, drawn, once):
        for matrix in matrices(solved, plan):
            torch.testing.assert_close(
                project(matrix.weight, structure), matrix.weight, atol=1e-5, rtol=1e-4
            )


def test_the_spectra_of_a_convolution_can_be_what_is_trained() -> None:
    model, plan = net(), CompressionPlan(output=BlockCirculant(4))
    before = [m.weight.detach().clone() for m in matrices(model, plan)]
    inside.enter(model, plan, domain="frequency")
    inside.leave(model)
    for matrix, weight in zip(matrices(model, plan), before, strict=True):
        torch.testing.assert_close(matrix.weight, project(weight, matrix.structure))


def test_stored_numbers_are_counted() -> None:
    plan = CompressionPlan().override("groups.weight", BlockCirculant(8))
    found = {m.name: m.stored for m in matrices(net(), plan)}
    assert found["groups.weight"] == 2 * 8 * 16 // 8 and found["time.weight"] == 16 * 32
    assert stored_weights(net(), plan) == sum(found.values())


def test_sensitivity_has_a_line_for_each_and_leaves_the_module_as_it_was() -> None:
    model = net()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    lines = sensitivity(
        model, [Dense(), BlockCirculant(4)], lambda m: float(m(*given()).square().mean())
    )
    assert [line.matrix for line in lines if line.structure != Dense()] == list(NAMES)
    assert all(line.distance == 0 for line in lines if line.structure == Dense())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("kind", ["lstm", "gru", "stacked", "projected", "wide"])
def test_units_of_ones_own_layer_are_removed(kind: str) -> None:
    """Units whose weights are all zero are those removed, and nothing changes without them."""
    torch.manual_seed(0)
    layer: nn.LSTM | nn.GRU = {
        "lstm": nn.LSTM(3, 6, batch_first=True),
        "gru": nn.GRU(3, 6),
        "stacked": nn.GRU(3, 6, 2, batch_first=True),
        "projected": nn.LSTM(3, 6, proj_size=2),
        "wide": nn.LSTM(3, 6, bias=False).double(),
    }[kind]
    head = nn.Linear(layer.proj_size or 6, 4).to(next(layer.parameters()))
    dead = [1, 4]
    with torch.no_grad():
        for name, tensor in layer.named_parameters():
            if "_hr_" not in name:
                tensor.unflatten(0, (-1, 6))[:, dead] = 0
            if "_hr_" in name or (
                ("weight_hh" in name or name == "weight_ih_l1") and kind != "projected"
            ):
                tensor[:, dead] = 0
        if kind != "projected":
            head.weight[:, dead] = 0
    smaller, (reader,) = fewer_units(layer, 4, [head])
    assert smaller.hidden_size == 4 and type(smaller) is type(layer)
    frames = torch.randn(5, 7, 3).to(head.weight)
    expected = head(layer(frames)[0])
    torch.testing.assert_close(reader(smaller(frames)[0]), expected)


class Own(nn.GRU):
    """A user's subclass, with arguments of its own."""

    def __init__(self) -> None:
        super().__init__(3, 6, batch_first=True)

    def forward(self, frames: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(frames)[0]


@pytest.mark.parametrize("reader", [nn.Conv1d(6, 2, 3), nn.LSTM(6, 2, batch_first=True)])
def test_whatever_reads_the_units(reader: nn.Conv1d | nn.LSTM) -> None:
    torch.manual_seed(2)
    layer, dead = Own(), [0, 3]
    columns = reader.weight if isinstance(reader, nn.Conv1d) else reader.weight_ih_l0
    with torch.no_grad():
        columns[:, dead] = 0
        layer.weight_hh_l0[:, dead] = 0
        for name in ("weight_ih_l0", "weight_hh_l0"):
            getattr(layer, name).unflatten(0, (3, 6))[:, dead] = 0
    smaller, (narrower,) = fewer_units(layer, 4, [reader])
    assert type(smaller) is Own and smaller.hidden_size == 4
    frames = torch.randn(2, 5, 3)

    def read(by: nn.Module, outputs: Tensor) -> Tensor:
        return by(outputs.mT) if isinstance(by, nn.Conv1d) else by(outputs)[0]

    torch.testing.assert_close(read(narrower, smaller(frames)), read(reader, layer(frames)))


def test_which_units_cannot_be_removed_is_said() -> None:
    compressed = nn.GRU(3, 4)
    inside.enter(compressed, CompressionPlan.blocks(2))
    for layer, count, readers, said in (
        (nn.Linear(3, 4), 2, (), "removed from an LSTM or a GRU, not Linear"),
        (nn.GRU(3, 4, bidirectional=True), 2, (), "one direction"),
        (nn.GRU(3, 4), 5, (), "of 4 units 1 to 4 can be kept, not 5"),
        (nn.LSTM(3, 4, proj_size=2), 2, (), "of 4 units 3 to 4 can be kept, not 2"),
        (nn.GRU(3, 4), 2, (nn.Linear(5, 1),), "a reader has 5 inputs"),
        (nn.GRU(3, 4), 2.5, (), "a whole number, not float"),
        (nn.GRU(3, 4), 2, (nn.Conv2d(4, 1, 1),), "a Linear, Conv1d, LSTM or GRU, not Conv2d"),
        (nn.GRU(3, 4), 2, (nn.Conv1d(4, 4, 1, groups=2),), "one group"),
        (compressed, 2, (), "leave the compression first"),
    ):
        with pytest.raises(UserError, match=said):
            fewer_units(layer, count, readers)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="of an AcousticModel"):
        narrowed(nn.LSTM(3, 4), [2])  # type: ignore[arg-type]
