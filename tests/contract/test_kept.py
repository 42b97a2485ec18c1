"""States that are made of themselves: kept in a cell's bits, read by products in fewer."""

from dataclasses import replace

import numpy as np
import pytest

from ernn.api import Model
from ernn.golden import precision
from ernn.ir import cells, reference
from ernn.ir.cell import Cell
from ernn.ir.edges import DataBits
from ernn.ir.network import Network
from ernn.ir.structure import BlockCirculant, Dense, Signed
from ernn.quantization.kept import copied
from ernn.quantization.quantize import QuantizeSpec, quantize
from tests.models import random_gru, random_linear, structure_of


def slow(seed: int, block: int) -> tuple[Network, list[np.ndarray]]:
    """A GRU that changes by a fiftieth a frame, and frames for it."""
    rng = np.random.default_rng(seed)
    layer = random_gru(rng, 4, 16, structure_of(block))
    bias = np.asarray(layer.biases[0]).copy()
    bias[1] += 4.0
    layer = replace(layer, biases=(bias, *layer.biases[1:]))
    frames = [rng.normal(size=(150, 4)) for _ in range(3)]
    return Network((layer, random_linear(rng, 16, 3))), frames


@pytest.mark.parametrize("block", [1, 2])
def test_what_is_kept_does_not_drift(block: int) -> None:
    """Signals of 8 bits and cells of 16 are as good as if all but signals had 16."""
    network, (first, *others) = slow(block, block)

    def error(cell: int) -> float:
        spec = QuantizeSpec(12, 16, data=DataBits(input=8, hidden=8, cell=cell))
        return precision(network, quantize(network, [first], spec), others).rms

    assert error(16) < error(8) / 3


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        (cells.GRU_AFTER, {"h"}),
        (cells.GRU_BEFORE, {"h"}),
        (cells.MGU, {"h"}),
        (cells.INDRNN, {"h"}),
        (cells.lstm_cell(), {"c"}),
        (cells.lstm_cell(peepholes=True), {"c", "i", "f"}),
        (cells.RNN, set()),
    ],
    ids=["GRU, after", "GRU, before", "MGU", "IndRNN", "LSTM", "LSTM, peepholes", "RNN"],
)
def test_what_is_made_of_itself(cell: Cell, found: set[str]) -> None:
    assert cell.circular == found


def test_copies_change_nothing_in_floats() -> None:
    network, (frames, *_) = slow(0, 1)
    changed = copied(network)
    assert [step.name for step in changed.layers[0].cell.steps][-2:] == ["h", "h_read"]
    expected, found = (reference.run(one, frames)[0] for one in (network, changed))
    np.testing.assert_array_equal(found, expected)


def test_with_as_many_bits_nothing_is_copied() -> None:
    network, frames = slow(0, 1)
    model = quantize(network, frames, QuantizeSpec(8, 8))
    assert model.layers[0].cell == network.layers[0].cell


@pytest.mark.parametrize("signed", [False, True])
def test_a_state_that_is_given_reaches_its_copies(signed: bool) -> None:
    """Only the state itself is named; what products read of it follows."""
    rng = np.random.default_rng(3)
    structure = Signed(BlockCirculant(2)) if signed else Dense()
    network = Network((random_gru(rng, 4, 8, structure),))
    frames = [rng.normal(size=(30, 4)) for _ in range(2)]
    spec = QuantizeSpec(data=DataBits(hidden=8))
    stream = Model(network, quantize(network, frames, spec)).stream()
    stream.push(frames[0])
    state = {"l0.h": stream.state["l0.h"]}
    expected = stream.push(frames[1])
    stream.reset(state)
    assert len(stream.state) > 1
    np.testing.assert_array_equal(stream.push(frames[1]), expected)
