"""What ESE stores and how long its elements take, against counts by hand and by plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.ese_packing import ese, pack, storage, work
from ernn.compress import inside
from ernn.compress.plan import CompressionPlan
from ernn.errors import UserError
from ernn.ir.sparse import project
from ernn.ir.structure import LoadBalanced, Pruned
from ernn.nn.model import AcousticModel
from ernn.nn.spec import LayerSpec, ModelSpec


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
    packed, memories = pack(matrix, pes), entries_by_hand(matrix, pes, 15)
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
        found = work([packed])
        assert (found.cycles, found.lockstep) == (max(map(len, memories)), lockstep)
        assert found.entries == sum(map(len, memories))


def test_every_stored_bit_is_counted() -> None:
    """40 rows on one element: weights in rows 0 and 39 of one column, 38 zeros
    between, so two zeros are stored.
    """
    matrix = np.zeros((40, 2))
    matrix[0, 0] = matrix[39, 0] = matrix[5, 1] = 1.0
    packed = pack(matrix, 1)
    assert packed.values.tolist() == [1, 0, 0, 1, 1] and packed.gaps.tolist() == [0, 15, 15, 6, 5]
    bits = storage(packed)
    assert (bits.weights, bits.padding, bits.indices) == (3 * 12, 2 * 12, 5 * 4)
    assert bits.pointers == 3 * 3  # 0, 4 and 5: three pointers of three bits
    assert bits.entries == 5 * 16 and bits.total == 89
    assert (bits + bits).total == 178


def test_load_balance_is_what_equal_density_buys() -> None:
    """A matrix whose rows differ in size: magnitude pruning leaves one element most of the work."""
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((64, 64)) * np.where(np.arange(64) % 8 == 3, 3.0, 1.0)[:, None]
    uneven = work([pack(project(matrix, Pruned(0.125)), 8)])
    even = work([pack(project(matrix, LoadBalanced(0.125, 8)), 8)])
    assert uneven.imbalance > 3 and even.imbalance == pytest.approx(1.0)
    assert even.cycles == 64 * 64 * 0.125 / 8
    assert even.cycles <= even.lockstep < uneven.lockstep
    assert 0 < even.utilisation <= 1


def test_a_row_of_the_table_counts_all_matrices() -> None:
    """An LSTM of 4 * 8 * (4 + 8) recurrent weights, half of them kept, and 8 * 3 of the output."""
    model = AcousticModel(ModelSpec(4, (LayerSpec("lstm", 8),), 3))
    assert ese(model, CompressionPlan(), 4, 12) == {}
    plan = CompressionPlan.pruned(LoadBalanced(0.5, 4))
    inside.project_once(model, plan)
    row = ese(model, plan, 4, 12)
    assert (
        row["bits"]["weights"] == 12 * 4 * 8 * (4 + 8) // 2 and row["bits"]["unpruned"] == 12 * 24
    )
    entries = sum(row["bits"][kind] for kind in ("weights", "padding", "indices", "unpruned"))
    assert row["kbit"] == entries / 1024
    assert row["cycles"]["entries"] == row["bits"]["indices"] / 4


def test_matrices_that_do_not_fit_the_elements_are_refused() -> None:
    with pytest.raises(UserError, match="do not divide 10 rows evenly"):
        pack(np.zeros((10, 4)), 3)
    with pytest.raises(UserError, match="on one number of processing elements"):
        work([])
