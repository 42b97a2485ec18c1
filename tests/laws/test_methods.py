"""The laws over every structure that is a file of its own, and what each promises besides."""

from itertools import product as every

import numpy as np
import pytest
import tensorly
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorly.decomposition import partial_tucker, tensor_train_matrix
from torch import Tensor

from ernn.compress import grids, inside, sets
from ernn.compress.admm import Admm
from ernn.compress.gradual import path
from ernn.compress.grids import Binary, LearnedStep, PowersOfTwo, Ternary, Uniform
from ernn.compress.method import Method
from ernn.compress.methods.low_rank import LowRank, rank_by_budget, rank_by_energy
from ernn.compress.methods.quantized import Quantized
from ernn.compress.methods.tensor_train import TensorTrain
from ernn.compress.methods.tiles import Tiles
from ernn.compress.methods.tucker import Tucker
from ernn.compress.plan import CompressionPlan, matrices
from ernn.compress.spectral import packed_bins, unpacked_bins
from ernn.errors import UserError
from ernn.ir import serialization as codec
from ernn.ir.fixed_point import FixedFormat, dequantize, quantize
from ernn.ir.network import Matrix
from ernn.ir.structure import (
    BankBalanced,
    BlockCirculant,
    Dense,
    LoadBalanced,
    Pruned,
    Structure,
    block_size,
)
from ernn.quantization.integer_fft import packed_rfft
from tests.laws.method_laws import obeys, trains

GRIDS = [Uniform(8), Uniform(2), PowersOfTwo(4), Ternary(), Binary(), LearnedStep(3)]
NEAREST = [
    LowRank(3),
    Tiles(0.25, 1, 4),
    Tiles(0.5, 4, 1),
    Tiles(0.25, 2, 4),
    *[Quantized(Dense(), grid) for grid in (Uniform(6, 5), Ternary(), Binary())],
    Quantized(BlockCirculant(4), Uniform(5, 4)),
    Quantized(BlockCirculant(4), Uniform(7, 4), spectra=True),
    Quantized(Pruned(0.25), Uniform(6, 5)),
]
NEAR = [
    *[Quantized(Dense(), grid) for grid in GRIDS],
    Quantized(BlockCirculant(4), PowersOfTwo(4)),
    Quantized(BlockCirculant(2), LearnedStep(4)),
    Quantized(BankBalanced(0.5, 4), LearnedStep(4)),
    Quantized(LoadBalanced(0.25, 4), Ternary()),
    Quantized(Tiles(0.5, 2, 2), Uniform(8)),
]
DECOMPOSED = [
    LowRank(2, stacked=True),
    TensorTrain((2, 4), (4, 2), 3),
    TensorTrain((2, 2, 2), (2, 2, 2), 4),
    TensorTrain((4, 1, 2), (4, 2, 1), 9),
    Tucker(3, 2),
]
ROUNDED = [Quantized(LowRank(2), Uniform(8)), Quantized(Tucker(2, 2), Uniform(10))]
ALL = [*NEAREST, *NEAR, *DECOMPOSED, *ROUNDED]


def weight(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("structure", NEAREST, ids=str)
def test_laws_of_nearest_projections(structure: Method) -> None:
    for seed in range(3):
        obeys(structure, weight(seed, 3, 8, 8))


@pytest.mark.parametrize("structure", [*NEAR, *DECOMPOSED], ids=str)
def test_laws_of_near_projections(structure: Method) -> None:
    """Grids choose a scale, decompositions more than two factors: near the nearest, which has no
    closed form.
    """
    for seed in range(3):
        obeys(structure, weight(seed, 3, 8, 8), within=1.5)


@pytest.mark.parametrize("structure", ROUNDED, ids=str)
def test_laws_of_rounded_factors(structure: Method) -> None:
    obeys(structure, weight(0, 3, 8, 8), within=1.5, idempotent=False)


@pytest.mark.parametrize("structure", ALL, ids=str)
def test_training_inside(structure: Method) -> None:
    trains(structure, 8)


@pytest.mark.parametrize("structure", ALL, ids=str)
def test_every_solver_takes_it(structure: Method) -> None:
    layer, plan = torch.nn.GRU(8, 8), CompressionPlan(input=structure, recurrent=structure)
    admm = Admm(layer, plan)
    admm.penalty().backward()
    admm.update()
    admm.finish()
    inside.restart_inside(layer, plan)
    assert path(plan, 3)[-1].input == structure
    assert CompressionPlan.from_dict(plan.to_dict()) == plan
    assert all(m.stored == structure.stored((3, 8, 8)) for m in matrices(layer, plan))


def test_products_from_the_factors_cost_what_is_counted() -> None:
    """Each form's product with a vector, factor by factor, counting multiplications."""
    matrix, x = weight(5, 1, 8, 8), weight(6, 8)
    left, right = LowRank(3).encode(matrix[0]).tensors
    torch.testing.assert_close(left @ (right @ x), sets.project(matrix[0], LowRank(3)) @ x)
    assert LowRank(3).multiplications((1, 8, 8)) == left.numel() + right.numel()
    rows, core, columns = Tucker(3, 2).encode(matrix).tensors
    torch.testing.assert_close(
        rows @ (core[0] @ (columns @ x)), (sets.project(matrix, Tucker(3, 2)) @ x)[0]
    )
    assert Tucker(3, 2).multiplications((1, 8, 8)) == rows.numel() + core.numel() + columns.numel()
    assert Tucker(3, 2).multiplications((3, 8, 8)) == 2 * 8 + 3 * (
        3 * 2 + 8 * 3
    )  # V x once for all gates
    train = TensorTrain((2, 2, 2), (2, 2, 2), 3)
    value, used = x.reshape(4, 2, 1, 1), 0  # (column modes left, this one, row modes done, rank)
    for core in reversed(train.encode(matrix[0]).tensors):
        used += value.shape[0] * value.shape[2] * core.numel()
        value = torch.einsum("cndr,lmnr->cmdl", value, core).flatten(
            1, 2
        )  # row modes: this one, then those done
        value = value.unflatten(0, (-1, 2)) if len(value) > 1 else value
    torch.testing.assert_close(value.reshape(8), sets.project(matrix[0], train) @ x)
    assert train.multiplications((8, 8)) == used


def test_tensor_train_and_tucker_are_as_tensorly_has_them() -> None:
    matrix = weight(7, 8, 8).numpy()
    structure = TensorTrain((2, 4), (4, 2), 3)
    theirs = tensor_train_matrix(tensorly.tensor(matrix.reshape(2, 4, 4, 2)), rank=[1, 3, 1])
    np.testing.assert_allclose(theirs.to_matrix(), structure.nearest(matrix), atol=1e-9)
    gates = weight(8, 3, 8, 8).numpy()
    (core, factors), _ = partial_tucker(
        tensorly.tensor(gates), rank=[3, 2], modes=[1, 2], init="svd", n_iter_max=1
    )
    there = tensorly.tenalg.multi_mode_dot(core, factors, modes=[1, 2])
    ours, best = np.linalg.norm(gates - Tucker(3, 2).nearest(gates)), np.linalg.norm(gates - there)
    assert best <= ours * (1 + 1e-9) and ours <= 1.1 * best


def test_rank_by_energy_and_by_budget() -> None:
    matrix = torch.diag(torch.tensor([3.0, 2.0, 1.0, 0.0]))[None]
    assert [rank_by_energy(matrix, share) for share in (0.5, 9 / 14, 0.7, 13 / 14, 0.95, 1.0)] == [
        1,
        1,
        2,
        2,
        3,
        3,
    ]
    assert (
        rank_by_energy(torch.cat([torch.eye(4)[None], matrix]), 0.7) == 3
    )  # what the one that needs most needs
    assert rank_by_budget((1, 4, 64), 10**6) == rank_by_budget((1, 64, 4), 10**6) == 4
    assert rank_by_budget((4, 64, 32), 4 * 7 * 96 + 5) == 7
    assert rank_by_budget((4, 64, 32), 7 * (256 + 32), stacked=True) == 7
    with pytest.raises(UserError, match="the budget is 10"):
        rank_by_budget((1, 8, 8), 10)


@pytest.mark.parametrize(
    "structure",
    [Tiles(0.25, 1, 4), Quantized(Tiles(0.25, 2, 2), Uniform(8)), Pruned(0.25)],
    ids=str,
)
def test_densities_fall_fast_at_first(structure: Structure) -> None:
    """A quarter, half and all of the way: (3/4)^3, (1/2)^3 and 0 of what goes in the end is still
    there.
    """
    found = [sets.weaker(structure, share) for share in (0.0, 0.25, 0.5, 1.0)]
    kept = [getattr(one, "inner", one).density for one in found]
    assert (
        kept == [1.0, 1 - 0.75 * (1 - 27 / 64), 1 - 0.75 * 7 / 8, 0.25] and found[-1] == structure
    )


def test_places_of_tiles_are_ascending() -> None:
    """So `position_bits` tell which they are, in whatever order their norms are."""
    (places,) = Tiles(0.5, 2, 2).encode(weight(0, 3, 8, 8)).held
    assert places.shape == (3, 8) and (places.diff(dim=-1) > 0).all()


def test_what_does_not_fit_is_refused() -> None:
    for structure, reason in (
        (LowRank(9), "no restriction"),
        (Tucker(9, 2), "above the sizes"),
        (TensorTrain((2, 2), (4, 2), 3), "do not multiply"),
        (Tiles(0.5, 3, 1), "do not divide"),
        (Tiles(0.5, 1, 3), "do not divide"),
        (Tucker(2, 9), "above the sizes"),
        (Tiles(0.01, 4, 4), "keeps none"),
    ):
        with pytest.raises(UserError, match=reason):
            structure.stored((1, 8, 8))
    for shape in ((1, 8, 16), (1, 16, 8)):
        with pytest.raises(UserError, match="no restriction"):
            LowRank(9).stored(shape)
    for inner in (Quantized(Dense(), Uniform(8)), "dense"):
        with pytest.raises(
            UserError, match="the inner structure of Quantized is dense or compressed"
        ):
            Quantized(inner, Uniform(8))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="only blocks have spectra"):
        Quantized(Dense(), Uniform(8), spectra=True)
    with pytest.raises(UserError, match="no structure is called 'LowRang'"):
        CompressionPlan.from_dict({"input": {"kind": "LowRang"}})
    with pytest.raises(UserError, match="LowRank has no ranks"):
        CompressionPlan.from_dict({"input": {"kind": "LowRank", "ranks": 3}})


def test_a_network_keeps_its_structures_on_disk(tmp_path) -> None:
    structure = Quantized(TensorTrain((2, 4), (4, 2), 3), LearnedStep(4))
    matrix = Matrix(structure.nearest(weight(0, 2, 8, 8).numpy()), structure)
    found = codec.load(codec.save(tmp_path / "matrix", matrix), Matrix)
    assert found.structure == structure and found.stored == matrix.stored


# Grids


@pytest.mark.parametrize("bits", range(2, 17))
def test_fake_quantization_is_what_the_integers_do(bits: int) -> None:
    """Every integer of the format, every half between two and its neighbours in single precision,
    and beyond.
    """
    for frac in (-3, 0, bits - 1, 20):
        format = FixedFormat(bits, frac)
        integers = np.arange(format.low - 2, format.high + 3, dtype=np.float64)
        halves = np.float32(integers + 0.5) if bits < 16 else np.float64(integers + 0.5)
        near = [
            halves,
            np.nextafter(halves, np.float32(np.inf)),
            np.nextafter(halves, np.float32(-np.inf)),
            integers,
        ]
        values = np.ldexp(np.concatenate([np.float64(n) for n in near]), -frac)
        for kind in (np.float64, np.float32):
            cast = values.astype(kind)
            found = Uniform(bits, frac).nearest(torch.from_numpy(cast)).numpy()
            assert np.array_equal(
                found, dequantize(quantize(cast.astype(np.float64), format), format).astype(kind)
            )


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=20), st.integers(2, 16))
def test_fake_quantization_on_random_values(values: list[float], bits: int) -> None:
    tensor = torch.tensor(values, dtype=torch.float32)
    format = Uniform(bits).format(tensor)
    found = Uniform(bits).nearest(tensor).double().numpy()
    assert np.array_equal(found, dequantize(quantize(tensor.double().numpy(), format), format))


@pytest.mark.parametrize("grid", [Uniform(3, 1), PowersOfTwo(3), Ternary(), Binary()], ids=str)
def test_nearest_on_the_grid_by_trying_every_point(grid: grids.Grid) -> None:
    for seed in range(5):
        values = weight(seed, 4)
        found = grid.nearest(values)
        best = min(float((values - point).norm()) for point in points(grid, values))
        assert float((values - found).norm()) == pytest.approx(best, rel=1e-9)


def points(grid: grids.Grid, values: Tensor) -> list[Tensor]:
    """Every tensor on the grid, of those with a free scale the best scale of each pattern."""
    match grid:
        case Uniform():
            levels = [n / 2 for n in range(-4, 4)]
        case PowersOfTwo():
            top = grid.nearest(values.abs().max()[None]).item()
            levels = [0.0] + [sign * top / 2**j for j in range(3) for sign in (1, -1)]
        case _:
            patterns = every(
                [1.0, -1.0] if isinstance(grid, Binary) else [0.0, 1.0, -1.0], repeat=len(values)
            )
            found = [torch.tensor(pattern, dtype=values.dtype) for pattern in patterns]
            return [
                p * ((p * values).sum() / p.square().sum().clamp(min=1)).clamp(min=0) for p in found
            ]
    return [torch.tensor(p, dtype=values.dtype) for p in every(levels, repeat=len(values))]


def test_stochastic_rounding_is_right_on_average() -> None:
    values = torch.linspace(-0.85, 0.85, 7, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    draws = torch.stack([Uniform(4, 3).random(values, generator) for _ in range(4000)])
    assert ((draws * 8) == (draws * 8).round()).all()
    assert (draws - values).abs().max() < 1 / 8
    torch.testing.assert_close(draws.mean(0), values, atol=0.004, rtol=0)


def test_learned_step_gets_the_gradient_of_its_paper() -> None:
    """Esser et al. 2020, equation 3, by its cases."""
    grid, values = (
        LearnedStep(3),
        torch.tensor([-9.0, -0.3, 0.2, 0.6, 9.0], dtype=torch.float64, requires_grad=True),
    )
    step = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    grid.trained(values, step).sum().backward()
    inner = [-0.3 / 0.5, 0.2 / 0.5, 0.6 / 0.5]
    expected = -4 + sum(round(v) - v for v in inner) + 3
    assert values.grad is not None and values.grad.tolist() == [0, 1, 1, 1, 0]
    assert step.grad is not None and step.grad.item() == pytest.approx(expected / (5 * 3) ** 0.5)


def test_bits_count_positions_and_scales() -> None:
    shape = (2, 8, 8)
    assert Dense().bits(shape, 12) == 128 * 12
    assert Pruned(0.25).bits(shape, 12) == 2 * (
        16 * 12 + 64
    )  # a bit a place is less than 6 bits a weight
    assert Pruned(2 / 64).bits(shape, 12) == 2 * (2 * 12 + 2 * 6)
    assert BankBalanced(0.25, 4).bits(shape, 12) == 32 * (
        12 + 2
    )  # in each of 32 banks, one place of four
    assert Tiles(0.25, 2, 4).bits(shape, 12) == 2 * (16 * 12 + 2 * 3)
    assert Quantized(BlockCirculant(4), Uniform(8)).bits(shape, 12) == 32 * 8 + 8
    assert Quantized(Pruned(0.25), Ternary()).bits(shape, 12) == 2 * (16 * 2 + 64) + 32
    assert Quantized(Tiles(0.25, 2, 4), Uniform(6)).bits(shape, 12) == 2 * (16 * 6 + 2 * 3) + 8
    for structure, numbers, scales in (
        (LowRank(2), 2 * 2 * 16, 2),
        (LowRank(2, stacked=True), 2 * (16 + 8), 2),
        (Tucker(3, 2), 8 * 3 + 2 * 3 * 2 + 2 * 8, 3),
        (TensorTrain((2, 4), (4, 2), 3), 2 * (8 * 3 + 3 * 8), 2),
        (TensorTrain((2, 2, 2), (2, 2, 2), 3), 2 * (4 * 3 + 3 * 4 * 3 + 3 * 4), 3),
    ):
        assert Quantized(structure, Uniform(6)).bits(shape, 12) == 6 * numbers + 8 * scales


@pytest.mark.parametrize("k", [1, 2, 4, 8, 16, 32])
def test_packed_bins_are_the_engines_and_reversible(k: int) -> None:
    blocks = weight(k, 3, k)
    packed = blocks @ packed_bins(k)
    np.testing.assert_allclose(packed.numpy(), packed_rfft(blocks.numpy()), atol=1e-12)
    torch.testing.assert_close(packed @ unpacked_bins(k), blocks)


def test_what_the_engine_takes_it_for() -> None:
    inner = BlockCirculant(8, pad=True)
    assert (
        Quantized(inner, Uniform(8)).taken() == inner
        and block_size(Quantized(inner, Uniform(8))) == 8
    )
    assert LowRank(2).taken() == LowRank(2) and block_size(LowRank(2)) == 1
