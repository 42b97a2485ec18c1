"""A model run with rounded data against its integers, which golden runs."""

from dataclasses import replace
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
from ernn.golden.trials import Formats
from ernn.ir.edges import DataBits, edge_formats
from ernn.ir.fixed_point import quantize as to_integers
from ernn.ir.integer_model import IntegerModel
from ernn.ir.network import Network
from ernn.ir.structure import BlockCirculant, Dense, Structure
from ernn.nn.as_integers import as_integers
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
    """Every weight to the format that it has among the integers, in all columns that it has."""
    powers = {one.edge: torch.from_numpy(2.0**one.exponents) for one in integers.units}
    front = [] if model.front is None else [model.front]
    for module, layer in zip(
        [*front, *model.recurrent, model.output], integers.layers, strict=True
    ):
        seen = as_integers(module, layer, integers, powers)
        for named, product in zip(seen.cell.products, layer.products, strict=True):
            for read, operand in zip(named.reads, product.operands, strict=True):
                weight, format = seen.weights[named.name, str(read)], operand.matrix.format
                stored = replace(weight, rows=None, columns=None).dense()
                times = torch.ones(len(stored), 1).double() if weight.rows is None else weight.rows
                units = times.view(-1, 1) * (1.0 if weight.columns is None else weight.columns)
                if operand.signal == "x":
                    format = replace(format, frac=format.frac - integers.of_input.finer)
                stored.copy_(fake_quantize(stored * units, format) / units)


def trained(
    model: AcousticModel, plan: CompressionPlan, frames: np.ndarray, formats: Formats
) -> IntegerModel:
    """Integers of a model whose weights lie in their formats."""
    integers = formats.integers(network_of(model, plan), [frames])
    for _ in range(2):
        round_weights(model, integers)
        integers = quantize(network_of(model, plan), [frames], formats.spec, like=integers)
    return integers


def outputs(rounded: Rounded, frames: np.ndarray) -> np.ndarray:
    """As integers."""
    with torch.no_grad():
        found = rounded(torch.from_numpy(frames)[None])[0].numpy()
    return to_integers(found, rounded.integers.results[0].format)


@torch.no_grad()
def loud(model: AcousticModel) -> AcousticModel:
    """What the first layer reads goes far beyond what it remembers, from unit to unit less."""
    for name, parameter in model.recurrent[0].named_parameters():
        if name.startswith("weight_ih"):
            parameter.mul_(64)
        elif name.startswith(("weight_hh", "bias")):
            rows = parameter.view(-1, 6, parameter.shape[-1] if parameter.dim() > 1 else 1)
            rows.mul_(2.0 ** -torch.arange(6.0).double()[:, None])
    return model


def energies(frames: np.ndarray) -> np.ndarray:
    return np.exp(5 * frames - 6)


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from(LAYERS),
    st.integers(0, 999),
    DATA,
    st.sampled_from([8, 12]),
    st.none() | st.just(6),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
# units of a state that products read
@example(LayerSpec("lru", 6), 0, DataBits(hidden=2), 8, None, False, False, False)
def test_a_dense_network_gives_goldens_integers(
    layer: LayerSpec,
    seed: int,
    data: DataBits,
    weight_bits: int,
    front: int | None,
    apart: bool,
    far: bool,
    fill_hidden: bool,
) -> None:
    """Equal, not close: whatever the bits of each kind of data, and the formats that are chosen."""
    plan, rng = CompressionPlan(), np.random.default_rng(seed)
    model, frames = made(layer, seed, plan, front), rng.normal(size=(12, 4))
    model = loud(model) if apart else model
    if far and weight_bits > 8:  # the second integer's columns have 7 bits fewer: 8 would be 1
        frames = energies(frames)
    formats = Formats(QuantizeSpec(weight_bits, data=data), fill_hidden=fill_hidden)
    integers = trained(model, plan, frames, formats)
    given = 1.5 * frames
    expected = run(integers, quantize_input(integers, given))
    assert np.array_equal(outputs(Rounded(model, integers), given), expected)
    assert np.array_equal(run(integers, quantize_input(integers, given), Compiled), expected)


@pytest.mark.parametrize(("cell", "far"), [("lstm", False), ("gru", True), ("mgu", True)])
def test_operands_apart_and_three_integers_a_number_are_rounded_as_integers(
    cell: Cell, far: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the compiled loops and step by step."""
    plan, frames = CompressionPlan(), np.random.default_rng(1).normal(size=(20, 4))
    model = loud(made(LayerSpec(cell, 6), 1, plan))
    frames = energies(frames) if far else frames
    integers = trained(model, plan, frames, Formats(QuantizeSpec(data=DataBits(hidden=9))))
    assert {"l0.gates_x0", "l0.gates_rest0"} <= {one.name for one in integers.layers[0].products}
    assert integers.exponents("l0.gates0").max() >= 2
    assert integers.of_input.integers == (3 if far else 1)
    expected = run(integers, quantize_input(integers, frames), Compiled)
    assert np.array_equal(outputs(Rounded(model, integers), frames), expected)
    monkeypatch.setattr("ernn.nn.rounded.runs_here", lambda *_: False)
    assert np.array_equal(outputs(Rounded(model, integers), frames), expected)


def check_trained_in_blocks(
    model: AcousticModel, plan: CompressionPlan, integers: IntegerModel, frames: np.ndarray
) -> None:
    """What is not modelled is small, and every parameter is reached by a gradient."""
    expected = run(integers, quantize_input(integers, frames), Compiled)
    inside.enter(model, plan)
    rounded = Rounded(model, integers)
    found = np.abs(outputs(rounded, frames) - expected)
    assert np.median(found) < 1e-3 * np.abs(expected).max()
    rounded(torch.from_numpy(frames)[None]).square().sum().backward()
    gradients = [one.grad for one in model.parameters()]
    assert all(one is not None and one.isfinite().all() and one.any() for one in gradients)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_operands_of_blocks_are_trained_apart(cell: Cell) -> None:
    plan, frames = CompressionPlan.blocks(2), np.random.default_rng(1).normal(size=(60, 4))
    model = loud(made(LayerSpec(cell, 6), 1, plan))
    inside.project_once(model, plan)
    integers = quantize(network_of(model, plan), [frames], QuantizeSpec(16))
    assert integers.exponents("l0.gates0").max() >= 2
    check_trained_in_blocks(model, plan, integers, frames)


@torch.no_grad()
def with_uneven_projections(model: AcousticModel) -> AcousticModel:
    """The first numbers behind the front and the projections are small, and read as if not."""
    sizes = 2.0 ** -torch.tensor([5.0, 5.0, 5.0, 5.0, 0.0, 0.0]).double()
    for name, parameter in model.named_parameters():
        if name in ("front.weight", "front.bias") or "weight_hr" in name:
            parameter.mul_(sizes.view(-1, *[1] * (parameter.dim() - 1)))
        elif "weight_ih" in name or "weight_hh" in name or name == "output.weight":
            parameter.div_(sizes)
    return model


@pytest.mark.parametrize("block", [1, 2])
def test_hidden_numbers_are_rounded_in_their_units(block: int) -> None:
    """Behind a projection and between layers that do not recur."""
    plan, frames = CompressionPlan.blocks(block), np.random.default_rng(1).normal(size=(20, 4))
    model = with_uneven_projections(made(LayerSpec("lstm", 8, 6), 1, plan, front=6))
    inside.project_once(model, plan)
    formats = Formats(QuantizeSpec(16, data=DataBits(hidden=8)), fill_hidden=True)
    if block > 1:
        integers = formats.integers(network_of(model, plan), [frames])
    else:
        integers = trained(model, plan, frames, formats)
    found = {one.edge for one in integers.units if one.exponents.any()}
    assert {"l0.h", "l1.h", "l1.projection"} <= found
    expected = run(integers, quantize_input(integers, frames), Compiled)
    inside.enter(model, plan)
    found = outputs(Rounded(model, integers), frames)
    assert np.median(np.abs(found - expected)) <= (block > 1) * 1e-3 * np.abs(expected).max()
    if block == 1:
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("data", [DataBits(), DataBits(input=6, hidden=7)], ids=str)
def test_inputs_of_different_size_are_rounded_in_their_units(data: DataBits) -> None:
    plan, sizes = CompressionPlan(), 2.0 ** np.array([-9, -6, -6, 0])
    model, frames = made(LAYERS[0], 1, plan), np.random.default_rng(1).normal(size=(12, 4)) * sizes
    integers = trained(model, plan, frames, Formats(QuantizeSpec(data=data)))
    assert integers.exponents("x")[-1] == 0 and integers.exponents("x")[0] >= 5
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


@pytest.mark.parametrize("layer", [LAYERS[0], LayerSpec("lstm", 6, 4, peepholes=True)], ids=str)
def test_cells_are_rounded_in_their_units(
    layer: LayerSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the compiled loops and step by step."""
    plan, frames = CompressionPlan(), np.random.default_rng(1).normal(size=(60, 4))
    model, spec = with_climbing_cells(layer, plan), QuantizeSpec(data=DataBits(cell=12, gates=10))
    integers = trained(model, plan, frames, Formats(spec))
    assert min(integers.exponents(f"l{n}.c").min() for n in range(2)) <= -5
    expected = run(integers, quantize_input(integers, 1.5 * frames))
    assert np.array_equal(outputs(Rounded(model, integers), 1.5 * frames), expected)
    monkeypatch.setattr("ernn.nn.rounded.runs_here", lambda *_: False)
    assert np.array_equal(outputs(Rounded(model, integers), 1.5 * frames), expected)


def test_cells_of_blocks_are_trained_in_their_units() -> None:
    plan, frames = CompressionPlan.blocks(2), np.random.default_rng(1).normal(size=(60, 4))
    model = with_climbing_cells(LayerSpec("lstm", 6, peepholes=True), plan)
    integers = quantize(network_of(model, plan), [frames], QuantizeSpec(16))
    assert integers.exponents("l0.c").min() <= -5
    check_trained_in_blocks(model, plan, integers, frames)


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


def gives_their_outputs(
    model: AcousticModel,
    plan: CompressionPlan,
    integers: IntegerModel,
    frames: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the compiled scan nearly the integers' outputs, and in torch's steps the scan's."""
    expected = run(integers, quantize_input(integers, frames), Compiled)
    inside.enter(model, plan)
    found = outputs(Rounded(model, integers), frames)
    assert np.median(np.abs(found - expected)) < 1e-3 * np.abs(expected).max()
    monkeypatch.setattr("ernn.nn.rounded.runs_here", lambda *_: False)
    np.testing.assert_array_equal(outputs(Rounded(model, integers), frames), found)


@pytest.mark.parametrize(
    ("cell", "input"),
    [("lstm", Dense()), ("gru", BlockCirculant(2)), ("qrnn", Dense())],
    ids=str,
)
def test_sums_over_several_sizes_of_blocks_are_trained(
    cell: Cell, input: Structure, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = CompressionPlan(input, BlockCirculant(4))
    if cell == "qrnn":  # which multiplies its input with two matrices
        name = "recurrent.0.weight_ih_gates_1_l0"
        plan = CompressionPlan(input).override(name, BlockCirculant(4))
    model, frames = made(LayerSpec(cell, 8), 1, plan), np.random.default_rng(1).normal(size=(20, 4))
    integers = quantize(
        network_of(model, plan), [frames], QuantizeSpec(16, data=DataBits(hidden=8))
    )
    assert len(integers.layers[0].products) > len(parameters(model.recurrent[0]).rows)
    gives_their_outputs(model, plan, integers, frames, monkeypatch)


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
    gives_their_outputs(model, plan, integers, frames, monkeypatch)


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
