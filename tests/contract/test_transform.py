"""The integer transforms against NumPy's FFT and against big-integer evaluation."""

import math

import numpy as np
import pytest

from ernn.errors import UserError
from ernn.ir.integer_parts import Transform
from ernn.ir.structure import BLOCK_SIZES
from ernn.quantization.integer_fft import forward_transform, inverse_transform, packed_rfft


def _as_matrix(transform: Transform, k: int) -> np.ndarray:
    total = np.eye(k)
    for stage in transform.stages:
        total = (stage.matrix / 2.0 ** stage.shift[:, None]) @ total
    return total


@pytest.mark.parametrize("k", BLOCK_SIZES)
@pytest.mark.parametrize("bits", [2, 6, 14, 16, 40])
def test_forward_stages_multiply_to_numpys_fft(k, bits):
    got = _as_matrix(forward_transform(k, bits, 0), k)
    assert np.abs(got - packed_rfft(np.eye(k)).T).max() <= k * 2.0**-bits


@pytest.mark.parametrize("k", BLOCK_SIZES)
@pytest.mark.parametrize("bits", [14, 40])
def test_inverse_stages_multiply_to_k_times_the_inverse(k, bits):
    spectrum = packed_rfft(np.eye(k)).T
    got = _as_matrix(inverse_transform(k, bits), k)
    assert np.abs(got @ spectrum - k * np.eye(k)).max() <= 2 * k * k * 2.0**-bits


@pytest.mark.parametrize("k", BLOCK_SIZES)
def test_packing_is_numpys_rfft(k):
    word = np.random.default_rng(0).normal(size=k)
    spectrum, packed = np.fft.rfft(word), packed_rfft(word)
    assert np.isclose(packed[0], spectrum[0].real)
    if k > 1:
        assert np.isclose(packed[1], spectrum[k // 2].real)
    for f in range(1, k // 2):
        assert np.allclose(packed[2 * f : 2 * f + 2], [spectrum[f].real, spectrum[f].imag])


@pytest.mark.parametrize("k", BLOCK_SIZES)
def test_only_rotations_shift_and_butterflies_are_signs_or_doubling(k):
    for transform in (forward_transform(k, 14, 2), inverse_transform(k, 14)):
        for stage in transform.stages:
            plain = stage.matrix[stage.shift == 0]
            assert set(np.unique(plain)) <= {-2, -1, 0, 1, 2}
            rotated = stage.matrix[stage.shift > 0]
            assert ((rotated != 0).sum(1) <= 2).all()
            assert np.abs(rotated).max(initial=0) <= 2**14


@pytest.mark.parametrize("k", [8, 16, 32])
def test_constants_are_the_nearest_and_guard_bits_those_asked_for(k):
    """A rotation's constants are cosines of multiples of 2 pi / k, in `bits` fraction bits."""
    for bits in (6, 14):
        forward, inverse = forward_transform(k, bits, 3), inverse_transform(k, bits)
        assert (forward.guard, inverse.guard) == (3, 0)
        nearest = {round(math.cos(2 * math.pi * f / k) * 2**bits) for f in range(k // 4)}
        for stage in (*forward.stages, *inverse.stages):
            constants = np.abs(stage.matrix[stage.shift > 0])
            assert set(constants[constants > 0].tolist()) <= nearest


def test_other_sizes_are_refused():
    for make in (lambda: forward_transform(12, 14, 2), lambda: inverse_transform(12, 14)):
        with pytest.raises(UserError, match=r"a transform's size must be one of .*, not 12"):
            make()
