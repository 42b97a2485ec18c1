"""Units of measure: the network stays the same, and its integers come closer."""

from dataclasses import replace

import numpy as np
import pytest

from ernn.errors import UserError
from ernn.golden import precision, quantize_input
from ernn.golden.boundary import dequantize_input
from ernn.golden.sequence import executed
from ernn.golden.source import c_source
from ernn.golden.trials import Formats, Trials
from ernn.ir import reference
from ernn.ir.edges import DataBits
from ernn.ir.fixed_point import dequantize
from ernn.ir.layers import linear, lstm
from ernn.ir.network import Layer, Matrix, Network
from ernn.ir.structure import BlockCirculant, Dense
from ernn.quantization.apart import taken_apart
from ernn.quantization.block_sizes import Blocks
from ernn.quantization.calibrate import calibrate
from ernn.quantization.equalise import equalised
from ernn.quantization.hidden import hidden_filled
from ernn.quantization.quantize import QuantizeSpec, quantize
from tests.models import (
    growing,
    of_energies,
    random_gru,
    random_linear,
    random_lstm,
    random_matrix,
    structure_of,
)
from tests.networks import Limits, any_network


def reading_unevenly(layer: Layer, sizes: np.ndarray) -> Layer:
    """The layer for inputs that are so many times as large."""
    (first, *others), *rest = layer.weights
    if isinstance(first.structure, BlockCirculant):
        sizes = np.repeat(sizes[:: first.structure.block], first.structure.block)
    even = replace(first, value=first.value / sizes[: first.columns])
    return replace(layer, weights=((even, *others), *rest))


def uneven(rng: np.random.Generator, block: int) -> tuple[Network, list[np.ndarray]]:
    """A network whose inputs differ in size by 2**12, and frames for it."""
    sizes = np.repeat(2.0 ** np.linspace(-12, 0, 4), 2)
    layer = reading_unevenly(random_gru(rng, 8, 12, structure_of(block)), sizes)
    frames = [rng.normal(size=(40, 8)) * sizes for _ in range(4)]
    return Network((layer, random_linear(rng, 12, 3))), frames


@pytest.mark.parametrize("block", [1, 2])
def test_inputs_of_different_size(block: int) -> None:
    network, frames = uneven(np.random.default_rng(block), block)
    seen = calibrate(network, frames, Blocks(block))
    changed, exponents = equalised(network, seen, block, 16)
    assert exponents["x"].max() >= 8 and exponents["x"].min() == 0
    scaled = [one * 2.0 ** exponents["x"] for one in frames]
    for one, other in zip(frames, scaled, strict=True):
        expected = reference.run(network, one)[0]
        np.testing.assert_allclose(reference.run(changed, other)[0], expected, rtol=1e-12)
    errors = [
        precision(network, quantize(network, frames[:3], QuantizeSpec(equalise=on)), frames[3:]).rms
        for on in (True, False)
    ]
    assert errors[0] < 0.005 and errors[1] > 3 * errors[0]


@pytest.mark.parametrize(("block", "positive"), [(1, True), (2, True), (1, False)])
def test_hidden_numbers_of_different_size(block: int, positive: bool) -> None:
    rng = np.random.default_rng(block)
    sizes = np.repeat(2.0 ** np.array([-6, -5, -5, -4, -4, 0]), 2)
    rows = random_matrix(rng, 1, 12, 8, structure_of(block))
    first = linear(replace(rows, value=rows.value * sizes[:, None]), sizes)
    if positive:
        (stage,) = first.cell.stages
        steps = tuple(replace(step, activation="relu") for step in stage.steps)
        first = replace(first, cell=replace(first.cell, stages=(replace(stage, steps=steps),)))
    then = reading_unevenly(random_gru(rng, 12, 10, structure_of(block)), sizes)
    network = Network((first, then, random_linear(rng, 10, 3)))
    frames = [rng.normal(size=(40, 8)) for _ in range(4)]
    changed, exponents = hidden_filled(network, calibrate(network, frames, Blocks(block)), block)
    assert set(exponents) == {"l0.h", "l0.product"} and exponents["l0.h"].max() >= 2
    for one in frames:
        expected = reference.run(network, one)[0]
        np.testing.assert_allclose(reference.run(changed, one)[0], expected, rtol=1e-12)
    trials = Trials(network, frames[:3], frames[3:])
    spec = QuantizeSpec(data=DataBits(hidden=5))
    on, off = (trials.error(Formats(spec, fill_hidden=one)) for one in (True, False))
    assert on < 0.8 * off
    found = precision(network, trials.model(Formats(QuantizeSpec(), fill_hidden=True)), frames[3:])
    assert all(edge.rms < 0.02 for edge in found.edges)  # each in the network's own units


def test_c_says_which_fraction_bits_each_feature_has() -> None:
    network, frames = uneven(np.random.default_rng(0), 1)
    model = quantize(network, frames)
    header = c_source(model).header
    fracs = model.input.format.frac + model.exponents("x")
    assert f"#define ERNN_INPUT_FRACS {{{', '.join(map(str, fracs))}}}" in header
    assert "#define ERNN_INPUT_FRAC " not in header
    x = quantize_input(model, frames[0])
    assert np.abs(np.ldexp(x, -fracs) - frames[0]).max(0) == pytest.approx(0.0, abs=2.0**-8)


@pytest.mark.parametrize("peepholes", [False, True])
def test_cells_over_a_thousand_to_one(peepholes: bool) -> None:
    network, frames = growing(np.random.default_rng(3), peepholes)
    seen = calibrate(network, frames, Blocks(1))
    units = seen.units["l0.c"]
    assert units.max() > 300 * np.median(units)
    changed, exponents = equalised(network, seen, 1, 16)
    assert exponents["l0.c"].min() <= -8 and exponents["l0.c"].max() == 0
    expected = reference.run(network, frames[0])[0]
    np.testing.assert_allclose(reference.run(changed, frames[0])[0], expected, rtol=1e-9)
    errors = [
        precision(network, quantize(network, frames[:1], QuantizeSpec(equalise=on)), frames[2:]).rms
        for on in (True, False)
    ]
    assert errors[0] < 0.01 and errors[1] > 3 * errors[0]


def test_what_a_step_reads_or_the_network_gives_stays() -> None:
    rng = np.random.default_rng(0)
    dense = Dense()
    weights = Matrix(rng.normal(size=(4, 3, 2)), dense), Matrix(np.zeros((4, 3, 3)), dense)
    layer = lstm(*weights, np.full((4, 3), 9.0) * [[1], [1], [0], [1]])
    shown = replace(layer, cell=replace(layer.cell, outputs=("h", "c")))
    frames = [np.abs(rng.normal(size=(300, 2))) * [1.0, 200.0]]
    for one, kept in ((layer, {"l0.c"}), (shown, set[str]())):
        network = Network((one,))
        found = equalised(network, calibrate(network, frames, Blocks(1)), 1, 16)[1]
        assert set(found) - {"x"} <= kept
    same = Network((linear(Matrix(np.ones((1, 2, 2))), np.zeros(2)),))
    assert equalised(same, calibrate(same, [np.ones((4, 2))], Blocks(1)), 1, 16) == (same, {})


def test_an_input_that_ranges_far_has_three_integers_a_number() -> None:
    network, frames = of_energies(np.random.default_rng(1))
    model, spread = (
        quantize(network, frames[:4], QuantizeSpec(equalise=on)) for on in (True, False)
    )
    assert (model.features, model.input.length, spread.input.length) == (5, 15, 5)
    narrow = quantize(network, frames[:4], QuantizeSpec(data=DataBits(input=8)))
    assert narrow.features == narrow.input.length
    integers = quantize_input(model, frames[0])
    assert integers.shape == (60, 15)
    step = model.input.format.step * 2.0 ** -(model.of_input.finer + 1)
    assert np.abs(dequantize_input(model, integers) - frames[0]).max() <= step
    errors = [precision(network, one, frames[4:]) for one in (model, spread)]
    assert errors[0].rms < 0.004 and errors[1].rms > 4 * errors[0].rms
    assert errors[0].edges[0].edge == "x" and errors[0].edges[0].rms < 3e-5
    header = c_source(model).header
    assert "#define ERNN_FEATURES 5\n" in header and "#define ERNN_INPUTS 15\n" in header
    with pytest.raises(UserError, match=r"features must be \(time, 5\), not \(60, 15\)"):
        quantize_input(model, integers)


def test_operands_of_different_size_are_taken_apart() -> None:
    network, frames = of_energies(np.random.default_rng(2))
    seen = calibrate(network, frames, Blocks(1))
    changed = taken_apart(network, seen)
    assert [len(p.reads) for p in changed.layers[0].cell.products] == [1] * 8
    expected = reference.run(network, frames[0])[0]
    np.testing.assert_allclose(reference.run(changed, frames[0])[0], expected, rtol=1e-12)
    even = Network((random_lstm(np.random.default_rng(2), 5, 12),))
    seen = calibrate(even, [np.random.default_rng(0).normal(size=(99, 5))], Blocks(1))
    assert taken_apart(even, seen) is even


def test_what_is_kept_row_by_row_is_divided_by_powers_that_few_bits_hold() -> None:
    network, frames = of_energies(np.random.default_rng(2))
    layer, small = network.layers[0], np.where(np.arange(12) < 3, 2.0**-9, 1.0)
    (first, h), *rest = layer.weights
    rows = replace(h, value=h.value * small[:, None])
    bias = None if layer.biases[0] is None else layer.biases[0] * small
    layer = replace(layer, weights=((first, rows), *rest), biases=(bias, *layer.biases[1:]))
    model = quantize(network.with_layer(0, layer), frames[:4], QuantizeSpec(12, 8))
    made = model.layers[0]
    for gate in range(4):
        vector = made.vectors[made.cell.vectors.index(f"gates{gate}_back")]
        powers = np.ldexp(1.0, -model.exponents(f"l0.gates{gate}"))
        found = dequantize(vector, made.format_of[f"gates{gate}_back"])
        assert found.min() == 2.0**-6
        np.testing.assert_array_equal(found, powers)


def test_what_is_kept_is_not_divided_in_a_sum_that_has_no_room_for_it() -> None:
    """A tanh of a gate and two products was refused: a third divided the gate's kept rows."""
    network = any_network(430424254, 8, Limits(layers=3, stages=2, size=20, delay=4))
    frames = [4 * np.random.default_rng(0).normal(size=(30, network.input_size)) for _ in range(2)]
    model = quantize(network, frames, QuantizeSpec(17, 6))
    assert "apart" in model.layers[0].cell.title


def test_a_gate_that_nothing_reads_has_no_part() -> None:
    network, frames = of_energies(np.random.default_rng(2))
    layer = network.layers[0]
    (stage,) = layer.cell.stages
    name = stage.products[0].name
    steps = tuple(
        replace(one, sum=one.sum.replace(f"{name}.1", f"{name}.0")) for one in stage.steps
    )
    cell = replace(layer.cell, stages=(replace(stage, steps=steps),))
    network = network.with_layer(0, replace(layer, cell=cell))
    changed = taken_apart(network, calibrate(network, frames, Blocks(1)))
    assert [len(p.reads) for p in changed.layers[0].cell.products] == [1] * 6
    expected = reference.run(network, frames[0])[0]
    np.testing.assert_allclose(reference.run(changed, frames[0])[0], expected, rtol=1e-12)


def test_what_a_table_cannot_tell_apart_needs_no_room() -> None:
    """Sums of +-300 before a sigmoid: the product keeps those that its table reads."""
    rng = np.random.default_rng(3)
    layer = random_gru(rng, 4, 8)
    (first, *others), *rest = layer.weights
    layer = replace(layer, weights=((replace(first, value=first.value * 100), *others), *rest))
    network, frames = Network((layer,)), [rng.normal(size=(80, 4)) for _ in range(4)]
    models = [
        quantize(network, frames[:3], QuantizeSpec(18, 14, clip=on, equalise=False))
        for on in (True, False)
    ]
    formats = [model.layers[0].products[0].output for model in models]
    ends = [format.high * format.step for format in formats]
    assert ends[0] < 32 and ends[1] > 255
    errors = [precision(network, one, frames[3:]).rms for one in models]
    assert errors[0] < 0.7 * errors[1]


@pytest.mark.parametrize("block", [2, 4])
def test_what_is_clipped_of_a_block_leaves_its_others_alone(block: int) -> None:
    """Sums beyond what a table reads are clipped after the transform, not before it."""
    rng = np.random.default_rng(3)
    layer = random_gru(rng, 4, 8, structure_of(block))
    (first, *others), *rest = layer.weights
    layer = replace(layer, weights=((replace(first, value=first.value * 100), *others), *rest))
    network, frames = Network((layer,)), [rng.normal(size=(80, 4)) for _ in range(4)]
    model = quantize(network, frames[:3], QuantizeSpec(16))
    output = model.layers[0].products[0].output
    assert output.high * output.step < 32
    assert precision(network, model, frames[3:]).rms < 0.005  # 0.5 where rows could not hold them


def test_a_changed_cell_at_the_end_of_its_format_is_told() -> None:
    network, frames = growing(np.random.default_rng(3), False)
    model = quantize(network, [one[:100] for one in frames[:1]])
    assert model.exponents("l0.c").any()
    assert precision(network, model, frames[1:]).saturating == ("l0.c",)


def test_states_are_told_in_the_networks_units() -> None:
    network, frames = growing(np.random.default_rng(3), False)
    model, cells = quantize(network, frames), list[np.ndarray]()
    assert model.exponents("l0.c").any()
    _, state = executed(model, frames[0], {})
    reference.observe(
        network, frames[:1], lambda edge, v: cells.append(v) if edge == "l0.c" else None
    )
    np.testing.assert_allclose(state[0, "c"], cells[-1].reshape(-1, 16)[-1], rtol=0.02, atol=0.02)
    second, _ = executed(model, frames[0][350:], executed(model, frames[0][:350], {})[1])
    np.testing.assert_array_equal(second, executed(model, frames[0], {})[0][350:])


@pytest.mark.parametrize("peepholes", [False, True])
def test_what_a_cell_gains_is_not_rounded_away_with_few_bits_for_gates(peepholes: bool) -> None:
    network, frames = growing(np.random.default_rng(1), peepholes)
    model = quantize(network, frames[:2], QuantizeSpec(16, 16, data=DataBits(gates=8)))
    assert model.exponents("l0.c").min() <= -5
    found = precision(network, model, frames[2:])
    cells = {edge.edge: edge.rms for edge in found.edges}
    assert cells["l0.c"] < 0.01 and found.rms < 0.03  # 1.00 and 1.38 where g was scaled, not i*g
