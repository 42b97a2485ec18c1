"""Verilog to a shared library that simulates it: Verilator, then the C++ compiler, kept by digest.

Memory contents are not compiled in: designs that differ only in their weights share one library.
What drives the ports is compiled once for all designs. Where few cycles are to be simulated, the
C++ compiler does not optimise the design.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ernn.flow import tools
from ernn.flow.cache import Cache, cache_key
from ernn.flow.process import run, side_by_side
from ernn.flow.verilog import Verilog

LIBRARY = "simulation.so"
_KIND = "simulation"
COMPILE_SECONDS = 1800
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
    "--no-decoration",
    "-Wno-fatal",
)
_SPLIT = ("--output-split", "20000", "--output-split-cfuncs", "5000")
_CXX = ("-std=c++14", "-fPIC", "-DVL_TIME_CONTEXT", "-w")
_READ_MEMORY = """initial begin : read_memory_{number}
    string folder;
    if ($value$plusargs("memories=%s", folder)) $readmemb({{folder, "/{name}"}}, {memory});
  end
"""
_RUNTIME_SOURCES = ("verilated.cpp", "verilated_threads.cpp")
_SHIM = ("axi_shim.cpp", "design_ports.h")
_PORTS = ("design_ports.cpp", "design_ports.h")
_HEADER = "precompiled.h"  # what every file of a simulation begins with: half of its time
_HEADERS = '#include "verilated.h"\n#include <map>\n#include <string>\n#include <vector>\n'


_MANY_SMALL = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=60000"}
"""Verilator frees and allocates small nodes: kept by the thread, they take it a third less time."""


@dataclass(frozen=True)
class Level:
    """`flag`: what the C++ compiler is told; `unit_bytes`: of source at a time, about."""

    flag: str
    unit_bytes: int


QUICK = Level("-O0", 2_000_000)
# -O2: a tenth faster to run, half as long again to build.
OPTIMISED = Level("-O1", 80_000)
# A cycle takes 0.8 to 1.5 us, and 3.3 to 7.1 of what is not optimised; to optimise takes as long as
# half a million of these, and half of that where units are compiled side by side.
FEW_CYCLES = 250_000


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


def library(verilog: Verilog, cache: Cache, cycles: int | None = None) -> Path:
    """The shared library that simulates `verilog`, from the cache or made now (up to a minute).

    `cycles`: how many are to be simulated, about; None: many.  An optimised library that is there
    already serves few as well.
    """
    few = cycles is not None and cycles < FEW_CYCLES
    level = QUICK if few and not cache.holds(_KIND, _key(verilog, OPTIMISED)) else OPTIMISED

    def make(directory: Path) -> None:
        _write(_driver(verilog), directory)
        (directory / "design.v").write_text(_memories_at_run_time(verilog))
        _build(verilog.top, directory, cache, level)

    return cache.entry(_KIND, _key(verilog, level), make) / LIBRARY


def _key(verilog: Verilog, level: Level) -> str:
    options = (*_VERILATOR, *_SPLIT, *_CXX, level.flag)
    texts = _driver(verilog) | _sources(_SHIM)
    return cache_key(verilog.text_digest, *texts.values(), *_identity(), *options)


def _identity() -> tuple[str, str]:
    return tools.verilator().identity, tools.compiler().identity


def _driver(verilog: Verilog) -> dict[str, str]:
    """The C++ between a design and `axi_shim.cpp`, and what it is told of its probes and events."""
    probes = "".join(f"PROBE({name})\n" for name in probe_names(verilog))
    probes += "".join(f"EVENT({port})\n" for port in event_ports(verilog).values())
    return _sources(_PORTS) | {"probes.inc": probes}


def _sources(names: Sequence[str]) -> dict[str, str]:
    return {name: files("ernn.flow").joinpath(name).read_text() for name in names}


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


def _build(top: str, directory: Path, cache: Cache, level: Level) -> None:
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
        environment={"VERILATOR_ROOT": str(tools.verilator_root())} | _MANY_SMALL,
    )
    units = _units(directory, level)
    objects = _compile(units, directory, _options(_header(cache, level), level))
    runtime = sorted(_runtime(cache).glob("*.o"))
    link = [*tools.compiler().command, *tools.fast_linking(), "-shared", "-pthread"]
    run(
        [*link, "-o", LIBRARY, *objects, *runtime],
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


def _units(directory: Path, level: Level) -> list[Path]:
    """Few C++ files that include the many small ones: most of a small file's time is headers."""
    groups: list[list[Path]] = [[]]
    for source in sorted(
        directory.glob("*.cpp"), key=lambda path: (-path.stat().st_size, path.name)
    ):
        if sum(path.stat().st_size for path in groups[-1]) > level.unit_bytes:
            groups.append([])
        groups[-1].append(source)
    names = ([source.name for source in group] for group in groups)
    return [_unit(directory / f"unit_{number}.cpp", one) for number, one in enumerate(names)]


def _unit(path: Path, sources: Sequence[str]) -> Path:
    path.write_text("".join(f'#include "{source}"\n' for source in sources))
    return path


def _write(texts: Mapping[str, str], directory: Path) -> None:
    for name, text in texts.items():
        (directory / name).write_text(text)


def _header(cache: Cache, level: Level) -> Path:
    """What every file of a simulation begins with, compiled once for all designs of a level."""

    def make(directory: Path) -> None:
        (directory / _HEADER).write_text(_HEADERS)
        options = [f"-I{_include()}", level.flag, "-x", "c++-header"]
        _object(directory / _HEADER, directory, options, f"{_HEADER}.gch")

    key = cache_key(*_identity(), *_CXX, level.flag, _HEADERS)
    return cache.entry("verilator-header", key, make) / _HEADER


def _runtime(cache: Cache) -> Path:
    """What drives a design's ports, and Verilator's own runtime: each cycle calls both.

    Compiled once for all designs, optimised, and for itself: the header of an optimised simulation
    takes half as long as this, and few need one.
    """
    texts = _sources(_SHIM)

    def make(directory: Path) -> None:
        _write(texts, directory)
        unit = _unit(directory / "runtime.cpp", [*_RUNTIME_SOURCES, _SHIM[0]])
        _object(unit, directory, [f"-I{_include()}", OPTIMISED.flag])

    key = cache_key(*_identity(), *_CXX, OPTIMISED.flag, *texts.values())
    return cache.entry("verilator-runtime", key, make)


def _include() -> Path:
    return tools.verilator_root() / "include"


def _options(header: Path, level: Level) -> list[str]:
    return ["-include", str(header), f"-I{_include()}", "-I.", level.flag]


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
            f"-I{_include()}/vltstd",
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
