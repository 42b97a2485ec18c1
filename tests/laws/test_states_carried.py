"""States as inputs of the first frame and outputs of the last: a sequence cut anywhere is whole."""

import numpy as np
import pytest

from ernn.errors import UserError
from ernn.golden import Plain, dequantize_output, quantize_input, run_all
from ernn.ir import reference
from ernn.ir.network import Network
from ernn.ir.states import carried, first_frame
from ernn.quantization.quantize import QuantizeSpec, quantize
from ernn.scheduling.design import Design
from tests.equivalence.test_cells_hardware import check
from tests.models import random_frames, random_gru, random_linear, random_lstm, structure_of

STATES = [(0, "c"), (0, "h"), (1, "h")]


def whole(block: int = 1) -> Network:
    """An LSTM with peepholes and a projection, a GRU, a linear layer."""
    rng, structure = np.random.default_rng(0), structure_of(block)
    lstm = random_lstm(rng, 4, 6, structure, 4, peepholes=True)
    return Network((lstm, random_gru(rng, 4, 6, structure), random_linear(rng, 6, 4, structure)))


def test_a_sequence_goes_on_from_given_states() -> None:
    network, rng = whole(), np.random.default_rng(1)
    frames = random_frames(rng, network, 7)
    expected, last = reference.run(network, frames)
    _, state = reference.run(network, frames[:4])
    given = [state[index][name][0] for index, name in STATES]
    both = carried(network, STATES, STATES)
    outputs, _ = reference.run(both, first_frame(frames[4:], given))
    np.testing.assert_allclose(outputs[:, :4], expected[4:], rtol=0, atol=1e-12)
    ends = np.concatenate([last[index][name][0] for index, name in STATES])
    np.testing.assert_allclose(outputs[-1, 4:], ends, rtol=0, atol=1e-12)


def test_integers_begin_with_the_state_and_forget_it() -> None:
    """The same frames again, without a state, give what they give without one before."""
    network, rng = whole(2), np.random.default_rng(2)
    frames = random_frames(rng, network, 6)
    sequences = [
        first_frame(frames, [rng.uniform(-1, 1, size) for size in (6, 4, 6)]),
        first_frame(frames, [np.zeros(size) for size in (6, 4, 6)]),
    ]
    both = carried(network, STATES, [(1, "h")])
    model = quantize(both, sequences, QuantizeSpec(9, 12))
    integers = [quantize_input(model, one) for one in sequences]
    with_state, without = run_all(model, integers, Plain)
    apart = dequantize_output(model, with_state) - reference.run(both, sequences[0])[0]
    assert np.abs(apart).max() < 0.05
    assert not np.array_equal(with_state, without)
    np.testing.assert_array_equal(run_all(model, integers[::-1], Plain)[0], without)
    check(model, Design(2, 2, 1, 2, splits=2), 3)


def test_states_that_are_none_are_refused() -> None:
    with pytest.raises(UserError, match="layer 1 keeps h, not c"):
        carried(whole(), [(1, "c")])
