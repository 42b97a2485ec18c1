"""One vector at a time in few bits."""

import numpy as np
import pytest

from ernn.errors import UserError
from ernn.fixed import FixedFormat, dequantize, quantize
from ernn.narrow import narrowed
from ernn.network import BidirectionalLayer, Network
from ernn.reference import run_all
from tests.models import random_frames, random_gru, random_linear, random_lstm


def test_fewer_bits_err_more_and_every_vector_is_there() -> None:
    rng = np.random.default_rng(0)
    network = Network((random_lstm(rng, 5, 8, projection=6), random_gru(rng, 6, 7), random_linear(rng, 7, 3)))
    frames = [random_frames(rng, network, 25) for _ in range(2)]
    found = narrowed(network, frames, (12, 8, 4))
    vectors = {(one.layer, one.vector) for one in found}
    assert {(0, name) for name in ("x", "i", "f", "g", "c", "o", "t", "m", "h")} <= vectors
    assert {(1, name) for name in ("x", "r", "z", "u", "n", "h")} <= vectors and {(2, "x"), (2, "h")} <= vectors
    for place in vectors:
        errors = [one.error for one in found if (one.layer, one.vector) == place]
        assert errors == sorted(errors) and errors[0] < 0.01, place


def test_the_input_alone_is_rounding_the_frames() -> None:
    rng = np.random.default_rng(1)
    network = Network((random_gru(rng, 4, 6),))
    frames = [random_frames(rng, network, 20)]
    frames[0][7, 2] = -30.0  # the range is of all frames, not of the last
    largest = np.abs(frames[0]).max()
    width = 5
    fracs = (n for n in range(20, -20, -1) if np.floor(largest * 2.0**n + 0.5) <= 15)  # the largest of 5 bits
    format = FixedFormat(width, next(fracs))
    rounded = [dequantize(quantize(frames[0], format), format)]
    exact, moved = run_all(network, frames)[0], run_all(network, rounded)[0]
    expected = np.sqrt(np.mean((moved - exact) ** 2) / np.mean(exact**2))
    error = next(one.error for one in narrowed(network, frames, (width,)) if one.vector == "x")
    np.testing.assert_allclose(error, expected, rtol=1e-9)


def test_layers_in_both_directions_are_refused() -> None:
    rng = np.random.default_rng(2)
    network = Network((BidirectionalLayer(random_gru(rng, 4, 6), random_gru(rng, 4, 6)),))
    with pytest.raises(UserError, match="both directions is not run vector by vector"):
        narrowed(network, [np.zeros((2, 4))], (8,))
