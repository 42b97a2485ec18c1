"""Place and route by nextpnr for Lattice ECP5: the clock per seed, from nextpnr's JSON report.

In one run of nextpnr, but a large netlist is placed in one and routed in another. Routing ends
there where in one run it did not, and is repeated for another grade, or where it was stopped, on
the same placement. Of a small one, one run gave the faster clock of the two (164 and 154 MHz, the
demo's).
"""

import inspect
import json
import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ernn.errors import UserError
from ernn.estimate.device import Device, devices
from ernn.flow import floorplan, sharing, tools
from ernn.flow.cache import Cache, cache_key
from ernn.flow.harness import with_pins
from ernn.flow.netlist import Netlist
from ernn.flow.process import run, side_by_side
from ernn.flow.synthesise import NETLIST, synthesis_entry
from ernn.flow.verilog import Verilog
from ernn.ground.reading import read_json

PLACE_SECONDS = 3600
LARGE = 80_000
"""Cells of a netlist, from which on placing and routing are two runs."""
LOG = "nextpnr.log"
_REPORT = "report.json"
_PLACED = "placed.json"
_SIZE = "cells.json"
_SECONDS = "seconds.json"


@dataclass(frozen=True)
class CriticalPath:
    """The slowest path between registers: `start` and `end` cells, ns in all, logic, routing."""

    start: str
    end: str
    delay_ns: float
    logic_ns: float
    routing_ns: float


@dataclass(frozen=True)
class Placed:
    """One seed's result. `utilisation`: (used, available) by nextpnr's cells. `seconds` it ran."""

    seed: int
    clock_mhz: float
    utilisation: Mapping[str, tuple[int, int]]
    critical_path: CriticalPath
    seconds: float
    log: Path


@dataclass(frozen=True)
class Placement:
    """A design placed and routed once per seed. Cells include the pins' (`ernn.flow.harness`).

    The clock is nextpnr's timing model, at the slow corner of `grade`; it is no
    vendor sign-off. Seeds of one design can differ by tens of MHz: use three or more,
    read `median_mhz` and `best_mhz`.
    """

    device: str
    grade: int
    target_mhz: float
    tool: str
    runs: tuple[Placed, ...]

    @property
    def clock_mhz(self) -> tuple[float, ...]:
        """MHz by seed, in the order asked for."""
        return tuple(run.clock_mhz for run in self.runs)

    @property
    def median_mhz(self) -> float:
        """The middle seed's clock."""
        return statistics.median(self.clock_mhz)

    @property
    def best_mhz(self) -> float:
        """The fastest seed's clock."""
        return max(self.clock_mhz)


def place(
    verilog: Verilog,
    device: Device,
    *,
    grade: int | None = None,
    seeds: Sequence[int] = (1,),
    target_mhz: float = 200.0,
    cache: Cache | None = None,
    timeout: float = PLACE_SECONDS,
) -> Placement:
    """Place and route `verilog` behind pins, once per seed, as many at a time as there are cores.

    `grade`: the device's speed grade, the slowest by default; of a large netlist all grades of a
    seed have the same placement, made for the slowest.  `target_mhz` is what nextpnr works
    towards; missing it is no error.  UserError for a device that cannot be placed or a grade it
    does not come in; ToolError with the log where Yosys or nextpnr fails (a design that does not
    fit) or one run of them takes longer than `timeout` seconds.
    """
    grade = grade_of(device, grade)
    if not seeds or len(set(seeds)) != len(seeds):
        raise UserError(f"seeds must be different numbers, at least one, not {tuple(seeds)}")
    cache = cache or Cache.default()
    pins = with_pins(verilog)
    synthesised = synthesis_entry(pins, device.family, cache, timeout, placed=True) / NETLIST
    netlist = _planned(synthesised, pins.top, device, cache)
    _prepare(cache)
    options = ("--freq", f"{target_mhz:g}", *_options(device))

    def one(seed: int) -> Placed:
        def run_of(kind: str, source: Path, grade: int, *more: str) -> Path:
            own = ("--seed", str(seed), "--speed", str(grade), *more)
            return _nextpnr(kind, source, (*options, *own), f"seed {seed}", cache, timeout)

        if read_json(netlist.with_name(_SIZE)) < LARGE:
            return _placed(seed, (run_of("place", netlist, grade),))
        there = run_of("placement", netlist, device.grades[0], "--no-route", "--write", _PLACED)
        routed = run_of("routing", there / _PLACED, grade, "--no-pack", "--no-place")
        return _placed(seed, (there, routed))

    return Placement(
        device.name,
        grade,
        target_mhz,
        tools.nextpnr_ecp5().identity,
        tuple(side_by_side(one, seeds)),
    )


def grade_of(device: Device, grade: int | None) -> int:
    """`grade`, or the device's slowest; UserError if the device has no such grade or no placer."""
    if not device.can_be_placed:
        placeable = ", ".join(d.name for d in devices() if d.can_be_placed)
        raise UserError(
            f"{device.name} has no open place and route, only area; place one of {placeable}"
        )
    if grade is not None and grade not in device.grades:
        raise UserError(
            f"{device.name} comes in grades {', '.join(map(str, device.grades))}, not {grade}"
        )
    return device.grades[0] if grade is None else grade


def _options(device: Device) -> tuple[str, ...]:
    part = (device.nextpnr, "--package", device.package)
    tools = ("--placer", "heap", "--router", "router1")
    return *part, *tools, "--timing-allow-fail", "--lpf-allow-unconstrained"


def _prepare(cache: Cache) -> None:
    """Let nextpnr compile itself for this machine once, before several start at the same time."""
    tool = tools.nextpnr_ecp5()

    def make(directory: Path) -> None:
        run(
            [*tool.command, "--version"],
            directory,
            directory / LOG,
            what="nextpnr: first start",
            timeout=600,
        )

    cache.entry("nextpnr", cache_key(tool.identity), make)


def _planned(synthesised: Path, top: str, device: Device, cache: Cache) -> Path:
    """The netlist in which the array's blocks have their places, and copies of flip-flops their
    loads by where these lie: the same for all seeds."""

    def make(directory: Path) -> None:
        netlist = Netlist.read(synthesised, top)
        if floorplan.floorplan(netlist, device):
            sharing.share(netlist)
        netlist.write(directory / NETLIST)
        (directory / _SIZE).write_text(json.dumps(len(netlist.cells)))

    steps = [inspect.getsource(module) for module in (floorplan, sharing)]
    key = cache_key(synthesised.parent.name, device.nextpnr, _SIZE, *steps)
    return cache.entry("floorplan", key, make) / NETLIST


def _nextpnr(
    kind: str, source: Path, options: Sequence[str], seed: str, cache: Cache, timeout: float
) -> Path:
    """The entry with what nextpnr makes of a netlist, or of one that is placed."""
    tool = tools.nextpnr_ecp5()

    def make(directory: Path) -> None:
        # nextpnr as WebAssembly sees only the directory it runs in
        shutil.copyfile(source, directory / NETLIST)
        command = (*tool.command, "--json", NETLIST, "--report", _REPORT, *options)
        what = f"nextpnr: {kind}, {seed}"
        seconds = run(command, directory, directory / LOG, what=what, timeout=timeout)
        (directory / _SECONDS).write_text(json.dumps(seconds))
        (directory / NETLIST).unlink()

    return cache.entry(kind, cache_key(source.parent.name, tool.identity, *options), make)


def _placed(seed: int, entries: Sequence[Path]) -> Placed:
    """From what nextpnr's runs left, the last one routed."""
    report, log = read_json(entries[-1] / _REPORT), entries[-1] / LOG
    clocks = [clock["achieved"] for clock in report["fmax"].values()]
    if len(clocks) != 1:
        raise UserError(
            f"a design must have one clock with paths between registers, not {len(clocks)}; see "
            f"{log}"
        )
    used = {kind: (row["used"], row["available"]) for kind, row in report["utilization"].items()}
    seconds = sum(read_json(one / _SECONDS) for one in entries)
    return Placed(seed, clocks[0], used, _critical(report["critical_paths"]), seconds, log)


def _critical(paths: list[dict[str, Any]]) -> CriticalPath:
    """nextpnr lists one path per pair of clocks; from a clock to itself it limits that clock."""
    path = next(p["path"] for p in paths if p["from"] == p["to"])
    routing = sum(step["delay"] for step in path if step["type"] == "routing")
    total = sum(step["delay"] for step in path)
    return CriticalPath(
        path[0]["from"]["cell"], path[-1]["to"]["cell"], total, total - routing, routing
    )
