"""The netlist that is placed, as Verilog: simulated, it must do what the engine does.

Yosys' own models of ECP5's cells, and ours of the two it has none of (`ecp5_cells.v`).  For small
configurations: every look-up table is simulated.
"""

import dataclasses
import shutil
import tempfile
from importlib.resources import as_file, files
from pathlib import Path

from ernn.flow.cache import Cache
from ernn.flow.synthesise import NETLIST, synthesis_entry
from ernn.flow.verilog import Verilog
from ernn.flow.yosys import run_yosys

_CELLS = "ecp5_cells.v"
_SECONDS = 1800


def as_synthesised(
    verilog: Verilog, cache: Cache | None = None, netlist: Path | None = None
) -> Verilog:
    """`verilog` as its packed netlist on ECP5, or as the one in a file (JSON) that was made of it:
    the same ports but for probes and events."""
    if netlist is None:
        cache = cache or Cache.default()
        netlist = synthesis_entry(verilog, "ecp5", cache, placed=True) / NETLIST
    ports = tuple(port for port in verilog.ports if not port.name.startswith(("probe_", "event_")))
    with (
        tempfile.TemporaryDirectory(prefix="ernn-netlist-") as folder,
        as_file(files("ernn.flow")) as flow,
    ):
        directory = Path(folder)
        shutil.copyfile(netlist, directory / NETLIST)
        shutil.copyfile(flow / _CELLS, directory / _CELLS)
        script = [
            f"read_verilog {_CELLS}",
            "read_verilog -nooverwrite -D NO_SPECIFY +/lattice/cells_sim_ecp5.v",
            f"read_json {NETLIST}",
            f"hierarchy -top {verilog.top}",
            "proc",
            "flatten",
            "rename -hide",
            "opt_expr",
            "opt_clean -purge",
            "memory_collect",
            f"write_verilog -noattr -extmem {verilog.top}.v",
        ]
        run_yosys(
            script, directory, what=f"Yosys: netlist of {verilog.top} as Verilog", timeout=_SECONDS
        )
        text = (directory / f"{verilog.top}.v").read_text().partition("\n")[2].lstrip()
        memories = {path.name: path.read_bytes() for path in sorted(directory.glob("*.mem"))}
    return dataclasses.replace(verilog, text=text, memories=memories, ports=ports)
