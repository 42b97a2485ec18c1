"""A model run with rounded data against its integers, which golden runs."""

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ernn.compress import inside
from ernn.compress.methods.low_rank import LowRank
from ernn.compress.plan import CompressionPlan, structures
from ernn.errors import UserError
from ernn.frontends.torch import import_torch
from ernn.golden import quantize_input, run
from ernn.golden.compiled import Compiled
from ernn.ir.edges import DataBits, edge_formats
from ernn.ir.fixed_point import quantize as to_integers
from ernn.ir.integer_model import IntegerModel
from ernn.ir.network import Network
from ernn.nn.fakequant import fake_quantize
from ernn.nn.model import AcousticModel
from ernn.nn.parameters import parameters
from ernn.nn.rounded import Rounded
from ernn.nn.spec import Cell, LayerSpec, ModelSpec
from ernn.quantization.quantize import QuantizeSpec, quantize

BITS = st.none() | st.integers(2, 16)
DATA = st.builds(DataBits, BITS, BITS, BITS, BITS, BITS)
LAYERS = [LayerSpec(cell, 6) for cell in get_args(Cell)]
LAYERS += [
    LayerSpec("gru", 6, reset="before"),
    LayerSpec("lstm", 6, 4, peepholes=True),
    LayerSpec("lstm", 6, 5),
]


def made(
    layer: LayerSpec, seed: int, plan: CompressionPlan, front: int | None = None
) -> AcousticModel:
    torch.manual_seed(seed)
    model = AcousticModel(ModelSpec(4, (layer, layer), 3, front=front)).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    inside.project_once(model, plan)
    return model


def network_of(model: AcousticModel, plan: CompressionPlan) -> Network:
    return import_torch(
        model, torch.zeros(1, 8, 4, dtype=torch.float64), structures=structures(model, plan)
    ).network


@torch.no_grad()
def round_weights(model: AcousticModel, integers: IntegerModel) -> None:
    """Every weight to the format that it has among the integers."""
    for module, layer in zip([*model.recurrent, model.output], integers.layers, strict=True):
        seen = parameters(module)
        for named, product in zip(seen.cell.products, layer.products, strict=True):
            for read, operand in zip(named.reads, product.operands, strict=True):
                weight = seen.weights[named.name, str(read)].dense()
                units = torch.from_numpy(2.0 ** integers.exponents(operand.signal))
                weight.copy_(fake_quantize(weight / units, operand.matrix.format) * units)


def outputs(rounded: Rounded, frames: np.ndarray) -> np.ndarray:
    """As integers."""
    with torch.no_grad():
        found = rounded(torch.from_numpy(frames)[None])[0].numpy()
    return to_integers(found, rounded.integers.results[0].format)


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(LAYERS), st.integers(0, 999), DATA, st.sampled_from([8, 12]))
@example(LayerSpec("lru", 6), 0, DataBits(hidden=2), 8)  # a state with units that products read
def test_a_dense_network_gives_goldens_integers(
    layer: LayerSpec, seed: int, data: DataBits, weight_bits: int
) -> None:
    """Equal, not close: whatever the bits of each kind of data."""
    plan, rng = CompressionPlan(), np.random.default_rng(seed)
    model, frames = made(layer, seed, plan), rng.normal(size=(12, 4))
    spec = QuantizeSpec(weight_bits, data=data)
    integers = quantize(network_of(model, plan), [frames], spec)
    for _ in range(2):
        round_weights(model, integers)
        integers = quantize(network_of(model, plan), [frames], spec, like=integers)
    louder = 1.5 * frames
    expected = run(integers, quantize_input(integers, louder))
    assert np.array_equal(outputs(Rounded(model, integers), louder), expected)
    assert np.array_equal(run(integers, quantize_input(integers, louder), Compiled), expected)


@pytest.mark.parametrize("data", [DataBits(), DataBits(input=6, hidden=7)], ids=str)
def test_inputs_of_different_size_are_rounded_in_their_units(data: DataBits) -> None:
    plan, sizes = CompressionPlan(), 2.0 ** np.array([-9, -6, -6, 0])
    model, frames = made(LAYERS[0], 1, plan), np.random.default_rng(1).normal(size=(12, 4)) * sizes
    integers = quantize(network_of(model, plan), [frames], QuantizeSpec(data=data))
    assert integers.exponents("x")[-1] == 0 and integers.exponents("x")[0] >= 5
    for _ in range(2):
        round_weights(model, integers)
        integers = quantize(network_of(model, plan), [frames], QuantizeSpec(), like=integers)
    assert integers.exponents("x").any()
    expected = run(integers, quantize_input(integers, frames))
    assert np.array_equal(outputs(Rounded(model, integers), frames), expected)


def with_climbing_cells(layer: LayerSpec, plan: CompressionPlan) -> AcousticModel:
    """The first unit of each layer keeps all it gets: its cell is far larger than the others."""
    model = made(layer, 1, plan)
    with torch.no_grad():
        for module in model.recurrent:
            bias = module.get_parameter("bias_ih_l0").view(4, -1)
            bias[:3, 0] = 20.0
    return model


@pytest.mark.parametrize("scanned", [True, False])
@pytest.mark.parametrize("layer", [LAYERS[0], LayerSpec("lstm", 6, 4, peepholes=True)], ids=str)
def test_cells_are_rounded_in_their_units(
    layer: LayerSpec, scanned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, frames = CompressionPlan(), np.random.default_rng(1).normal(size=(60, 4))
    model, spec = with_climbing_cells(layer, plan), QuantizeSpec(data=DataBits(cell=12, gates=10))
    integers = quantize(network_of(model, plan), [frames], spec)
    for _ in range(2):
        round_weights(model, integers)
        integers = quantize(network_of(model, plan), [frames], spec, like=integers)
    assert min(integers.exponents(f"l{n}.c").min() for n in range(2)) <= -5
    if not scanned:
        monkeypatch.setattr("ernn.nn.rounded.runs_here", lambda *_: False)
    expected = run(integers, quantize_input(integers, 1.5 * frames))
    assert np.array_equal(outputs(Rounded(model, integers), 1.5 * frames), expected)


def test_cells_of_blocks_are_trained_in_their_units() -> None:
    plan, frames = CompressionPlan.blocks(2), np.random.default_rng(1).normal(size=(60, 4))
    model = with_climbing_cells(LayerSpec("lstm", 6, peepholes=True), plan)
    integers = quantize(network_of(model, plan), [frames], QuantizeSpec(16))
    assert integers.exponents("l0.c").min() <= -5
    expected = run(integers, quantize_input(integers, frames), Compiled)
    inside.enter(model, plan)
    rounded = Rounded(model, integers)
    found = np.abs(outputs(rounded, frames) - expected)
    assert np.median(found) < 1e-3 * np.abs(expected).max()
    rounded(torch.from_numpy(frames)[None]).square().sum().backward()
    gradients = [one.grad for one in model.parameters()]
    assert all(one is not None and one.isfinite().all() and one.any() for one in gradients)


@pytest.mark.parametrize(
    "data", [DataBits(), DataBits(hidden=4), DataBits(cell=4), DataBits(8, 6, 6, 8, 6)], ids=str
)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_in_blocks_what_is_not_modelled_is_small(cell: Cell, data: DataBits) -> None:
    """Spectra and transforms round at full width: one output in two is off by at most a thousandth
    of the largest.
    """
    plan, rng, found = CompressionPlan.blocks(4), np.random.default_rng(1), []
    for seed in range(3):
        model, frames = made(LayerSpec(cell, 8), seed, plan), rng.normal(size=(20, 4))
        integers = quantize(
            network_of(model, plan), [frames], QuantizeSpec(weight_bits=16, data=data)
        )
        expected = run(integers, quantize_input(integers, frames), Compiled)
        found.append(
            np.abs(outputs(Rounded(model, integers), frames) - expected) / np.abs(expected).max()
        )
    assert np.median(found) < 1e-3


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_signed_blocks_are_rounded_as_their_integers(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though a signal's signs are turned in the scan, and not where steps run in torch."""
    plan, frames = (
        CompressionPlan.blocks(4, signed=True),
        np.random.default_rng(1).normal(size=(20, 4)),
    )
    model, spec = made(LayerSpec(cell, 8), 1, plan), QuantizeSpec(16, data=DataBits(8, 6))
    integers = quantize(network_of(model, plan), [frames], spec)
    assert integers.layers[0].format_of["x_turned"].width == 8
    expected = run(integers, quantize_input(integers, frames), Compiled)
    inside.enter(model, plan)
    found = outputs(Rounded(model, integers), frames)
    assert np.median(np.abs(found - expected)) < 1e-3 * np.abs(expected).max()
    monkeypatch.setattr("ernn.nn.rounded.runs_here", lambda *_: False)
    np.testing.assert_array_equal(outputs(Rounded(model, integers), frames), found)


def test_it_is_trained_and_keeps_the_formats() -> None:
    """Every parameter is reached by a gradient; the formats trained with are those of the integers
    afterwards.
    """
    plan, rng = CompressionPlan.blocks(2), np.random.default_rng(0)
    model, frames = made(LayerSpec("lstm", 8), 0, plan, front=4).float(), rng.normal(size=(20, 4))
    spec = QuantizeSpec(data=DataBits(input=6, hidden=4, cell=5, activations=6))
    before = quantize(network_of(model.double(), plan), [frames], spec)
    rounded = Rounded(model.float(), before, random=True).train()
    x, target = torch.from_numpy(frames).float()[None], torch.rand(1, 20, 3)
    inside.enter(model, plan)
    optimizer, losses = torch.optim.Adam(rounded.parameters(), 0.02), []
    for _ in range(25):
        optimizer.zero_grad()
        loss = (rounded(x) - target).square().mean()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
        losses.append(loss.item())
    inside.leave(model)
    assert np.mean(losses[-5:]) < 0.7 * losses[0]
    after = quantize(network_of(model.double(), plan), [frames], spec, like=before)
    assert edge_formats(after) == edge_formats(before)
    assert (after.signal("x").format.width, after.layers[1].format_of["c"].width) == (6, 5)
    assert {after.signal(f"l{n}.h").format.width for n in range(3)} == {4} and after.results[
        0
    ].format.width == 16
    assert {s.spectrum.width for s in after.signals if s.spectrum} == {16}


@pytest.mark.parametrize(
    ("layer", "block"),
    [*((layer, 2) for layer in LAYERS[:10]), *((layer, 1) for layer in LAYERS[:2])],
    ids=lambda value: (
        f"{value.cell} {value.reset}" if isinstance(value, LayerSpec) else f"block {value}"
    ),
)
def test_compiled_loops_are_the_steps(
    layer: LayerSpec, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outputs and every gradient, with formats narrow enough to saturate now and then; dense
    products round twice.
    """
    data, plan, found = DataBits(6, 5, 4, 5, 5), CompressionPlan.blocks(block), []
    model, frames = made(layer, 1, plan), torch.randn(3, 9, 4, dtype=torch.float64)
    integers = quantize(network_of(model, plan), [0.5 * frames[0].numpy()], QuantizeSpec(data=data))
    for scanned in (True, False):
        rounded = Rounded(model, integers).train()
        if not scanned:
            monkeypatch.setattr("ernn.nn.rounded.runs_here", lambda *_: False)
        model.zero_grad()
        x = frames.clone().requires_grad_()
        y = rounded(x)
        y.sin().sum().backward()
        assert x.grad is not None
        found.append(
            [
                y.detach(),
                x.grad,
                *[p.grad.clone() for p in model.parameters() if p.grad is not None],
            ]
        )
    assert len(found[0]) == len(found[1]) == 2 + len(list(model.parameters()))
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("scanned", [True, False])
def test_what_is_no_number_is_seen(scanned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that has diverged: a table gives no number for none, before and after it the
    frames are as ever.
    """
    plan = CompressionPlan.blocks(2)
    model, frames = made(LayerSpec("lstm", 6), 1, plan), torch.randn(2, 5, 4, dtype=torch.float64)
    rounded = Rounded(model, quantize(network_of(model, plan), [frames[0].numpy()]))
    if not scanned:
        monkeypatch.setattr("ernn.nn.rounded.runs_here", lambda *_: False)
    broken = frames.clone()
    broken[1, 3, 2] = float("nan")
    with torch.no_grad():
        expected, found = rounded(frames), rounded(broken)
    assert found[1, 3:].isnan().all()
    torch.testing.assert_close(found[0], expected[0])
    torch.testing.assert_close(found[1, :3], expected[1, :3])


def test_random_rounding_is_of_training_alone() -> None:
    plan, frames = CompressionPlan(), torch.randn(1, 9, 4)
    model = made(LayerSpec("gru", 6), 0, plan)
    integers = quantize(
        network_of(model, plan), [frames[0].double().numpy()], QuantizeSpec(data=DataBits(hidden=3))
    )
    one, other = Rounded(model.float(), integers, random=True), Rounded(model, integers)
    assert torch.equal(one.eval()(frames), other.eval()(frames))
    assert not torch.equal(one.train()(frames), other.train()(frames))
    assert set(one.state_dict()) == {f"model.{name}" for name in model.state_dict()}


def test_tables_are_those_trained_with() -> None:
    plan, frames = CompressionPlan(), np.ones((3, 4))
    network = network_of(made(LayerSpec("gru", 6), 0, plan), plan)
    trained = quantize(network, [frames], QuantizeSpec(segment_bits=5))
    after = quantize(network, [frames], QuantizeSpec(segment_bits=8), like=trained)
    assert [table.segment_bits for table in after.tables] == [5, 5]


def test_what_is_refused() -> None:
    plan, frames = CompressionPlan(), np.ones((3, 4))
    model = made(LayerSpec("gru", 6), 0, plan)
    network = network_of(model, plan)
    narrow = quantize(network, [frames], QuantizeSpec(data=DataBits(hidden=5)))
    with pytest.raises(UserError, match="the formats given are of another network"):
        quantize(Network(network.layers[1:]), [np.ones((3, 6))], like=narrow)
    with pytest.raises(
        UserError, match="trained with data of 16 bits: quantize it with these, not 12"
    ):
        quantize(network, [frames], QuantizeSpec(data_bits=12), like=narrow)
    with pytest.raises(UserError, match="3 layers cannot be rounded as 2 are"):
        Rounded(model, quantize(Network(network.layers[1:]), [np.ones((3, 6))]))
    factored = CompressionPlan(recurrent=LowRank(2))
    inside.project_once(model, factored)
    with pytest.raises(
        UserError, match="l0 has other products as integers: data are not rounded in training where"
    ):
        Rounded(model, quantize(network_of(model, factored), [frames]))
    for bits, message in (
        (1, r"bits of cell must be a whole number, 2\.\.32, not 1"),
        (33, r"bits of cell must be a whole number, 2\.\.32"),
    ):
        with pytest.raises(UserError, match=message):
            QuantizeSpec(data=DataBits(cell=bits))
