"""Laws of the block-circulant set, on random shapes, with and without padding."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ernn.compress import sets
from ernn.errors import UserError
from ernn.ir.circulant import decode_blocks, encode_blocks, project
from ernn.ir.structure import BlockCirculant, Dense

torch.set_default_dtype(torch.float32)
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


@st.composite
def weights(draw: st.DrawFn) -> tuple[torch.Tensor, BlockCirculant]:
    """A (gates, rows, columns) weight in float64 and a structure that fits it."""
    k = draw(st.sampled_from([1, 2, 4, 8, 16, 32]))
    pad = draw(st.booleans())
    gates, rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    cut = (draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1))) if pad else (0, 0)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    shape = (gates, rows * k - cut[0], columns * k - cut[1])
    return torch.randn(shape, generator=generator, dtype=torch.float64), BlockCirculant(k, pad)


law = settings(max_examples=60, deadline=None)


@law
@given(weights())
def test_projection_is_idempotent(case: tuple[torch.Tensor, BlockCirculant]) -> None:
    weight, structure = case
    once = sets.project(weight, structure)
    torch.testing.assert_close(sets.project(once, structure), once, **CLOSE)


@law
@given(weights())
def test_projection_is_nearest(case: tuple[torch.Tensor, BlockCirculant]) -> None:
    """The residual is orthogonal to the set, and no other member of it is nearer."""
    weight, structure = case
    nearest = sets.project(weight, structure)
    other = sets.decode(
        torch.randn_like(sets.encode(weight, structure)), structure, *weight.shape[-2:]
    )
    residual = weight - nearest
    assert (
        abs(float((residual * other).sum())) <= 1e-9 * float(residual.norm() * other.norm()) + 1e-12
    )
    assert float(residual.norm()) <= float((weight - other).norm()) + 1e-12


@law
@given(weights())
def test_decode_of_encode_is_projection(case: tuple[torch.Tensor, BlockCirculant]) -> None:
    weight, structure = case
    stored = sets.encode(weight, structure)
    assert torch.equal(
        sets.decode(stored, structure, *weight.shape[-2:]), sets.project(weight, structure)
    )
    assert stored.numel() == structure.stored(tuple(weight.shape))


@law
@given(weights())
def test_product_by_fft_equals_product_by_matrix(case: tuple[torch.Tensor, BlockCirculant]) -> None:
    """a_i = irfft(sum_j rfft(w_ij) * rfft(x_j)), by numpy.fft, padding with zeros."""
    weight, structure = case
    rows, columns = weight.shape[-2:]
    stored = sets.encode(weight, structure).numpy()
    blocks, k = stored.shape[-2], structure.block
    x = np.zeros(blocks * k)
    x[:columns] = np.random.default_rng(0).standard_normal(columns)
    spectra = np.fft.rfft(stored) * np.fft.rfft(x.reshape(blocks, k))
    product = np.fft.irfft(spectra.sum(-2), n=k).reshape(len(weight), -1)[:, :rows]
    matrix = sets.decode(torch.from_numpy(stored), structure, rows, columns).numpy()
    np.testing.assert_allclose(product, matrix @ x[:columns], atol=1e-10)


@law
@given(weights())
def test_torch_agrees_with_numpy(case: tuple[torch.Tensor, BlockCirculant]) -> None:
    """Two implementations, written differently (ernn.ir.circulant gathers indices,
    torch multiplies by a 0/1 matrix).
    """
    weight, structure = case
    blocks = encode_blocks(weight.numpy(), structure.block)
    np.testing.assert_allclose(sets.encode(weight, structure).numpy(), blocks, atol=1e-12)
    decoded = sets.decode(torch.from_numpy(blocks), structure, *weight.shape[-2:])
    np.testing.assert_array_equal(decoded.numpy(), decode_blocks(blocks, *weight.shape[-2:]))


@pytest.mark.parametrize("k", [2, 4, 8])
def test_constant_wrapped_diagonals_are_a_fixed_point(k: int) -> None:
    """Written out element by element, so that a wrong direction of the diagonals would show."""
    vector = torch.arange(1.0, k + 1)
    block = torch.tensor([[vector[(a - b) % k] for b in range(k)] for a in range(k)])
    assert torch.equal(sets.project(block, BlockCirculant(k)), block)
    assert torch.equal(sets.encode(block, BlockCirculant(k))[0, 0], block[:, 0])


def test_dense_is_every_matrix() -> None:
    weight = torch.randn(2, 3, 5)
    assert sets.project(weight, Dense()) is weight
    assert sets.decode(sets.encode(weight, Dense()), Dense(), 3, 5) is weight


def test_gradients_pass() -> None:
    weight = torch.randn(2, 8, 16, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: sets.project(w, BlockCirculant(4)), weight)
    stored = torch.randn(2, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda s: sets.decode(s, BlockCirculant(4, pad=True), 7, 10), stored
    )


def test_a_size_that_the_block_does_not_divide_is_refused() -> None:
    with pytest.raises(UserError, match="block size 8 does not divide 13 columns"):
        sets.encode(torch.zeros(3, 16, 13), BlockCirculant(8))
    with pytest.raises(UserError, match="block size 8 does not divide 13 rows"):
        project(np.zeros((3, 13, 16)), BlockCirculant(8))
