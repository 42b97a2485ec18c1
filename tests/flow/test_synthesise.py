"""Area of a small design on every family, counted by hand from what the design says."""

from pathlib import Path

import pytest
from designs import Scaler

from ernn.estimate.device import Device, devices, find_device
from ernn.flow import synthesise as module
from ernn.flow.cache import Cache
from ernn.flow.process import ToolError
from ernn.flow.synthesise import Area, synthesise
from ernn.flow.verilog import Verilog, to_verilog

LANES, BITS, TABLE = 3, 14, tuple(range(900, 916))
# Registers of Scaler that nothing makes superfluous: data out, tid, tuser, tlast, valid, the beat's
# number.
REGISTERS = LANES * BITS + 2 + 1 + 1 + 1 + 4
# One part per family of Yosys: the others of a family give the same cells.
FAMILIES = tuple({device.family: device for device in devices()}.values())


@pytest.fixture(scope="module")
def design() -> Verilog:
    return to_verilog(Scaler(LANES, BITS, TABLE))


@pytest.mark.parametrize("device", FAMILIES, ids=lambda device: device.family)
def test_area_on_every_family(design: Verilog, cache: Cache, device: Device) -> None:
    area = synthesise(design, device, cache)
    assert area.dsp == LANES, "one multiplier per lane"
    # 7-series packs the data register into the multiplier; the table's read register may be
    # replicated.
    packed = LANES * BITS if device.family == "xc7" else 0
    assert REGISTERS - packed <= area.ff <= REGISTERS + BITS + 4
    assert (
        0 < area.lut < 150
        and area.lut == sum(_luts(kind) * n for kind, n in area.cells.items()) + area.lutram
    )
    assert area.bram_kbit == area.uram_kbit == 0, "16 words are no block RAM"
    assert area.tool.startswith("pyosys 0.") and "Executing SYNTH_" in area.log.read_text()
    share = area.share(device)
    assert share["dsp"] == LANES / device.dsp.value and max(share.values()) < 0.12


def _luts(kind: str) -> int:
    return 2 if kind == "CCU2C" else int(kind.startswith("LUT") or kind == "INV")


def test_debug_outputs_cost_nothing(design: Verilog, cache: Cache) -> None:
    ecp5 = FAMILIES[0]
    assert "output [35:0] probe_sum_data" in design.text
    area = synthesise(design, ecp5, cache)
    assert not any(kind.startswith("CCU2C") for kind in area.cells), (
        "the adder is there for the probe alone"
    )


def test_block_ram_is_counted(cache: Cache) -> None:
    area = synthesise(to_verilog(Scaler(1, 16, tuple(range(2048)))), FAMILIES[0], cache)
    assert (area.bram_blocks, area.bram_kbit) == (2, 36), "32 kbit of table in blocks of 18 kbit"


def test_the_second_time_no_tool_runs(
    design: Verilog, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = synthesise(design, FAMILIES[0], cache)
    monkeypatch.setattr(module, "run_yosys", lambda *_, **__: pytest.fail("Yosys ran again"))
    assert synthesise(design, FAMILIES[0], cache) == first
    changed = Verilog(design.top, design.text + "\n", design.memories, design.ports)
    with pytest.raises(pytest.fail.Exception, match="Yosys ran again"):
        synthesise(changed, FAMILIES[0], cache)


def test_a_design_yosys_refuses_shows_the_end_of_the_log(cache: Cache) -> None:
    wrong = Verilog(
        "broken",
        "module broken(input clk);\n  assign nothing = missing_function(clk);\nendmodule\n",
        {},
        (),
    )
    with pytest.raises(
        ToolError, match=r"Yosys: broken for ecp5 failed \(exit status 1\)"
    ) as caught:
        synthesise(wrong, FAMILIES[0], cache)
    assert "missing_function" in str(caught.value)
    assert caught.value.log.exists() and str(caught.value.log) in str(caught.value)


def test_shares_leave_out_what_a_device_has_none_of() -> None:
    small = find_device("LFE5U-25F")
    area = Area(12_144, 0, 14, 28, 504, 0, 0, {}, "none", 0.0, Path())
    assert area.share(small) == {"lut": 0.5, "ff": 0.0, "dsp": 0.5, "block_ram": 0.5}
