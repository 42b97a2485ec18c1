"""Weights that make up for one another's rounding."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ernn.golden.least_error import least_error
from ernn.golden.trials import Formats, Trials
from ernn.ir.fixed_point import FixedFormat, dequantize, quantize
from ernn.ir.layers import linear
from ernn.ir.network import Matrix, Network
from ernn.quantization.block_sizes import Blocks
from ernn.quantization.compensation import KEPT, Moments, second_moments
from ernn.quantization.integer_fft import packed_rfft
from ernn.quantization.quantize import QuantizeSpec
from tests.models import random_gru, random_linear, structure_of

Array = np.ndarray
FORMAT = FixedFormat(5, 3)


def alike(rng: np.random.Generator, frames: int, length: int) -> Array:
    """Frames (time, length) whose numbers go together: few causes, many numbers."""
    causes = rng.normal(size=(frames, 3))
    return causes @ rng.normal(size=(3, length)) + 0.1 * rng.normal(size=(frames, length))


def moments_of(frames: Array, block: int) -> Moments:
    """Of what a network reads in words of so many numbers."""
    layer = random_linear(np.random.default_rng(0), frames.shape[1], block, structure_of(block))
    return second_moments(Network((layer,)), [frames], Blocks(block))["x"]


def test_one_weight_takes_back_what_another_is_off_by() -> None:
    frames = np.repeat(np.random.default_rng(0).normal(size=(50, 1)), 2, axis=1)
    weights = np.full((1, 1, 2, 1), 0.4 * FORMAT.step)
    assert quantize(weights, FORMAT).sum() == 0
    assert moments_of(frames, 1).compensated(weights, FORMAT).sum() == 1  # 0.8 steps together


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 4, 8]))
def test_of_numbers_that_do_not_go_together_weights_are_the_nearest(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(2, 3, 5, k))
    sizes = rng.lognormal(size=(max(k // 2 + 1, 1), 5))
    moments = Moments(np.stack([np.diag(own) for own in sizes]))
    found = moments.compensated(weights, FORMAT)
    np.testing.assert_array_equal(found, quantize(weights, FORMAT))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 4, 8]))
def test_sums_are_nearer_than_with_the_nearest_weights(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    frames = alike(rng, 200, 12 * k)
    weights = packed_rfft(rng.normal(size=(1, 8, 12, k)) / np.sqrt(k))
    format = FixedFormat(8, 3)
    moments = moments_of(frames, k)

    def off(integers: Array) -> float:
        error = in_bins(dequantize(integers, format) - weights)
        return float(np.real(np.einsum("bri,bij,brj->", error, moments.values, error.conj())))

    nearest = quantize(weights, format)
    assert off(moments.compensated(weights, format)) < 0.7 * off(nearest)


def test_what_is_rounded_again_is_not_computed_again() -> None:
    rng = np.random.default_rng(0)
    moments = moments_of(alike(rng, 50, 4), 1)
    several = [rng.normal(size=(1, 2, 4, 1)) for _ in range(KEPT + 1)]
    formats = [FixedFormat(8, 3), FixedFormat(8, 4)]
    first = moments.compensated(several[0], formats[0])
    assert moments.compensated(several[0].copy(), formats[0]) is first
    assert not np.array_equal(moments.compensated(several[0], formats[1]), first)
    for one in several[1:]:
        moments.compensated(one, formats[0])
    again = moments.compensated(several[0], formats[0])  # the oldest was given up
    assert again is not first and np.array_equal(again, first)


def in_bins(packed: Array) -> Array:
    """Packed spectra (1, rows, columns, k) as (bins, rows, columns), complex."""
    parts = packed[0].transpose(2, 0, 1)
    return np.concatenate([parts[:2], parts[2::2] + 1j * parts[3::2]]).astype(complex)


@pytest.mark.parametrize("block", [1, 4])
def test_outputs_are_nearer_where_weights_have_few_bits(block: int) -> None:
    rng = np.random.default_rng(block)
    network = Network((random_gru(rng, 16, 16, structure_of(block)), random_linear(rng, 16, 4)))
    frames = [alike(np.random.default_rng(5), 240, 16)[n : n + 60] for n in range(0, 240, 60)]
    trials = Trials(network, frames[:3], frames[3:])
    off, on = (trials.error(Formats(QuantizeSpec(4), compensate=one)) for one in (False, True))
    assert on < 0.75 * off


def test_it_is_taken_where_it_is_better() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(1, 4, 24))
    network = Network((linear(Matrix(rows), np.zeros(4)),))
    frames = [alike(np.random.default_rng(5), 240, 24)[n : n + 60] for n in range(0, 240, 60)]
    spec = QuantizeSpec(4, 12)
    nearest = Trials(network, frames[:3], frames[3:]).error(Formats(spec))
    model, bits = least_error(network, frames[:3], frames[3:], spec)
    assert model.error is not None and model.error.rms < 0.6 * nearest
    assert replace(bits, data_bits=12) == spec
