"""Networks that are no chains on the simulated engine: skips, delays, states, several outputs."""

from dataclasses import replace

import numpy as np
import pytest

from ernn.flow.lint import lint
from ernn.flow.verilog import to_verilog
from ernn.ir.integer_model import IntegerModel
from ernn.ir.layers import conv1d
from ernn.ir.network import Network
from ernn.quantization.quantize import QuantizeSpec, quantize
from ernn.rtl.engine import Engine
from ernn.scheduling.design import Design
from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.schedule import schedule
from tests.equivalence.test_cells_hardware import check
from tests.golden.test_networks import every_function, skips
from tests.models import (
    random_frames,
    random_integer_model,
    random_linear,
    random_matrix,
    structure_of,
)

NARROW = QuantizeSpec(9, 12)
STAGGERED = Design(2, 3, 1, 2, splits=2, overlap=2, staggered=True)


def integers(network: Network, spec: QuantizeSpec = NARROW) -> IntegerModel:
    rng = np.random.default_rng(0)
    return quantize(network, [random_frames(rng, network) for _ in range(2)], spec)


def test_skips_states_and_two_outputs() -> None:
    """A dilated convolution, an LSTM and a QRNN with initial values, a sum, a layer of two inputs;
    the outputs are not in the order in which they are computed.
    """
    check(integers(skips(4)), STAGGERED, 1)


def test_steps_that_read_the_input() -> None:
    """Of this frame and the one before; a product of three frames ago; all with initial values."""
    model = integers(every_function("silu"), QuantizeSpec(9, 12, segment_bits=5))
    check(model, Design(2, 2, 1, overlap=2), 2)


def test_a_dilated_convolution_and_no_table() -> None:
    """Eight frames of the input are kept, two of what follows; each ring has its own size."""
    rng = np.random.default_rng(1)
    taps = [random_matrix(rng, 1, 6, 3, structure_of(2)) for _ in range(3)]
    network = Network((conv1d(taps, rng.normal(size=6), dilation=3), random_linear(rng, 6, 2)))
    model = integers(network)
    rings = MemoryMap(model, STAGGERED).spectra.rings
    assert model.tables == () and [ring.copies for ring in rings] == [8, 2]
    check(model, STAGGERED, 3)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_nothing_is_made_that_a_network_does_not_need(cell: str) -> None:
    """Two copies of spectra, one of every value, no numbers of the input, no initial values."""
    network = dict(cell=cell, input_size=8, hidden=8, layers=2, outputs=3, block=4)
    layout = MemoryMap(random_integer_model(np.random.default_rng(0), **network), STAGGERED)
    assert [ring.copies for ring in layout.spectra.rings] == [2]
    assert layout.arrival_lines == layout.values.distance == 0 and not layout.initial.values
    assert not layout.spectra.contents(0).size and not layout.values.contents().size
    assert max(value.copies for value in layout.values.values) == 1


def test_such_engines_are_clean() -> None:
    for network in (skips(1), every_function("gelu")):
        plan = schedule(integers(network), replace(STAGGERED, streams=2, splits=1))
        assert lint(to_verilog(Engine(plan))) == ()
