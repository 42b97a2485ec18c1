"""The laws that hold over every structure, on random shapes."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ernn.compress import sets
from ernn.compress.sparse import Kept
from ernn.errors import UserError
from ernn.ir import sparse
from ernn.ir.circulant import project as project_by_numpy
from ernn.ir.structure import (
    BankBalanced,
    BlockCirculant,
    Dense,
    LoadBalanced,
    Pruned,
    Signed,
    Sparse,
    Structure,
    groups,
)

KINDS = st.sampled_from([Dense, BlockCirculant, Pruned, LoadBalanced, BankBalanced])
SIGNS = st.sampled_from([None, 0, 1])
CLOSE = {"rtol": 1e-12, "atol": 1e-12}
law = settings(max_examples=150, deadline=None)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Tensor, Structure]:
    """A (gates, rows, columns) weight in float64 and a structure that fits it."""
    kind, unit = draw(KINDS), draw(st.sampled_from([1, 2, 4, 8]))
    gates, rows, columns = (
        draw(st.integers(1, 3)),
        unit * draw(st.integers(1, 5)),
        unit * draw(st.integers(1, 5)),
    )
    size = {Pruned: rows * columns, LoadBalanced: rows // unit * columns, BankBalanced: unit}.get(
        kind, 1
    )
    density = draw(st.integers(1, size)) / size
    structure = {
        Dense: lambda: Dense(),
        BlockCirculant: lambda: BlockCirculant(unit, draw(st.booleans())),
        Pruned: lambda: Pruned(density),
        LoadBalanced: lambda: LoadBalanced(density, unit),
        BankBalanced: lambda: BankBalanced(density, unit),
    }[kind]()
    if (seed := draw(SIGNS)) is not None:
        structure = Signed(structure, seed)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    return torch.randn((gates, rows, columns), generator=generator, dtype=torch.float64), structure


def another_member(weight: Tensor, structure: Structure) -> Tensor:
    """Some matrix of the set: noise projected; of a sparse set, the weight's own values where noise
    is largest.
    """
    rows, columns = weight.shape[-2:]
    stored = sets.encode(torch.randn_like(weight), structure)
    if isinstance(stored, Kept):
        mask = sets.decode(
            Kept(torch.ones_like(stored.values), stored.positions), structure, rows, columns
        )
        return mask * weight
    return sets.decode(stored, structure, rows, columns)


@law
@given(cases())
def test_projection_is_idempotent(case: tuple[Tensor, Structure]) -> None:
    weight, structure = case
    once = sets.project(weight, structure)
    torch.testing.assert_close(sets.project(once, structure), once, **CLOSE)


@law
@given(cases())
def test_projection_is_nearest(case: tuple[Tensor, Structure]) -> None:
    weight, structure = case
    nearest = float((weight - sets.project(weight, structure)).norm())
    assert nearest <= float((weight - another_member(weight, structure)).norm()) + 1e-12


@law
@given(cases())
def test_decode_of_encode_is_projection_and_storage_is_counted(
    case: tuple[Tensor, Structure],
) -> None:
    weight, structure = case
    stored = sets.encode(weight, structure)
    assert torch.equal(
        sets.decode(stored, structure, *weight.shape[-2:]), sets.project(weight, structure)
    )
    assert stored.numel() == structure.stored(tuple(weight.shape))


@law
@given(cases())
def test_numpy_projects_as_torch_does(case: tuple[Tensor, Structure]) -> None:
    weight, structure = case
    found = sets.project(weight, structure).numpy()
    np.testing.assert_allclose(project_by_numpy(weight.numpy(), structure), found, atol=1e-12)


@law
@given(cases())
def test_gradients_reach_exactly_what_is_stored(case: tuple[Tensor, Structure]) -> None:
    weight, structure = case
    weight.requires_grad_()
    sets.project(weight, structure).square().sum().backward()
    torch.testing.assert_close(weight.grad, 2 * sets.project(weight.detach(), structure))


@law
@given(cases())
def test_products_are_with_what_is_stored(case: tuple[Tensor, Structure]) -> None:
    """By FFT for blocks; of sparse sets, one multiplication for each weight that is kept."""
    weight, structure = case
    x = np.random.default_rng(0).standard_normal(weight.shape[-1])
    matrix = sets.project(weight, structure).numpy()
    if isinstance(structure, Signed):
        signs = structure.diagonal(weight.shape[-1])
        weight, structure = weight * torch.from_numpy(signs), structure.inner
        np.testing.assert_array_equal(sets.project(weight, structure).numpy() * signs, matrix)
        matrix = matrix * signs
    if isinstance(structure, BlockCirculant):
        spectra = np.fft.rfft(sets.encode(weight, structure).numpy()) * np.fft.rfft(
            x.reshape(-1, structure.block)
        )
        product = np.fft.irfft(spectra.sum(-2), n=structure.block).reshape(len(weight), -1)
        np.testing.assert_allclose(product, matrix @ x, atol=1e-10)
    if isinstance(structure, Sparse):
        assert np.count_nonzero(matrix) == structure.multiplications(tuple(weight.shape))


@pytest.mark.parametrize("structure", [Pruned(0.25), LoadBalanced(0.5, 2), BankBalanced(0.5, 2)])
def test_no_choice_of_weights_is_nearer(structure: Sparse) -> None:
    """Every choice of weights that the rule allows, tried."""
    weight = torch.randn((1, 4, 4), generator=torch.Generator().manual_seed(1))
    rule, owner = groups(structure, 4, 4), sparse.group_of(structure, 4, 4).ravel()
    best = 0.0
    for group in range(rule.count):
        members = weight.ravel()[torch.from_numpy(owner == group)]
        best += max(
            sum(float(members[i]) ** 2 for i in chosen)
            for chosen in combinations(range(rule.size), rule.kept)
        )
    assert float(sets.project(weight, structure).square().sum()) == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize(
    ("block", "lstm", "gru"), [(8, 563_200, 625_152), (16, 294_400, 326_784), (32, 150_400, None)]
)
def test_multiplications_of_the_published_layers(block: int, lstm: int, gru: int | None) -> None:
    """The LSTM with projection and the GRU of 1024 cells, as in docs/reference/published.md."""
    structure = BlockCirculant(block)
    assert (
        sum(map(structure.multiplications, [(4, 1024, 160), (4, 1024, 512), (1, 512, 1024)]))
        == lstm
    )
    if gru is not None:
        assert sum(map(structure.multiplications, [(3, 1024, 160), (3, 1024, 1024)])) == gru


def test_small_blocks_have_no_complex_bins() -> None:
    assert [BlockCirculant(k).multiplications((1, 8, 8)) for k in (1, 2, 4)] == [
        64,
        16 * 2,
        4 * (2 + 3),
    ]


def test_what_is_no_share_and_no_count_is_refused() -> None:
    for density in (-0.5, 0.0, 1.0001, float("nan")):
        with pytest.raises(UserError, match="above 0 and at most 1"):
            Pruned(density)
    assert groups(Pruned(1.0), 2, 3).kept == 6
    assert [groups(Pruned(density), 3, 3).kept for density in (0.28, 0.3)] == [
        3,
        3,
    ]  # of 2.52, of 2.7: the nearest
    for count in (0, -1, 2.0, True):
        with pytest.raises(UserError, match="pes must be a whole number of at least 1"):
            LoadBalanced(0.5, count)  # type: ignore[arg-type]
