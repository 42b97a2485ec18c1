"""Verilog to a shared library that simulates it: Verilator, then the C++ compiler, kept by digest.

Memory contents are not compiled in: designs that differ only in their weights share one library.
"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from ernn.flow import tools
from ernn.flow.cache import Cache, cache_key
from ernn.flow.process import run, side_by_side
from ernn.flow.verilog import Verilog

LIBRARY = "simulation.so"
COMPILE_SECONDS = 1800
_UNIT_BYTES = 80_000
_VERILATOR = (
    "--cc",
    "--prefix",
    "Vdut",
    "-O3",
    "--x-assign",
    "fast",
    "--x-initial",
    "fast",
    "--no-timing",
    "-Wno-fatal",
)
_SPLIT = ("--output-split", "20000", "--output-split-cfuncs", "5000")
_CXX = ("-std=c++17", "-fPIC", "-DVL_TIME_CONTEXT", "-w")
_LEVEL = (
    "-O1"  # -O2: a third faster to run, half as long again to build; demo and tests mostly build
)
_READ_MEMORY = """initial begin : read_memory_{number}
    string folder;
    if ($value$plusargs("memories=%s", folder)) $readmemb({{folder, "/{name}"}}, {memory});
  end
"""
_RUNTIME_SOURCES = ("verilated.cpp", "verilated_threads.cpp")
_HEADER = "precompiled.h"  # what every file of a simulation begins with: half of its time
_HEADERS = '#include "verilated.h"\n#include <map>\n#include <string>\n#include <vector>\n'


def probe_names(verilog: Verilog) -> tuple[str, ...]:
    """Names of probes: outputs `probe_<name>_en`, `_addr`, `_data`, in the order of the ports."""
    names = (port.name for port in verilog.ports)
    return tuple(
        n.removeprefix("probe_").removesuffix("_en")
        for n in names
        if n.startswith("probe_") and n.endswith("_en")
    )


def event_ports(verilog: Verilog) -> dict[str, str]:
    """Events by name: outputs `event_<name>`, and other single outputs but streams and probes."""
    outputs = (
        port.name for port in verilog.ports if port.direction == "output" and port.width == 1
    )
    return {
        name.removeprefix("event_"): name
        for name in outputs
        if name.startswith("event_") or not name.startswith(("s_axis_", "m_axis_", "probe_"))
    }


def library(verilog: Verilog, cache: Cache) -> Path:
    """The shared library that simulates `verilog`, from the cache or made now (up to a minute)."""
    shim = files("ernn.flow").joinpath("axi_shim.cpp").read_text()
    probes = "".join(f"PROBE({name})\n" for name in probe_names(verilog))
    probes += "".join(f"EVENT({port})\n" for port in event_ports(verilog).values())
    options = (*_VERILATOR, *_SPLIT, *_CXX, _LEVEL)
    identity = (tools.verilator().identity, tools.compiler().identity)
    key = cache_key(verilog.text_digest, shim, probes, *identity, *options)
    runtime = _runtime(cache)

    def make(directory: Path) -> None:
        (directory / "axi_shim.cpp").write_text(shim)
        (directory / "probes.inc").write_text(probes)
        (directory / "design.v").write_text(_memories_at_run_time(verilog))
        _build(verilog.top, directory, runtime)

    return cache.entry("simulation", key, make) / LIBRARY


def _memories_at_run_time(verilog: Verilog) -> str:
    """The text, its memory files looked for in the folder a simulation is told (+memories=)."""
    text = verilog.text
    for number, name in enumerate(sorted(verilog.memories)):
        before, found, rest = text.partition(f'initial $readmemb("{name}", ')
        memory, _, after = rest.partition(");\n")
        if not found:
            raise RuntimeError(
                f"{verilog.top} has memory contents {name} but no $readmemb that reads them"
            )
        text = before + _READ_MEMORY.format(number=number, name=name, memory=memory) + after
    return text


def _build(top: str, directory: Path, runtime: Path) -> None:
    root = tools.verilator_root()
    run(
        [
            *tools.verilator().command,
            *_VERILATOR,
            *_SPLIT,
            "--top-module",
            top,
            "--Mdir",
            ".",
            "-sv",
            "design.v",
        ],
        directory,
        directory / "verilator.log",
        what=f"Verilator: {top} to C++",
        timeout=COMPILE_SECONDS,
        environment={"VERILATOR_ROOT": str(root)},
    )
    headers = ["-include", str(runtime / _HEADER), f"-I{root}/include", "-I."]
    objects = _compile(_units(directory), directory, [*headers, _LEVEL])
    compiler = tools.compiler().command
    run(
        [*compiler, "-shared", "-o", LIBRARY, *objects, *sorted(runtime.glob("*.o")), "-pthread"],
        directory,
        directory / "link.log",
        what=f"C++ compiler: link the simulation of {top}",
        timeout=COMPILE_SECONDS,
    )
    # Megabytes that nobody reads again go; logs that say something are kept.
    for file in directory.iterdir():
        if file.name not in (LIBRARY, "design.v") and not (
            file.suffix == ".log" and file.stat().st_size
        ):
            file.unlink()


def _units(directory: Path) -> list[Path]:
    """Few C++ files that include the many small ones: most of a small file's time is headers."""
    groups: list[list[Path]] = [[]]
    for source in sorted(
        directory.glob("*.cpp"), key=lambda path: (-path.stat().st_size, path.name)
    ):
        if sum(path.stat().st_size for path in groups[-1]) > _UNIT_BYTES:
            groups.append([])
        groups[-1].append(source)
    units = [directory / f"unit_{number}.cpp" for number in range(len(groups))]
    for unit, group in zip(units, groups, strict=True):
        unit.write_text("".join(f'#include "{source.name}"\n' for source in group))
    return units


def _runtime(cache: Cache) -> Path:
    """Verilator's own runtime and headers, compiled once for all designs."""
    include = tools.verilator_root() / "include"
    identity = (tools.verilator().identity, tools.compiler().identity)
    key = cache_key(*identity, *_CXX, _LEVEL, _HEADERS)

    def make(directory: Path) -> None:
        _compile([include / name for name in _RUNTIME_SOURCES], directory, [f"-I{include}", "-O2"])
        (directory / _HEADER).write_text(_HEADERS)
        options = [f"-I{include}", _LEVEL, "-x", "c++-header"]
        _object(directory / _HEADER, directory, options, f"{_HEADER}.gch")

    return cache.entry("verilator-runtime", key, make)


def _compile(sources: Sequence[Path], directory: Path, options: Sequence[str]) -> list[str]:
    """Compile sources side by side, one per core; names of the object files in `directory`."""
    return side_by_side(lambda source: _object(source, directory, options), sources)


def _object(source: Path, directory: Path, options: Sequence[str], name: str = "") -> str:
    name = name or f"{source.stem}.o"
    run(
        [
            *tools.compiler().command,
            *_CXX,
            *options,
            f"-I{tools.verilator_root()}/include/vltstd",
            "-c",
            source,
            "-o",
            name,
        ],
        directory,
        directory / f"{source.stem}.log",
        what=f"C++ compiler: {source.name}",
        timeout=COMPILE_SECONDS,
    )
    return name
