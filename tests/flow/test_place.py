"""Place and route of a small design: the clock is the report's, the devices
are nextpnr's, nothing runs twice.
"""

import dataclasses
from pathlib import Path

import pytest
from designs import Scaler

from ernn.errors import UserError
from ernn.estimate.device import devices, find_device
from ernn.flow import place as module
from ernn.flow.cache import Cache
from ernn.flow.harness import with_pins
from ernn.flow.place import Placement, place
from ernn.flow.process import ToolError
from ernn.flow.verilog import Verilog, to_verilog

LANES, BITS, TABLE = 2, 8, tuple(range(1, 8))
SMALL = find_device("LFE5U-25F")


@pytest.fixture(scope="module")
def design() -> Verilog:
    return to_verilog(Scaler(LANES, BITS, TABLE, tid_bits=1))


@pytest.fixture(scope="module")
def placement(design: Verilog, cache: Cache) -> Placement:
    return place(design, SMALL, seeds=(1, 2, 3), cache=cache)


def test_clock_and_critical_path(placement: Placement) -> None:
    assert (placement.device, placement.grade) == ("LFE5U-25F", 6) and len(placement.clock_mhz) == 3
    assert (
        min(placement.clock_mhz)
        <= placement.median_mhz
        <= placement.best_mhz
        == max(placement.clock_mhz)
    )
    for run in placement.runs:
        path = run.critical_path
        assert run.clock_mhz == pytest.approx(1000 / path.delay_ns, rel=0.01), (
            "the path named is the one that limits"
        )
        assert path.delay_ns == pytest.approx(path.logic_ns + path.routing_ns)
        assert "engine" in path.start + path.end, "the engine limits, not the pins around it"
        assert run.utilisation["MULT18X18D"] == (LANES, SMALL.dsp.value)
        assert "Program finished normally" in run.log.read_text()


def test_devices_are_what_nextpnr_says(placement: Placement) -> None:
    available = {kind: count for kind, (_, count) in placement.runs[0].utilisation.items()}
    assert (
        available["TRELLIS_COMB"] == SMALL.lut.value and available["TRELLIS_FF"] == SMALL.ff.value
    )
    assert 18 * available["DP16KD"] == SMALL.block_ram.value


def test_the_second_time_no_tool_runs(
    design: Verilog, placement: Placement, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "run", lambda *_, **__: pytest.fail("nextpnr ran again"))
    assert place(design, SMALL, seeds=(1, 2, 3), cache=cache) == placement
    with pytest.raises(pytest.fail.Exception, match="nextpnr ran again"):
        place(design, SMALL, seeds=(4,), cache=cache)


def test_grades_share_a_placement_of_a_large_netlist(
    design: Verilog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGE", 1)
    cache = Cache(tmp_path)  # empty: what is kept is counted
    slow, fast = (place(design, SMALL, grade=grade, cache=cache).clock_mhz[0] for grade in (6, 8))
    assert slow < fast
    kept = [len(list((cache.root / kind).iterdir())) for kind in ("placement", "routing")]
    assert kept == [1, 2]


def test_a_design_that_does_not_fit_says_so(cache: Cache) -> None:
    with pytest.raises(ToolError, match=r"nextpnr: place, seed 1 failed") as caught:
        place(to_verilog(Scaler(SMALL.dsp.value + 1, 12, (4000, 4001))), SMALL, cache=cache)
    assert "MULT18X18D" in str(caught.value) and caught.value.log.exists()


def test_refused_before_any_tool_runs(design: Verilog) -> None:
    with pytest.raises(
        UserError, match=r"XC7Z020 has no open place and route, only area; place one of LFE5U-25F"
    ):
        place(design, find_device("XC7Z020"))
    with pytest.raises(UserError, match=r"LFE5UM5G-85F comes in grades 8, not 6"):
        place(design, find_device("LFE5UM5G-85F"), grade=6)
    with pytest.raises(
        UserError, match=r"seeds must be different numbers, at least one, not \(1, 1\)"
    ):
        place(design, SMALL, seeds=(1, 1))
    with pytest.raises(UserError, match="cannot be placed: it needs a port clk"):
        place(dataclasses.replace(design, ports=()), SMALL)


def test_grades_and_packages_belong_to_devices_that_can_be_placed() -> None:
    assert {device.family for device in devices() if device.can_be_placed} == {"ecp5"}


def test_pins_keep_every_bit_of_the_engine(design: Verilog, placement: Placement) -> None:
    pins = with_pins(design)
    assert [port.name for port in pins.ports if port.direction == "output"] == ["pin_out"]
    bits = {
        side: sum(p.width for p in design.ports if p.direction == side and "axis" in p.name)
        for side in ("input", "output")
    }
    assert placement.runs[0].utilisation["TRELLIS_FF"][0] >= bits["input"] + 2 * bits["output"]
    assert (
        pins.memories == design.memories
        and "probe_sum_en" not in pins.text.split("module ernn_engine")[0]
    )
