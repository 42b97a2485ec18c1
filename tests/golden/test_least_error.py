"""Formats by the error of the outputs: never worse, and better where it matters."""

import numpy as np
import pytest

from ernn.errors import UserError
from ernn.golden import precision
from ernn.golden.least_error import least_error
from ernn.ir.edges import DataBits, edge_formats
from ernn.ir.serialization import digest
from ernn.quantization.quantize import QuantizeSpec, quantize
from tests.models import growing, random_frames, random_network


def test_where_integers_are_good_they_are_as_ever() -> None:
    rng = np.random.default_rng(0)
    network = random_network(rng, "lstm", 4, 8, block=1, outputs=3)
    frames = [random_frames(rng, network, 60) for _ in range(2)]
    found, spec = least_error(network, frames)
    assert spec == QuantizeSpec() and digest(found) == digest(quantize(network, frames))


def test_a_cell_that_climbs_saturates_before_it_stands_still() -> None:
    network, long = growing(np.random.default_rng(1), peepholes=False)
    frames = [one[:150] for one in long]
    spec = QuantizeSpec(10, 8, data=DataBits(gates=7))
    before = precision(network, quantize(network, frames[:2], spec), frames[2:])
    model, bits = least_error(network, frames[:2], spec)
    after = precision(network, model, frames[2:])
    assert after.rms < before.rms / 2 and "l0.c" in after.saturating
    assert all(format.width <= 8 for format in edge_formats(model).values())
    assert model.weight_bits == bits.weight_bits <= 10


def test_nothing_to_calibrate_on_is_refused_as_ever() -> None:
    with pytest.raises(UserError, match=r"^calibration needs at least one frame"):
        least_error(random_network(np.random.default_rng(0)), [])
