"""What the registers behind the engine's input queue wait for: at their depth a full device's
clock ended."""

from collections.abc import Iterator

import numpy as np
import pytest

from ernn.flow.cache import Cache
from ernn.flow.netlist import Netlist
from ernn.flow.synthesise import NETLIST, synthesis_entry
from ernn.flow.verilog import to_verilog
from ernn.rtl.stream import FrameInput
from ernn.scheduling.design import Design
from tests.models import random_integer_model


@pytest.fixture(scope="module")
def source(cache: Cache) -> Netlist:
    """The input of an engine of two streams whose frames are seven lines, as it is placed."""
    rng = np.random.default_rng(0)
    model = random_integer_model(rng, cell="gru", input_size=56, hidden=8, block=8)
    verilog = to_verilog(FrameInput(model, Design(2, streams=2), copy_bits=1))
    entry = synthesis_entry(verilog, "ecp5", cache, placed=True)
    return Netlist.read(entry / NETLIST, verilog.top)


def waited_for(netlist: Netlist, register: str) -> set[str]:
    """Names of the registers that some bit of this one depends on within a cycle."""
    found, seen = set[str](), set[str]()
    ahead = [name for name, one in registers(netlist) if one == register]
    while ahead:
        cell = netlist.cells[ahead.pop()]
        drivers = {netlist.driver[bit][0] for bit in inputs(cell) if bit in netlist.driver}
        held = {name: one for name, one in registers(netlist) if name in drivers}
        found |= set(held.values())
        ahead += drivers - held.keys() - seen
        seen |= drivers
    return found


def registers(netlist: Netlist) -> Iterator[tuple[str, str]]:
    """Flip-flops, and what is held in them, which Yosys names them by."""
    for name, _ in netlist.of_type("TRELLIS_FF"):
        yield name, name.partition("_TRELLIS_FF")[0]


def inputs(cell: dict) -> Iterator[int]:
    for port, bits in cell["connections"].items():
        if cell["port_directions"][port] == "input":
            yield from bits


def test_a_stream_is_welcome_without_a_look_at_its_count(source: Netlist) -> None:
    """Whether a line is its frame's last was compared behind the choice of its stream."""
    found = waited_for(source, "welcome0")
    assert "closing0" in found and not any(name.startswith("count") for name in found)


def test_the_error_waits_for_no_line(source: Netlist) -> None:
    """It was the slowest path of two placed engines, 6.4 and 5.9 ns."""
    assert waited_for(source, "error") == {"error", "gone_d1", "wrong_d1"}
