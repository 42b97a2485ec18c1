"""An engine as sources for Vivado: Tcl to build it, Tcl to package it as IP, its constraint.

Vivado was not at hand: the scripts follow its documentation (UG835, UG1118), tested as Tcl.
"""

import re
from pathlib import Path

from ernn.errors import UserError
from ernn.files import write_atomic
from ernn.flow.verilog import Verilog

_AXIS = ("TDATA", "TVALID", "TREADY", "TLAST", "TUSER", "TID")
_PART = re.compile(r"xc[a-z0-9]+-[a-z0-9-]+", re.IGNORECASE)

_BUILD = """# Synthesise, place and route {top} out of context for {part}.
# Reports and a checkpoint go into ./out.
#   vivado -mode batch -source build.tcl
# Written for Vivado's non-project mode; it has not been run by whoever generated it.
set here [file dirname [file normalize [info script]]]
set out [file join $here out]
file mkdir $out
read_verilog [file join $here rtl {top}.v]
{memories}read_xdc -mode out_of_context [file join $here {top}.xdc]
synth_design -top {top} -part {part} -mode out_of_context -flatten_hierarchy rebuilt
opt_design
place_design
phys_opt_design
route_design
report_utilization -file [file join $out utilization.txt]
report_timing_summary -file [file join $out timing.txt]
write_checkpoint -force [file join $out {top}.dcp]
"""

_PACKAGE = """# Package {top} as IP with AXI4-Stream interfaces s_axis and m_axis, in ./ip.
#   vivado -mode batch -source package_ip.tcl
# It has not been run by whoever generated it.
set here [file dirname [file normalize [info script]]]
set ip [file join $here ip]
create_project -in_memory -part {part}
add_files -norecurse [glob [file join $here rtl *]]
set_property top {top} [current_fileset]
update_compile_order -fileset sources_1
ipx::package_project -root_dir $ip -vendor {vendor} -library user -taxonomy /UserIP \\
    -import_files -force
set core [ipx::current_core]
set_property name {top} $core
set_property version 1.0 $core
set_property display_name {{ernn engine}} $core
set_property description {{{description}}} $core

proc axi_stream {{core name mode signals}} {{
    foreach bus [ipx::get_bus_interfaces $name -of_objects $core -quiet] {{
        ipx::remove_bus_interface $name $core
    }}
    set bus [ipx::add_bus_interface $name $core]
    set_property abstraction_type_vlnv xilinx.com:interface:axis_rtl:1.0 $bus
    set_property bus_type_vlnv xilinx.com:interface:axis:1.0 $bus
    set_property interface_mode $mode $bus
    foreach signal $signals {{
        set map [ipx::add_port_map $signal $bus]
        set_property physical_name ${{name}}_[string tolower $signal] $map
    }}
}}
axi_stream $core s_axis slave {{{signals}}}
axi_stream $core m_axis master {{{signals}}}

ipx::infer_bus_interface clk xilinx.com:signal:clock_rtl:1.0 $core
ipx::infer_bus_interface rst xilinx.com:signal:reset_rtl:1.0 $core
set reset [ipx::get_bus_interfaces rst -of_objects $core]
set polarity [ipx::add_bus_parameter POLARITY $reset]
set_property value ACTIVE_HIGH $polarity
foreach bus {{s_axis m_axis}} {{
    ipx::associate_bus_interfaces -busif $bus -clock clk $core
}}
ipx::associate_bus_interfaces -clock clk -reset rst $core
ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::check_integrity $core
ipx::save_core $core
close_project
"""


def require_part(part: str) -> None:
    """UserError for what is no part's name."""
    if not _PART.fullmatch(part):
        raise UserError(
            f"a Vivado part has package and speed grade, such as xc7z020clg400-1, not {part!r}"
        )


def vivado_project(
    verilog: Verilog, folder: Path, *, part: str, clock_mhz: float, description: str
) -> list[Path]:
    """Write Verilog and memories into `folder`/rtl, beside them constraints and Tcl; their paths.

    `part` as Vivado names it, with package and speed grade (xc7z020clg400-1), else UserError.
    """
    require_part(part)
    if not 1 <= clock_mhz <= 1000:
        raise UserError(f"a clock is 1 to 1000 MHz, not {clock_mhz:g}")
    if re.search(r"[\\{}]", description):
        raise UserError(f"a description for Tcl has no braces and no backslash: {description!r}")
    missing = [name for name in _wanted() if verilog.port(name) is None]
    if missing:
        raise UserError(f"{verilog.top} lacks the ports {', '.join(missing)} of an engine")
    source = verilog.write(folder / "rtl")
    names = " ".join(f"[file join $here rtl {name}]" for name in sorted(verilog.memories))
    memories = f"read_mem [list {names}]\n" if names else ""
    common = {"top": verilog.top, "part": part}
    period = f"{1000 / clock_mhz:.3f}"
    texts = {
        f"{verilog.top}.xdc": f"create_clock -name clk -period {period} [get_ports clk]\n",
        "build.tcl": _BUILD.format(**common, memories=memories),
        "package_ip.tcl": _PACKAGE.format(
            **common, vendor="ernn", description=description, signals=" ".join(_AXIS)
        ),
    }
    return [source, *(write_atomic(folder / name, text) for name, text in texts.items())]


def _wanted() -> list[str]:
    streams = [f"{side}_axis_{signal.lower()}" for side in "sm" for signal in _AXIS]
    return ["clk", "rst", "error", *streams]
