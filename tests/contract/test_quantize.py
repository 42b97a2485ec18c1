"""Quantization: formats fit what was seen, products balance, and what cannot be done is refused by
name.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ernn.errors import UserError
from ernn.golden import dequantize_output, precision, quantize_input, run
from ernn.golden.compiled import Compiled
from ernn.ir import reference
from ernn.ir.circulant import decode_blocks
from ernn.ir.edges import DataBits
from ernn.ir.fixed_point import FixedFormat, dequantize
from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import Product, SpectralMatrix
from ernn.ir.layers import gru, linear
from ernn.ir.network import Matrix, Network
from ernn.ir.structure import BlockCirculant
from ernn.quantization.block_sizes import Blocks
from ernn.quantization.calibrate import SAMPLE, TOGETHER, calibrate
from ernn.quantization.quantize import QuantizeSpec, quantize
from tests.models import (
    random_frames,
    random_gru,
    random_integer_model,
    random_linear,
    random_lstm,
    random_network,
    structure_of,
)

SEEDS = st.integers(0, 2**32 - 1)
WIDTHS = st.builds(QuantizeSpec, st.integers(4, 18), st.integers(4, 18))


def _products(model: IntegerModel):
    return [product for layer in model.layers for product in layer.products]


def _columns(word: np.ndarray) -> np.ndarray:
    """First column of a circulant block from its packed spectrum."""
    k = len(word)
    if k == 1:
        return word
    spectrum = np.zeros(k // 2 + 1, complex)
    spectrum[0], spectrum[-1] = word[0], word[1]
    spectrum[1:-1] = word[2::2] + 1j * word[3::2]
    return np.fft.irfft(spectrum, k)


def _as_matrix(product: Product) -> np.ndarray:
    """The real matrix (gates, rows, columns) that a bank's weights stand for."""
    matrix = product.operands[0].matrix
    assert isinstance(matrix, SpectralMatrix)
    weights = dequantize(matrix.weights, matrix.format)
    if product.exponents is not None:
        weights = np.ldexp(weights, -product.exponents[..., None, None])
    first = np.apply_along_axis(_columns, -1, weights)
    if matrix.kept == 1:
        k = weights.shape[3]
        return first[..., -np.arange(k) % k].reshape(*first.shape[:2], -1)[..., : matrix.columns]
    return decode_blocks(first, matrix.rows, matrix.columns)


def test_rows_of_different_size_keep_their_bits():
    """Every row of weights is as good as if it were the matrix alone."""
    rng = np.random.default_rng(0)
    sizes = 2.0 ** np.linspace(-10, 0, 24)
    weights = Matrix(rng.normal(size=(1, 24, 6)) * sizes[:, None])
    model = quantize(Network((linear(weights, np.zeros(24)),)), [rng.normal(size=(20, 6))])
    (product,) = _products(model)
    assert product.most >= 8
    apart = np.abs(_as_matrix(product) - weights.value)[0].max(1)
    assert (apart <= np.abs(weights.value[0]).max(1) * 2.0**-11).all()


def test_rare_numbers_are_clipped_where_that_loses_less():
    """One number in a thousand is thirty times as large as the others."""
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(2000, 4))
    frames[::250, 0] *= 12
    network = Network((linear(Matrix(np.eye(4)[None]), np.zeros(4)),))
    for bits, finer in ((4, True), (16, False)):
        spec = QuantizeSpec(16, 16, data=DataBits(input=bits))
        fracs = [
            quantize(network, [frames], replace(spec, clip=on, equalise=False)).input.format.frac
            for on in (True, False)
        ]
        assert (fracs[0] > fracs[1]) == finer


def test_operands_of_different_size_lose_what_the_spectrum_can_spare_first():
    """Where weights differ 64-fold, every bit more of them makes the error smaller."""
    network = differing_gru()
    frames = [0.3 * np.random.default_rng(seed).normal(size=(60, 4)) for seed in range(8)]
    errors = {}
    for bits in range(8, 15):
        model = quantize(network, frames[:6], QuantizeSpec(weight_bits=bits))
        errors[bits] = precision(network, model, frames[6:]).rms
    assert all(errors[bits + 1] < 1.1 * errors[bits] for bits in range(8, 14))
    assert errors[11] < 0.002 and errors[12] < 0.001


def differing_gru() -> Network:
    rng = np.random.default_rng(0)
    scale = 32**-0.5

    def draw(*shape: int) -> np.ndarray:
        return rng.uniform(-scale, scale, shape)

    into, back = Matrix(64 * draw(3, 32, 4)), Matrix(draw(3, 32, 32))
    return Network((gru(into, back, draw(3, 32), draw(3, 32)),))


@settings(max_examples=40, deadline=None)
@given(
    SEEDS,
    WIDTHS,
    st.sampled_from([1, 2, 8, 32]),
    st.integers(1, 20),
    st.integers(1, 20),
    st.booleans(),
)
def test_banks_hold_the_matrices_to_half_a_step(seed, spec, block, rows, columns, circulant):
    rng = np.random.default_rng(seed)
    first = random_linear(rng, columns, rows, structure_of(block))
    second = random_linear(rng, rows, 5, structure_of(block if circulant else 1))
    network = Network((first, second))
    model = quantize(network, [random_frames(rng, network)], spec)
    for layer, product in zip(network.layers, _products(model), strict=True):
        bank = product.operands[0].matrix
        worst = np.abs(_as_matrix(product) - layer.matrices[0].value).max()
        assert (
            worst <= bank.format.step
        )  # each element is a mean of k weights off by at most half a step


@settings(max_examples=40, deadline=None)
@given(
    SEEDS,
    WIDTHS,
    st.sampled_from([1, 4, 16]),
    st.floats(-12, 12),
    st.floats(-12, 12),
    st.sampled_from(["l", "b"]),
)
@example(0, QuantizeSpec(4, 4), 16, 3.0, 0.0, "b")  # an operand apart, rows of blocks
def test_products_balance_whatever_the_scales(seed, spec, block, input_scale, weight_scale, cell):
    """Features and one matrix far larger or smaller than the others: no weight saturates, all
    operands agree.
    """
    rng = np.random.default_rng(seed)
    structure = structure_of(block)
    layer = (
        random_lstm(rng, 6, 8, structure, 5, peepholes=True)
        if cell == "l"
        else random_gru(rng, 6, 8, structure, "before")
    )
    (into, back), *others = layer.weights
    into = Matrix(into.value * 2.0 ** (weight_scale - input_scale), structure)
    scaled = replace(layer, weights=((into, back), *others))
    network = Network(
        (scaled, random_gru(rng, layer.output_size, 8, structure), random_linear(rng, 8, 3))
    )
    model = quantize(network, [random_frames(rng, network) * 2.0**input_scale], spec)
    for product in _products(model):
        fracs = {
            model.signal(o.signal).spectrum.frac + o.matrix.format.frac for o in product.operands
        }
        assert len(fracs) == 1
        for operand in product.operands:
            assert np.abs(operand.matrix.weights).max() <= operand.matrix.format.high
    assert run(model, np.zeros((3, 6), np.int64)).shape == (3, 3)


def test_spectra_give_way_before_weights_do():
    """16-bit data against 12-bit weights: up to 4 bits come from the spectra, and every weight
    keeps its 12.
    """
    rng = np.random.default_rng(1)
    for cell in ("lstm", "gru"):
        network = random_network(rng, cell=cell, layers=3, hidden=32, block=8)
        model = quantize(network, [random_frames(rng, network)])
        for product in _products(model):
            for operand in product.operands:
                assert np.abs(operand.matrix.weights).max() > 1 << 10


def test_a_matrix_of_zeros_and_silent_frames_are_fine():
    rng = np.random.default_rng(2)
    network = Network((linear(Matrix(np.zeros((1, 3, 4))), np.zeros(3)), random_gru(rng, 3, 4)))
    model = quantize(network, [np.zeros((5, 4))])
    got = dequantize_output(model, run(model, quantize_input(model, np.zeros((5, 4)))))
    np.testing.assert_allclose(got, reference.run(network, np.zeros((5, 4)))[0], atol=2e-3)


def test_a_dense_layer_among_block_circulant_ones_is_kept_dense():
    rng = np.random.default_rng(3)
    model = random_integer_model(rng, block=8, outputs=5)
    recurrent, linear = _products(model)
    assert (recurrent.kept, recurrent.block_rows) == (8, 2)
    assert (linear.kept, linear.block_rows) == (1, 5)


def test_dense_rows_do_not_saturate_on_unrelated_elements():
    """A row to which the input is nearly orthogonal, but not to its rotations: element 0 must come
    out right.
    """
    rng = np.random.default_rng(4)
    word, other = rng.normal(size=(2, 8))
    orthogonal = other - word * (word @ other) / (word @ word)
    row = np.tile(word, 12)
    frames = np.tile(orthogonal, (3, 12)) + rng.normal(size=(3, 96)) * 0.01
    first = linear(Matrix(np.eye(96)[None], BlockCirculant(8)), np.zeros(96))
    network = Network((first, linear(Matrix(row[None, None]), np.zeros(1))))
    model = quantize(network, [frames])
    got = dequantize_output(model, run(model, quantize_input(model, frames)))
    np.testing.assert_allclose(got, reference.run(network, frames)[0], atol=0.02)


def test_unseen_louder_frames_saturate_gently():
    rng = np.random.default_rng(5)
    network = random_network(rng, cell="gru", layers=2, hidden=32, block=8)
    model = quantize(network, [random_frames(rng, network, 50) for _ in range(4)])
    frames = random_frames(rng, network, 50) * 1.5
    got = dequantize_output(model, run(model, quantize_input(model, frames), Compiled))
    assert np.abs(got - reference.run(network, frames)[0]).mean() < 0.02


def test_calibration_sees_every_edge_and_its_spectrum():
    rng = np.random.default_rng(6)
    network = random_network(rng, cell="lstm", projection=5, block=4)
    frames = random_frames(rng, network)
    ranges = calibrate(network, [frames], Blocks(4)).ranges
    assert ranges["x"].value == np.abs(frames).max()
    words = frames.reshape(len(frames), -1, 4)
    spectra = np.fft.rfft(words)
    assert ranges["x"].spectrum == pytest.approx(
        max(np.abs(spectra.real).max(), np.abs(spectra.imag).max())
    )
    assert {"l0.gates", "l0.c", "l0.m", "l0.h"} <= ranges.keys()


def test_calibration_sees_the_ends_of_every_frame_however_many_there_are():
    rng = np.random.default_rng(7)
    network = random_network(rng, cell="gru", hidden=5, block=1)
    frames = [random_frames(rng, network, count) for count in (2 * TOGETHER + 3, TOGETHER)]
    seen, rows = calibrate(network, frames, Blocks(1)), dict[str, list[np.ndarray]]()
    reference.observe(network, frames, lambda edge, some: rows.setdefault(edge, []).append(some))
    for edge, parts in rows.items():
        assert seen.ranges[edge].value == max(np.abs(part).max() for part in parts)
        ends = {end for part in parts for end in (part.min(), part.max())}
        assert ends <= set(seen.samples[edge])
        count = SAMPLE * sum(map(len, parts)) + 2 * len(parts)
        assert len(seen.samples[edge]) == count
    hidden = np.concatenate(rows["l0.h"])
    np.testing.assert_array_equal(seen.units["l0.h"], np.abs(hidden).max(0))


def test_a_matrix_that_is_not_what_it_says_is_refused():
    rng = np.random.default_rng(9)
    network = Network((linear(Matrix(rng.normal(size=(1, 8, 8)), BlockCirculant(4)), np.zeros(8)),))
    with pytest.raises(
        UserError,
        match=r"a matrix .* said to be in circulant blocks of 4 is not .*project it first",
    ):
        quantize(network, [np.ones((2, 8))])


def test_bad_calibration_is_refused():
    network = random_network(np.random.default_rng(10))
    for frames, message in (
        ([], "calibration needs at least one frame"),
        ([np.zeros((0, 8))], "calibration needs at least one frame"),
        ([np.full((2, 8), np.inf)], "a value is not finite; check the calibration frames"),
        ([np.zeros((2, 7))], r"frames must be \(time, 8\)"),
    ):
        with pytest.raises(UserError, match=message):
            quantize(network, frames)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_bits": 1}, r"weight_bits must be 2\.\.18, not 1"),
        ({"weights": {"l0": 19}}, r"bits of l0 must be 2\.\.18, not 19"),
        ({"weights": {"l0": "8"}}, r"bits of l0 must be a whole number, 2\.\.18, not '8'"),
        ({"data_bits": 19}, r"data_bits must be 4\.\.18, not 19"),
        ({"guard": 5}, r"guard must be 0\.\.4, not 5"),
        ({"segment_bits": 1}, r"segment_bits must be 2\.\.12, not 1"),
        ({"headroom": 0.5}, r"headroom must be 1\.\.16, not 0\.5"),
    ],
)
def test_widths_out_of_range_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        QuantizeSpec(**options)


def test_the_contract_refuses_what_could_overflow_or_disagree():
    model = random_integer_model(np.random.default_rng(11), cell="lstm")
    layer = model.layers[0]
    (gates,) = layer.products
    with pytest.raises(UserError, match=r"l0\.gates: a sum may need \d+ bits, more than 62"):
        replace(
            model, layers=(replace(layer, products=(replace(gates, rows=FixedFormat(40, 60)),)),)
        )
    with pytest.raises(UserError, match=r"l0\.i: a sum may need"):
        replace(
            model,
            tables=tuple(replace(t, input=FixedFormat(16, 60)) for t in model.tables),
        )
    with pytest.raises(UserError, match=r"l0\.gates\.bias must be \(4, 16\), not \(3, 16\)"):
        replace(model, layers=(replace(layer, biases=(layer.biases[0][:3],)),))
    with pytest.raises(UserError, match="the inverse transform has no guard bits, not 1"):
        replace(model, inverse=replace(model.inverse, guard=1))
    with pytest.raises(UserError, match="two signals have the same name"):
        replace(model, signals=model.signals + model.signals[:1])
    with pytest.raises(UserError, match=r"operands of l0\.gates have different fraction bits"):
        signal = replace(model.signals[1], spectrum=FixedFormat(16, 3))
        replace(model, signals=(model.signals[0], signal))
