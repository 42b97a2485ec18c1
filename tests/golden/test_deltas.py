"""Delta networks in integers: the model itself without a threshold, an explicit loop with one, and
what is counted.
"""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ernn.compress.methods.low_rank import LowRank
from ernn.deltas.integer import run_deltas
from ernn.errors import UserError
from ernn.golden.run import run_all
from ernn.ir.cells import COMPACT
from ernn.ir.integer_model import IntegerLayer, IntegerModel
from ernn.ir.integer_parts import SpectralMatrix
from ernn.ir.network import Network
from ernn.ir.structure import Structure
from ernn.quantization.quantize import QuantizeSpec, quantize
from tests.cells import random_cell
from tests.golden import exact
from tests.golden.test_factors import low_rank
from tests.golden.test_trains import compressed, pair
from tests.models import (
    random_frames,
    random_gru,
    random_integer_model,
    random_linear,
    random_lstm,
    structure_of,
)

Rng = np.random.Generator
LAYERS: dict[str, Callable[[Rng, Structure], tuple]] = {
    "lstm": lambda rng, s: (
        random_lstm(rng, 6, 8, s, projection=4, peepholes=True),
        random_linear(rng, 4, 3),
    ),
    "gru": lambda rng, s: (random_gru(rng, 6, 8, s), random_gru(rng, 8, 8, s)),
    "before": lambda rng, s: (
        random_gru(rng, 6, 8, s, reset="before"),
        random_linear(rng, 8, 3, s),
    ),
    "sru": lambda rng, s: (random_cell(rng, COMPACT["sru"], 6, 8), random_linear(rng, 8, 3, s)),
}


def moving(rng: Rng, model: IntegerModel, time: int) -> np.ndarray:
    """Frames that change little by little, up to full scale, some numbers not at all."""
    steps = rng.integers(-900, 900, size=(time, model.input.length)) * (
        rng.random((time, model.input.length)) < 0.6
    )
    steps[0] = rng.integers(-(1 << 15), 1 << 15, size=model.input.length)
    return np.clip(steps.cumsum(axis=0), -(1 << 15), (1 << 15) - 1)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(LAYERS)), st.sampled_from([1, 4]), st.integers(0, 2**32 - 1))
def test_without_a_threshold_it_is_the_model(kind: str, block: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = Network(LAYERS[kind](rng, structure_of(block)))
    model = quantize(network, [random_frames(rng, network)], QuantizeSpec(8, 16))
    utterances = [moving(rng, model, int(time)) for time in rng.integers(1, 9, 2)]
    outputs, updates = run_deltas(model, utterances, 0.0)
    for found, expected in zip(outputs, run_all(model, utterances), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert 0 < updates.work.share <= 1
    frames = sum(len(frames) for frames in utterances)
    products = [product for layer in model.layers for product in layer.products]
    assert {n: c.shape for n, c in updates.columns.items()} == {
        p.name: (frames, p.block_columns) for p in products
    }


@pytest.mark.parametrize("structure", ["low rank", "tensor train"])
def test_factors_too(structure: str) -> None:
    rng = np.random.default_rng(2)
    network = Network((random_gru(rng, 6, 10),))
    network = (
        low_rank(network, LowRank(3)) if structure == "low rank" else compressed(network, pair)
    )
    model = quantize(network, [random_frames(rng, network)])
    frames = moving(rng, model, 7)
    (found,), updates = run_deltas(model, [frames], 0.0)
    np.testing.assert_array_equal(found, run_all(model, [frames])[0])
    stored = network.stored_weights if structure == "low rank" else None
    assert stored is None or updates.work.dense == 7 * stored
    assert run_deltas(model, [frames], 0.1)[1].work.share < updates.work.share


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([0.0, 0.02, 0.3, 2.0]), st.integers(0, 2**32 - 1))
def test_sums_updated_column_by_column(threshold: float, seed: int) -> None:
    """A linear layer in Python's integers: sums that only ever get what a column's change adds to
    them.
    """
    rng = np.random.default_rng(seed)
    network = Network((random_linear(rng, 5, 3),))
    model = quantize(network, [random_frames(rng, network)])
    frames = moving(rng, model, 12)
    (layer,) = model.layers
    spectrum, matrix = model.input.spectrum, layer.products[0].operands[0].matrix
    assert spectrum is not None
    weights = matrix.weights[0, :, :, 0].tolist()
    told, sums, expected, columns = [0] * 5, [0] * 3, [], []

    def seen(value: int) -> int:
        return exact.spectrum(model, model.input, [value])[0][0]

    for frame in frames.tolist():
        changed = [
            abs(exact.real(v - t, model.input.format)) > threshold
            for v, t in zip(frame, told, strict=True)
        ]
        for column in range(5):
            if changed[column]:
                step = seen(frame[column]) - seen(told[column])
                sums = [
                    total + row[column] * step for total, row in zip(sums, weights, strict=True)
                ]
                told[column] = frame[column]
        columns.append(changed)
        expected.append([_output(model, layer, total, row) for row, total in enumerate(sums)])
    (found,), updates = run_deltas(model, [frames], threshold)
    assert (
        found.tolist() == expected and updates.columns[layer.products[0].name].tolist() == columns
    )
    assert updates.work.multiplications == 3 * np.sum(columns) and updates.work.dense == 12 * 15


def _output(model: IntegerModel, layer: IntegerLayer, total: int, row: int) -> int:
    product, matrix, spectrum = (
        layer.products[0],
        layer.products[0].operands[0].matrix,
        model.input.spectrum,
    )
    assert spectrum is not None
    rows = exact.req(exact.real(total, spectrum) * exact.real(1, matrix.format), product.rows)
    out = exact.req(exact.real(rows, product.rows), product.output)
    biased = exact.real(out, product.output) + exact.real(
        int(layer.biases[0][0, row]), product.output
    )
    return exact.req(Fraction(biased), model.results[0].format)


def test_a_word_of_a_block_is_told_whole() -> None:
    rng = np.random.default_rng(5)
    model = random_integer_model(rng, cell="gru", input_size=8, hidden=8, block=4)
    frames = np.zeros((3, 8), np.int64)
    frames[1:, 1], frames[2, 2] = 1 << 12, 1  # below the threshold, beside one that is not
    frames[2, 6] = 1 << 12
    _, updates = run_deltas(model, [frames], 2.0**-8)
    gates = model.layers[0].products[0]
    assert isinstance(gates.operands[0].matrix, SpectralMatrix)
    x = updates.columns[gates.name][:, :2]
    assert x.tolist() == [[False, False], [True, False], [False, True]]


def test_a_threshold_between_two_integers() -> None:
    """One and a half steps: a move by one is not told, by two it is."""
    rng = np.random.default_rng(6)
    network = Network((random_linear(rng, 2, 3),))
    model = quantize(network, [random_frames(rng, network)])
    frames = np.array([[1, 2], [1, 3], [2, 4], [-3, 5]])
    _, updates = run_deltas(model, [frames], 1.5 * model.input.format.step)
    told = [[False, True], [False, False], [True, True], [True, False]]
    assert updates.columns["l0.product"].tolist() == told


def test_every_utterance_begins_from_nothing_told() -> None:
    rng = np.random.default_rng(8)
    model = random_integer_model(rng, cell="lstm", input_size=4, hidden=6, block=1)
    utterances = [moving(rng, model, 5), moving(rng, model, 4)]
    outputs, updates = run_deltas(model, utterances, 0.3)
    (alone,), own = run_deltas(model, utterances[1:], 0.3)
    np.testing.assert_array_equal(outputs[1], alone)
    for name, columns in updates.columns.items():
        np.testing.assert_array_equal(columns[5:], own.columns[name])


def test_a_higher_threshold_updates_less_and_errs_more() -> None:
    rng = np.random.default_rng(7)
    network = Network((random_gru(rng, 6, 10), random_linear(rng, 10, 4)))
    model = quantize(network, [random_frames(rng, network)])
    frames = moving(rng, model, 40)
    (exactly,) = run_all(model, [frames])
    errors, shares = [], []
    for threshold in (0.0, 0.05, 0.3, 1e9):
        (found,), updates = run_deltas(model, [frames], threshold)
        errors.append(int(np.abs(found - exactly).max()))
        shares.append(updates.work.share)
    assert errors == sorted(errors) and errors[0] == 0 < errors[2]
    assert shares == sorted(shares, reverse=True) and shares[2] < 0.8 * shares[0] and shares[3] == 0
    each = run_deltas(model, [frames], {"x": 1e9})[1]
    gates = each.columns["l0.gates"]
    assert not gates[:, :6].any() and gates[:, 6:].any()


def test_what_has_no_deltas_is_refused() -> None:
    rng = np.random.default_rng(0)
    both = random_integer_model(rng, cell="gru", input_size=3, hidden=4, bidirectional=True)
    with pytest.raises(UserError, match="runs backward"):
        run_deltas(both, [np.zeros((2, 3), np.int64)], 0.1)
    network = Network((random_gru(rng, 3, 4, states=True),))
    model = quantize(network, [random_frames(rng, network)])
    with pytest.raises(UserError, match="deltas begin at zero"):
        run_deltas(model, [np.zeros((2, 3), np.int64)], 0.1)
    model = random_integer_model(rng, cell="gru", input_size=3, hidden=4)
    for threshold in (-0.1, float("nan")):
        with pytest.raises(UserError, match="at least 0"):
            run_deltas(model, [np.zeros((2, 3), np.int64)], threshold)
    with pytest.raises(UserError, match="no signal is called 'h'"):
        run_deltas(model, [np.zeros((2, 3), np.int64)], {"h": 0.1})
