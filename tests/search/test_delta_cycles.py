"""Cycles of delta networks: an engine that updates all is the estimated one, and
what is counted is counted by hand.
"""

import numpy as np
import pytest

from ernn.compress.methods.tensor_train import TensorTrain
from ernn.deltas.cycles import delta_cycles
from ernn.deltas.integer import run_deltas
from ernn.deltas.updates import Updates
from ernn.errors import UserError
from ernn.ir.network import Network
from ernn.quantization.quantize import quantize
from ernn.scheduling.design import Design
from ernn.search.estimate import estimate
from tests.golden.test_deltas import moving
from tests.golden.test_trains import compressed, pair
from tests.models import random_frames, random_gru, random_integer_model, random_linear

DESIGNS = [
    Design(4),
    Design(6, 3, splits=3, staggered=True),
    Design(4, 2, splits=4, words=2, overlap=4),
]


@pytest.mark.parametrize("block", [1, 4])
def test_all_columns_cost_what_is_estimated(block: int) -> None:
    model = random_integer_model(
        np.random.default_rng(0), cell="lstm", input_size=13, hidden=20, outputs=5, block=block
    )
    products = [product for layer in model.layers for product in layer.products]
    every = Updates(model, {p.name: np.ones((2, p.block_columns), bool) for p in products})
    none = Updates(model, {p.name: np.zeros((2, p.block_columns), bool) for p in products})
    assert every.work.share == 1 and none.work.multiplications == 0
    for design in DESIGNS:
        whole = estimate(model, design)
        assert delta_cycles(every, design).tolist() == [whole.cycles_per_frame] * 2
        assert (delta_cycles(every, design, balanced=False) >= whole.cycles_per_frame).all()
        assert (delta_cycles(none, design) <= whole.cycles_per_frame).all()
        assert (delta_cycles(none, design) >= whole.vector).all()


def test_multiplications_are_counted_by_hand() -> None:
    """In blocks of 4, of five multiplications; a dense row of the output layer
    meets four numbers a block column.
    """
    rng = np.random.default_rng(0)
    model = random_integer_model(rng, cell="gru", input_size=8, hidden=12, outputs=3, block=4)
    columns = {
        "l0.gates": [
            [True, False, False, False, False],
            [False, False, True, True, True],
        ],  # of x two, of h three
        "l0.candidate_input": [[True, False], [False, False]],
        "l0.candidate": [[False, False, False], [True, True, False]],
        "l1.product": [[False, True, False], [False, False, False]],
    }
    work = Updates(model, {name: np.array(changed) for name, changed in columns.items()}).work
    assert work.multiplications == 4 * 2 * 3 * 5 + 1 * 3 * 5 + 2 * 3 * 5 + 1 * 3 * 4
    assert work.dense == 2 * (5 * 2 * 3 * 5 + 2 * 3 * 5 + 3 * 3 * 5 + 3 * 3 * 4)


def test_a_cores_column_is_counted_once_a_row() -> None:
    """Every number that a core's columns meet is multiplied with all of its rows, gate by gate."""
    rng = np.random.default_rng(0)
    train = TensorTrain((3, 4), (5, 2), 2)
    network = compressed(Network((random_linear(rng, 10, 12),)), lambda *_: train)
    model = quantize(network, [random_frames(rng, network)])
    products = [product for layer in model.layers for product in layer.products]
    one = {p.name: np.eye(1, p.block_columns, dtype=bool) for p in products}
    # Rows by rank of the last core, rows of the first.
    assert Updates(model, one).work.multiplications == 4 * 2 + 3
    every = {p.name: np.ones((1, p.block_columns), bool) for p in products}
    assert Updates(model, every).work.multiplications == train.multiplications((12, 10))


def test_the_group_with_most_columns_decides() -> None:
    rng = np.random.default_rng(0)
    network = Network((random_linear(rng, 64, 8),))
    model = quantize(network, [random_frames(rng, network)])
    changed = np.zeros((3, 64), bool)
    changed[1, ::4] = True  # 16 columns of one bank of four, or of two
    changed[2, :16] = True  # 16 columns, as many of every bank
    updates, design = Updates(model, {"l0.product": changed}), Design(1, 8, splits=4)
    even, own = delta_cycles(updates, design), delta_cycles(updates, design, balanced=False)
    # a linear layer's loop is no recurrence, but its one frame must pass: it is below these
    assert even[1:].tolist() == [8 * 4, 8 * 4] and own[1:].tolist() == [8 * 16, 8 * 4]
    assert even[0] < 8 * 4


def test_a_threshold_saves_cycles() -> None:
    rng = np.random.default_rng(3)
    network = Network((random_gru(rng, 16, 48),))
    model = quantize(network, [random_frames(rng, network)])
    frames, design = moving(rng, model, 30), Design(4, 4, 8)
    cycles = [
        delta_cycles(run_deltas(model, [frames], th)[1], design).mean() for th in (0.0, 0.1, 0.5)
    ]
    assert cycles == sorted(cycles, reverse=True) and cycles[2] < 0.7 * cycles[0]
    train = compressed(Network((random_gru(rng, 6, 8),)), pair)
    made = quantize(train, [random_frames(rng, train)])
    _, updates = run_deltas(made, [moving(rng, made, 3)], 0.1)
    with pytest.raises(UserError, match="its deltas are counted, not its cycles"):
        delta_cycles(updates, design)
