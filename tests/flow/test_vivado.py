"""The Vivado export: what its Tcl asks for, by a Tcl interpreter in which
Vivado's commands only take notes.

Vivado itself is not run: it is proprietary and not here.
"""

import tkinter
from pathlib import Path

import numpy as np
import pytest

from ernn.errors import UserError
from ernn.flow.verilog import Verilog, to_verilog
from ernn.flow.vivado import vivado_project
from ernn.rtl.engine import Engine
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import schedule
from tests.models import random_integer_model

COMMANDS = (
    "read_verilog read_mem read_xdc synth_design opt_design place_design phys_opt_design "
    "route_design report_utilization report_timing_summary write_checkpoint create_project "
    "add_files set_property current_fileset update_compile_order close_project create_clock "
    "get_ports ipx::package_project ipx::current_core ipx::get_bus_interfaces "
    "ipx::remove_bus_interface ipx::add_bus_interface ipx::add_port_map ipx::infer_bus_interface "
    "ipx::add_bus_parameter ipx::associate_bus_interfaces ipx::create_xgui_files "
    "ipx::update_checksums ipx::check_integrity ipx::save_core"
)


@pytest.fixture(scope="module")
def engine() -> Verilog:
    model = random_integer_model(
        np.random.default_rng(0), cell="gru", input_size=6, hidden=8, block=4
    )
    return to_verilog(Engine(schedule(model, Design(pes=1, streams=2))))


@pytest.fixture(scope="module")
def folder(engine: Verilog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("vivado")
    vivado_project(
        engine, made, part="xc7z020clg400-1", clock_mhz=150, description="a GRU of 8 units"
    )
    return made


def said(script: Path) -> list[list[str]]:
    """Every call of a Vivado command that running a script makes, in order."""
    interpreter = tkinter.Tcl()
    calls: list[list[str]] = []

    def note(*words: str) -> str:
        calls.append([str(word) for word in words])
        return words[0].rpartition("::")[2] + ("." + words[1] if len(words) > 1 else "")

    interpreter.createcommand("note", note)
    interpreter.eval("namespace eval ipx {}")
    for command in COMMANDS.split():
        interpreter.eval(f"proc {command} {{args}} {{ note {command} {{*}}$args }}")
    interpreter.eval(f"source {{{script}}}")
    return calls


def test_the_build_reads_every_file_and_goes_through_every_step(
    folder: Path, engine: Verilog
) -> None:
    calls = said(folder / "build.tcl")
    names = [call[0] for call in calls]
    steps = [
        "read_verilog",
        "read_mem",
        "read_xdc",
        "synth_design",
        "opt_design",
        "place_design",
        "route_design",
    ]
    assert [name for name in names if name in steps] == steps
    files = calls[0][1:] + calls[1][1].split() + calls[2][-1:]
    assert all(Path(file).is_file() for file in files), files
    assert {Path(file).name for file in calls[1][1].split()} == set(engine.memories)
    synth = calls[names.index("synth_design")]
    assert (
        synth[synth.index("-part") + 1] == "xc7z020clg400-1"
        and synth[synth.index("-top") + 1] == "ernn_engine"
    )
    assert (folder / "out").is_dir()


def test_the_constraint_is_the_clock(folder: Path) -> None:
    [ports, clock] = said(folder / "ernn_engine.xdc")
    assert ports == ["get_ports", "clk"]
    assert clock[clock.index("-period") + 1] == "6.667"


def test_the_package_names_both_streams_with_all_their_signals(
    folder: Path, engine: Verilog
) -> None:
    calls = said(folder / "package_ip.tcl")
    physical = [call[2] for call in calls if call[:2] == ["set_property", "physical_name"]]
    assert sorted(physical) == sorted(port.name for port in engine.ports if "axis" in port.name)
    modes = [call[2:] for call in calls if call[:2] == ["set_property", "interface_mode"]]
    assert modes == [["slave", "add_bus_interface.s_axis"], ["master", "add_bus_interface.m_axis"]]
    associated = [call[1:5] for call in calls if call[0] == "ipx::associate_bus_interfaces"]
    assert associated == [
        ["-busif", "s_axis", "-clock", "clk"],
        ["-busif", "m_axis", "-clock", "clk"],
        ["-clock", "clk", "-reset", "rst"],
    ]
    assert ["set_property", "value", "ACTIVE_HIGH", "add_bus_parameter.POLARITY"] in calls
    added = next(call for call in calls if call[0] == "add_files")[2].split()
    assert {Path(file).name for file in added} == {"ernn_engine.v", *engine.memories}
    assert calls[-2:] == [["ipx::save_core", "current_core"], ["close_project"]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"part": "XC7Z020"},
            "a Vivado part has package and speed grade, such as xc7z020clg400-1, not 'XC7Z020'",
        ),
        ({"clock_mhz": 0.0}, "a clock is 1 to 1000 MHz, not 0"),
        ({"description": "a } b"}, "no braces and no backslash"),
    ],
)
def test_what_is_refused(engine: Verilog, tmp_path: Path, options: dict, message: str) -> None:
    given = {"part": "xc7z020clg400-1", "clock_mhz": 100.0, "description": ""} | options
    with pytest.raises(UserError, match=message):
        vivado_project(engine, tmp_path, **given)
