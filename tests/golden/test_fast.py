"""The compiled machine where it could go wrong: sums at the very end of 32 bits, both widths,
streams side by side.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from ernn.errors import UserError
from ernn.golden import Fast, Stream, Streams, run, trace
from ernn.golden.arithmetic import Plainly
from ernn.golden.butterflies import butterflies, transform_tile
from ernn.golden.fft import apply_stages
from ernn.golden.lanes import LANES, SIDE
from ernn.golden.packing import Packed, pack
from ernn.golden.pairs import ROWS, STREAMS, add_pairs, add_pairs_side_by_side
from ernn.golden.play import play
from ernn.golden.straight import SIZES, WORDS, from_spectra, is_usual, to_spectra
from ernn.ir.fixed_point import FixedFormat, requantize
from ernn.ir.integer_model import IntegerLinear, IntegerModel
from ernn.ir.integer_parts import Operand, Stage, Transform
from ernn.ir.network import Network
from ernn.ir.structure import BLOCK_SIZES, BlockCirculant
from ernn.quantization.integer_fft import forward_transform, inverse_transform
from ernn.quantization.quantize import QuantizeSpec, quantize
from tests.golden.test_golden import CELLS, SEEDS, any_frames
from tests.models import random_integer_model, random_matrix

WORST_PAIR = 2 * (1 << 11) * (1 << 15)
"""Two products of 12-bit weights and 16-bit data at their ends."""
LONGEST = 15
"""So many of them fit in 32 bits."""


@njit
def multiply(weights, data, sums, pairs, operands):
    add_pairs(weights, 0, data, 0, sums, 0, LANES, pairs, operands)


@pytest.mark.parametrize("kinds", [(np.int16, np.int32), (np.int64, np.int64)])
@pytest.mark.parametrize("operands", [1, 2, STREAMS, 2 * STREAMS])
def test_pairs_are_summed_exactly(kinds, operands):
    rng = np.random.default_rng(operands)
    narrow, wide = kinds
    for pairs in (2, 14):
        weights = rng.integers(-(1 << 11), 1 << 11, (pairs, LANES, 2))
        data = rng.integers(-(1 << 15), 1 << 15, (operands, pairs, 2))
        sums = np.full(operands * LANES, 7, wide)
        multiply(
            weights.astype(narrow).reshape(-1),
            data.astype(narrow).reshape(-1),
            sums,
            pairs,
            operands,
        )
        exact = np.einsum("plh,oph->ol", weights, data)
        assert abs(exact).max() <= pairs * WORST_PAIR < 1 << 31
        np.testing.assert_array_equal(sums.reshape(operands, LANES), exact)


@njit
def multiply_side_by_side(weights, data, sums, pairs, results):
    add_pairs_side_by_side(weights, 0, data, 0, sums, 0, ROWS * SIDE, pairs, results)


@pytest.mark.parametrize("kinds", [(np.int16, np.int32), (np.int64, np.int64)])
@pytest.mark.parametrize("results", [1, 2])
def test_pairs_of_streams_side_by_side_are_summed_exactly(kinds, results):
    rng = np.random.default_rng(results)
    narrow, wide = kinds
    weights = rng.integers(-(1 << 11), 1 << 11, (14, LANES, 2))
    data = rng.integers(-(1 << 15), 1 << 15, (results, 14, SIDE, 2))
    sums = np.full(results * ROWS * SIDE, 7, wide)
    multiply_side_by_side(
        weights.astype(narrow).reshape(-1), data.astype(narrow).reshape(-1), sums, 14, results
    )
    exact = np.einsum("prh,opsh->ors", weights[:, :ROWS], data)
    np.testing.assert_array_equal(sums.reshape(results, ROWS, SIDE), exact)


@njit
def transform_straight(forward, k, to, x, words, rows, before, after):
    if forward:
        to_spectra(k, to, 0, words, x, 0, words, words, rows, before, after)
    else:
        from_spectra(k, to, 0, words, x, 0, words, words, rows, before, after)


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("k", SIZES)
@pytest.mark.parametrize("bits", [10, 14])
def test_straight_transforms_are_the_stages(forward, k, bits):
    """Of 17-bit words, whatever the constants' bits; both roundings saturate some."""
    transform = forward_transform(k, bits, 0) if forward else inverse_transform(k, bits)
    rng, words, before, after = (
        np.random.default_rng(k),
        3 * WORDS,
        FixedFormat(17, 2),
        FixedFormat(18, 1),
    )
    x = rng.integers(-(1 << 18), 1 << 18, (k, words)).astype(np.int32)
    to = np.zeros_like(x)
    roundings = [(0, 1, 1, one.low, one.high) for one in (before, after)]
    transform_straight(
        forward,
        k,
        to.reshape(-1),
        x.reshape(-1),
        words,
        butterflies(transform, k)[0].rows,
        *roundings,
    )
    rows = requantize(x.T.astype(np.int64), before.frac + 1, before)
    np.testing.assert_array_equal(
        to.T, requantize(apply_stages(transform, rows), after.frac + 1, after)
    )


def test_other_transforms_take_the_general_way():
    forward, inverse = (
        butterflies(one, 8)[0] for one in (forward_transform(8, 14, 2), inverse_transform(8, 14))
    )
    assert is_usual(forward, inverse)
    assert not is_usual(inverse, forward)
    assert not is_usual(
        *(butterflies(one, 4)[0] for one in (forward_transform(4, 14, 2), inverse_transform(4, 14)))
    )


def linear(columns: int, weight: int) -> IntegerModel:
    """A linear layer of `columns` complex columns, every weight the same; its input's spectra reach
    both ends.
    """
    rows = random_matrix(np.random.default_rng(1), 1, 8, 8 * columns, BlockCirculant(8))
    network = Network((linear(rows, np.zeros(8)),))
    frames = np.random.default_rng(2).normal(size=(4, 8 * columns))
    model = quantize(network, [frames], QuantizeSpec(12, 16))
    (layer,), (x, *others) = model.layers, model.signals
    assert isinstance(layer, IntegerLinear) and x.spectrum is not None
    matrix = layer.product.operands[0].matrix
    matrix = replace(matrix, weights=np.full_like(matrix.weights, weight))
    product = replace(layer.product, operands=(Operand("x", matrix),), rows=FixedFormat(20, 4))
    x = replace(x, spectrum=FixedFormat(16, x.spectrum.frac + 3))  # saturates
    return replace(model, signals=(x, *others), layers=(replace(layer, product=product),))


def loudest(model: IntegerModel, re: int, im: int) -> np.ndarray:
    """A word whose spectrum's first complex bin is (re, im)."""
    rng, low, high = np.random.default_rng(3), model.input.format.low, model.input.format.high
    words = rng.choice([low, high], (1000, 8))
    spectra = Plainly(model).spectrum("x", np.tile(words, model.input.length // 8))
    return words[(spectra[:, 0, 2] == re) & (spectra[:, 0, 3] == im)][0]


LOW, HIGH = -(1 << 15), (1 << 15) - 1
WORST = [
    (-(1 << 11), LOW, HIGH),
    (-(1 << 11), HIGH, LOW),
    (-(1 << 11), LOW, LOW),
    ((1 << 11) - 1, LOW, LOW),
]


@pytest.mark.parametrize(("weight", "re", "im"), WORST)
def test_sums_of_numbers_that_are_all_at_their_ends(weight, re, im):
    for columns in (LONGEST, LONGEST + 1, 2 * LONGEST + 1):
        model = linear(columns, weight)
        frames = np.tile(loudest(model, re, im), columns)[None]
        plain, fast = trace(model, frames), trace(model, frames, Fast)
        for edge, values in plain.items():
            np.testing.assert_array_equal(values, fast[edge], err_msg=f"{edge}, {columns} columns")


def test_chunks_are_as_long_as_they_can_be_and_no_longer():
    """So a chunk of one more column would overflow: the sums above do reach the end of 32 bits."""
    assert LONGEST * WORST_PAIR < 1 << 31 <= (LONGEST + 1) * WORST_PAIR
    chunks = {columns: packed(linear(columns, -(1 << 11))).chunks for columns in (15, 16, 30, 31)}
    assert chunks == {15: 1, 16: 2, 30: 2, 31: 3}
    model = linear(LONGEST + 1, -(1 << 11))
    too_long = pack(model, model.layers[0].products[0], limit=1 << 40)
    re, im = np.full(LONGEST + 1, LOW), np.full(LONGEST + 1, LOW)
    data = np.zeros((2, too_long.complex_pairs, 2), np.int16)
    data[0, : LONGEST + 1, 0], data[0, : LONGEST + 1, 1] = re, im  # a p + b q
    sums = np.zeros(2 * LANES, np.int32)
    first_complex = 2 * too_long.real_pairs * LANES * 2
    multiply(too_long.weights[first_complex:], data.reshape(-1), sums, too_long.complex_pairs, 2)
    assert sums[0] != (LONGEST + 1) * WORST_PAIR == 1 << 31


def packed(model: IntegerModel) -> Packed:
    return pack(model, model.layers[0].products[0])


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.sampled_from(BLOCK_SIZES), st.integers(1, 3))
def test_any_stages_can_be_butterflies(seed, k, count):
    """Not only those of a Fourier transform: rows of any number of entries."""
    rng = np.random.default_rng(seed)
    stages = [
        Stage(rng.integers(-2, 3, (k, k)) * (rng.random((k, k)) < 3 / k), rng.integers(0, 3, k))
        for _ in range(count)
    ]
    program, slots = butterflies(Transform(tuple(stages), 0), k)
    tile = np.zeros(slots * LANES, np.int64)
    words = rng.integers(-1000, 1000, (LANES, k))
    tile[: k * LANES] = words.T.reshape(-1)
    transform_tile(tile, 1, program)
    np.testing.assert_array_equal(
        tile.reshape(slots, LANES)[program.results].T,
        apply_stages(Transform(tuple(stages), 0), words),
    )


@settings(max_examples=25, deadline=None)
@given(
    SEEDS,
    st.sampled_from(CELLS),
    st.sampled_from(BLOCK_SIZES),
    st.sampled_from([1, 2, STREAMS, STREAMS + 1, SIDE // 2, SIDE, SIDE + 3]),
)
def test_streams_side_by_side_equal_each_alone(seed, cell, block, count):
    rng = np.random.default_rng(seed)
    model = random_integer_model(rng, **cell, block=block, input_size=7, hidden=40)
    frames = np.stack([any_frames(rng, model, 3) for _ in range(count)], axis=1)
    together = Streams(model, count)
    parts = np.concatenate([together.push(frames[:1]), together.push(frames[1:])])
    for stream in range(count):
        np.testing.assert_array_equal(parts[:, stream], run(model, frames[:, stream]))
    together.reset()
    np.testing.assert_array_equal(together.push(frames), parts)


@settings(max_examples=10, deadline=None)
@given(
    SEEDS,
    st.sampled_from(CELLS),
    st.sampled_from(BLOCK_SIZES),
    st.integers(30, 70),
    st.integers(30, 150),
)
def test_tiles_and_rows_that_are_not_full(seed, cell, block, inputs, hidden):
    rng = np.random.default_rng(seed)
    model = random_integer_model(rng, **cell, block=block, input_size=inputs, hidden=hidden)
    frames = any_frames(rng, model, 2)
    np.testing.assert_array_equal(run(model, frames), run(model, frames, Fast))


@pytest.mark.parametrize(
    ("spec", "kind"), [(QuantizeSpec(12, 16), np.int32), (QuantizeSpec(12, 18), np.int64)]
)
def test_wider_data_takes_the_wide_way(spec, kind):
    model = random_integer_model(np.random.default_rng(5), spec, cell="lstm", block=8)
    assert Fast(model)._memory.dtype == kind


def test_frames_in_any_layout():
    model = random_integer_model(np.random.default_rng(6), cell="gru", block=4)
    frames = any_frames(np.random.default_rng(7), model, 6)
    frames.flags.writeable = False
    compiled = len(play.signatures)
    np.testing.assert_array_equal(Stream(model).push(frames[::2]), run(model, frames[::2].copy()))
    assert len(play.signatures) <= compiled + 1


def test_a_stream_refuses_what_a_run_refuses_and_stays_as_it_was():
    model = random_integer_model(np.random.default_rng(4), cell="gru", block=4)
    frames = any_frames(np.random.default_rng(5), model, 4)
    stream, streams = Stream(model), Streams(model, 2)
    first = stream.push(frames[:2])
    with pytest.raises(
        UserError, match=r"a frame holds .*40000, outside the input's range -32768\.\.32767"
    ):
        stream.push(np.concatenate([frames, np.full_like(frames[:1], 40000)]))
    np.testing.assert_array_equal(
        np.concatenate([first, stream.push(frames[2:])]), run(model, frames)
    )
    with pytest.raises(UserError, match=r"frames must be \(time, 2, 8\), not \(4, 8\)"):
        streams.push(frames)
    with pytest.raises(UserError, match="the number of streams must be at least 1, not 0"):
        Streams(model, 0)


@pytest.mark.parametrize("block, outputs", [(16, 48), (8, 40), (4, 5), (1, 33)])
def test_outputs_of_streams_side_by_side_leave_in_order(block, outputs):
    rng = np.random.default_rng(outputs)
    model = random_integer_model(rng, hidden=outputs, block=block, pad=True)
    frames = [any_frames(rng, model, 3) for _ in range(SIDE)]
    together = Streams(model, SIDE).push(np.stack(frames, 1))
    for stream, own in enumerate(frames):
        np.testing.assert_array_equal(together[:, stream], run(model, own))
