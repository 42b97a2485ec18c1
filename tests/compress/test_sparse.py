"""What ESE stores and how long its elements take, against counts by hand and by plain loops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ernn.compress import inside, sets
from ernn.compress.plan import CompressionPlan, compressed, stored_weights, structures
from ernn.errors import UserError
from ernn.ir import serialization as codec
from ernn.ir import sparse
from ernn.ir.network import Network
from ernn.ir.structure import BankBalanced, LoadBalanced, Pruned
from ernn.nn.importer import import_torch
from ernn.quantization.quantize import quantize


def entries_by_hand(matrix: np.ndarray, pes: int, limit: int) -> list[list[tuple[float, int, int]]]:
    """(weight, zeros before it, column) of each element, by walking down every column."""
    memories = []
    for pe in range(pes):
        memory = []
        for column in range(matrix.shape[1]):
            zeros = 0
            for weight in matrix[pe::pes, column]:
                if weight == 0 and zeros < limit:
                    zeros += 1
                    continue
                memory.append((weight, zeros, column))
                zeros = 0
            while memory and memory[-1][0] == 0 and memory[-1][2] == column:
                memory.pop()  # padding that leads to no weight is not stored
        memories.append(memory)
    return memories


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 4), st.integers(1, 60), st.integers(1, 5), st.floats(0, 1), st.integers(0, 99)
)
def test_memories_are_what_a_walk_down_the_columns_gives(
    pes: int, rows: int, columns: int, density: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((rows * pes, columns)) * (
        rng.random((rows * pes, columns)) < density
    )
    packed, memories = sparse.pack(matrix, pes), entries_by_hand(matrix, pes, 15)
    assert packed.values.tolist() == [weight for memory in memories for weight, _, _ in memory]
    assert packed.gaps.tolist() == [gap for memory in memories for _, gap, _ in memory]
    assert packed.loads.tolist() == [len(memory) for memory in memories]
    np.testing.assert_array_equal(packed.unpack(), matrix)
    x = rng.standard_normal(columns)
    np.testing.assert_allclose(packed.product(x), matrix @ x, atol=1e-12)
    lockstep = sum(
        max(sum(c == column for *_, c in memory) for memory in memories)
        for column in range(columns)
    )
    if packed.values.size:
        found = sparse.work([packed])
        assert (found.cycles, found.lockstep) == (max(map(len, memories)), lockstep)
        assert found.entries == sum(map(len, memories))


def test_every_stored_bit_is_counted() -> None:
    """40 rows on one element: weights in rows 0 and 39 of one column, 38 zeros
    between, so two zeros are stored.
    """
    matrix = np.zeros((40, 2))
    matrix[0, 0] = matrix[39, 0] = matrix[5, 1] = 1.0
    packed = sparse.pack(matrix, 1)
    assert packed.values.tolist() == [1, 0, 0, 1, 1] and packed.gaps.tolist() == [0, 15, 15, 6, 5]
    bits = sparse.storage(packed)
    assert (bits.weights, bits.padding, bits.indices) == (3 * 12, 2 * 12, 5 * 4)
    assert bits.pointers == 3 * 3  # 0, 4 and 5: three pointers of three bits
    assert bits.entries == 5 * 16 and bits.total == 89
    assert (bits + bits).total == 178


def test_load_balance_is_what_equal_density_buys() -> None:
    """A matrix whose rows differ in size: magnitude pruning leaves one element most of the work."""
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((64, 64)) * np.where(np.arange(64) % 8 == 3, 3.0, 1.0)[:, None]
    uneven = sparse.work([sparse.pack(sparse.project(matrix, Pruned(0.125)), 8)])
    even = sparse.work([sparse.pack(sparse.project(matrix, LoadBalanced(0.125, 8)), 8)])
    assert uneven.imbalance > 3 and even.imbalance == pytest.approx(1.0)
    assert even.cycles == 64 * 64 * 0.125 / 8
    assert even.cycles <= even.lockstep < uneven.lockstep
    assert 0 < even.utilisation <= 1


def test_banks_need_neither_padding_nor_pointers() -> None:
    assert BankBalanced(2 / 16, 16).bits((3, 32, 64), 12) == 3 * 256 * (12 + 4)


def test_structures_that_do_not_fit_are_refused() -> None:
    cases = {
        "32 processing elements do not divide 48 rows": lambda: sets.project(
            torch.zeros(48, 8), LoadBalanced(0.1, 32)
        ),
        "banks of 16 do not divide 24 columns": lambda: sets.project(
            torch.zeros(8, 24), BankBalanced(0.5, 16)
        ),
        "keeps none of the 8 weights": lambda: sets.project(
            torch.zeros(8, 8), BankBalanced(0.05, 8)
        ),
        "density is a share": lambda: Pruned(0.0),
        "pes must be a whole number": lambda: LoadBalanced(0.1, 0),
        "do not divide 10 rows evenly": lambda: sparse.pack(np.zeros((10, 4)), 3),
        "on one number of processing elements": lambda: sparse.work([]),
    }
    for message, attempt in cases.items():
        with pytest.raises(UserError, match=message):
            attempt()


SPARSE_PLAN = CompressionPlan.pruned(LoadBalanced(0.25, 4), output=Pruned(0.5))


def test_training_inside_keeps_the_mask_of_the_projection() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.GRU(8, 16, batch_first=True), nn.Linear(16, 6))
    matrices = compressed(model, SPARSE_PLAN)
    masks = [sets.project(m.weight, m.structure) != 0 for m in matrices]
    inside.enter(model, SPARSE_PLAN)
    assert stored_weights(model, SPARSE_PLAN) == sum(
        p.numel() for p in model.parameters() if p.dim() > 1
    )
    optimizer = torch.optim.AdamW(model.parameters(), 0.1)
    before = model[0].weight_hh_l0.detach().clone()
    for _ in range(3):
        optimizer.zero_grad()
        model[1](model[0](torch.randn(2, 5, 8))[0]).square().mean().backward()
        optimizer.step()
    assert not torch.equal(model[0].weight_hh_l0, before)
    inside.leave(model)
    for matrix, mask in zip(compressed(model, SPARSE_PLAN), masks, strict=True):
        assert not matrix.weight[~mask].any() and matrix.weight[mask].all()


def test_a_mask_is_part_of_the_state() -> None:
    first, second = nn.GRU(8, 16), nn.GRU(8, 16)
    inside.enter(first, SPARSE_PLAN)
    inside.enter(second, SPARSE_PLAN)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.weight_ih_l0, second.weight_ih_l0)


def test_a_pruned_network_is_kept_in_a_file_but_not_for_hardware(tmp_path) -> None:
    model = nn.GRU(8, 16, batch_first=True)
    inside.project_once(model, SPARSE_PLAN)
    network = import_torch(model, torch.zeros(1, 4, 8), structures=structures(model, SPARSE_PLAN))
    again = codec.load(codec.save(tmp_path / "network.safetensors", network), Network)
    found = {matrix.structure for layer in again.layers for matrix in layer.matrices}
    assert found == {LoadBalanced(0.25, 4)}
    assert again.stored_weights == 3 * 16 * (8 + 16) // 4
    with pytest.raises(
        UserError, match=r"runs dense and block-circulant matrices, .* LoadBalanced\(density=0.25"
    ):
        quantize(network, [np.zeros((4, 8))])


def test_plans_of_pruned_matrices_go_through_plain_values() -> None:
    plan = CompressionPlan(LoadBalanced(0.1, 32), Pruned(0.2), BankBalanced(0.25, 16))
    assert CompressionPlan.from_dict(plan.to_dict()) == plan
    assert plan.to_dict()["input"] == {"density": 0.1, "pes": 32}
    with pytest.raises(UserError, match="a structure is a block size"):
        CompressionPlan.from_dict({"input": {"density": 0.1, "lanes": 2}})
