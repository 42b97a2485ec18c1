"""A bitstream for an ECP5 board: the engine on a serial line, placed on the board's pins."""

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path

from ernn.errors import UserError
from ernn.flow import tools
from ernn.flow.boards import Board
from ernn.flow.cache import Cache, cache_key
from ernn.flow.process import run
from ernn.flow.serial_link import Wire
from ernn.flow.synthesise import NETLIST, synthesis_entry
from ernn.flow.verilog import Verilog, to_verilog
from ernn.ground.reading import read_json
from ernn.ir.edges import data_bits
from ernn.rtl.board import BoardTop, pll_for
from ernn.rtl.engine import Engine
from ernn.rtl.serial import SerialEngine
from ernn.scheduling.lines import address_bits
from ernn.scheduling.schedule import Schedule

TOP, BITSTREAM = "ernn_board", "ernn.bit"
SECONDS = 3600
_CONFIG, _LPF, _REPORT = "ernn.config", "board.lpf", "report.json"
_BAUD_ERROR = (
    0.025  # of a bit time; ten bits may drift by half a bit in all, the other end's error included
)


@dataclass(frozen=True)
class Bitstream:
    """`path` of the file; `clock_mhz` it runs at, `reached_mhz` by nextpnr; the line's `baud`."""

    board: str
    path: Path
    clock_mhz: float
    reached_mhz: float
    baud: int
    wire: Wire
    log: Path


def wire_of(schedule: Schedule) -> Wire:
    """What the host must know of an engine's frames."""
    model, layout = schedule.layout.model, schedule.layout
    outputs = tuple(signal.length for signal in model.results)
    bits, streams = data_bits(model), layout.design.streams
    return Wire(model.input.length, outputs, bits, layout.line, streams)


def serial_engine(schedule: Schedule, clocks_per_bit: int) -> SerialEngine:
    """The bridge around an engine's module; `with_engine` adds that module."""
    if schedule.layout.design.once:
        raise UserError(
            "on the serial line every packet is a frame, and a design with once=True takes "
            "sequences: take once=False"
        )
    wire = wire_of(schedule)
    beats, tid_bits = wire.beats(wire.inputs), address_bits(wire.streams)
    return SerialEngine("ernn_engine", wire.beat_bytes, tid_bits, beats, clocks_per_bit)


def with_engine(outer: Verilog, schedule: Schedule) -> Verilog:
    """`outer`, and the module `ernn_engine` that it instantiates."""
    engine = to_verilog(Engine(schedule))
    return dataclasses.replace(
        outer, text=outer.text + "\n" + engine.text, memories=engine.memories
    )


def clocks_per_bit(clock_mhz: float, baud: int) -> int:
    """Cycles of a bit; UserError where whole cycles are too far from the baud rate."""
    exact = clock_mhz * 1e6 / baud
    whole = round(exact)
    if whole < 8 or abs(whole - exact) / exact > _BAUD_ERROR:
        raise UserError(
            f"{baud} baud is {exact:.2f} cycles a bit at {clock_mhz:g} MHz: choose one that is 8 "
            f"whole cycles or more, to {_BAUD_ERROR:.1%}"
        )
    return whole


def board_verilog(schedule: Schedule, board: Board, clock_mhz: float, baud: int) -> Verilog:
    """All that goes onto the board, as one text."""
    inner = serial_engine(schedule, clocks_per_bit(clock_mhz, baud))
    top = to_verilog(BoardTop(inner, pll_for(board.clock_mhz, clock_mhz)), TOP)
    return with_engine(top, schedule)


def bitstream(
    schedule: Schedule,
    board: Board,
    *,
    clock_mhz: float,
    baud: int,
    seed: int = 1,
    cache: Cache | None = None,
) -> Bitstream:
    """Synthesise, place, route and pack.

    UserError where the clock is not reached, by nextpnr's timing model, or no PLL makes it;
    ToolError where a tool fails or the engine does not fit.
    """
    cache = cache or Cache.default()
    verilog = board_verilog(schedule, board, clock_mhz, baud)
    netlist = synthesis_entry(verilog, "ecp5", cache, placed=True) / NETLIST
    options = (
        *board.flags,
        "--lpf",
        _LPF,
        "--seed",
        str(seed),
        "--timing-allow-fail",
        "--router",
        "router1",
    )
    place, pack = tools.nextpnr_ecp5(), tools.ecppack()

    def make(directory: Path) -> None:
        shutil.copyfile(netlist, directory / NETLIST)
        (directory / _LPF).write_text(board.lpf)
        command = [
            *place.command,
            "--json",
            NETLIST,
            "--textcfg",
            _CONFIG,
            "--report",
            _REPORT,
            *options,
        ]
        run(
            command,
            directory,
            directory / "nextpnr.log",
            what=f"nextpnr: {board.name}, seed {seed}",
            timeout=SECONDS,
        )
        (directory / NETLIST).unlink()
        command = [*pack.command, "--compress", "--input", _CONFIG, "--bit", BITSTREAM]
        run(
            command,
            directory,
            directory / "ecppack.log",
            what=f"ecppack: {board.name}",
            timeout=SECONDS,
        )

    key = cache_key(
        verilog.digest, board.lpf, tools.yosys().identity, place.identity, pack.identity, *options
    )
    entry = cache.entry("bitstream", key, make)
    reached = max(clock["achieved"] for clock in read_json(entry / _REPORT)["fmax"].values())
    if reached < clock_mhz:
        raise UserError(
            f"{board.name} reaches {reached:.1f} MHz with seed {seed}, not {clock_mhz:g}: "
            "take a slower clock or another seed"
        )
    log = entry / "nextpnr.log"
    return Bitstream(
        board.name, entry / BITSTREAM, clock_mhz, reached, baud, wire_of(schedule), log
    )
