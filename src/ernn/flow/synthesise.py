"""Area by Yosys: cells of a design on a device's family, counted from its JSON."""

import inspect
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ernn.estimate.device import Device, Family
from ernn.flow import netlist, pack, tools
from ernn.flow.cache import Cache, cache_key
from ernn.flow.verilog import Verilog
from ernn.flow.yosys import LOG, run_yosys
from ernn.ground.reading import read_json

NETLIST = "netlist.json"
SYNTHESIS_SECONDS = 3600
_STAT = "stat.json"
_SECONDS = "seconds.json"
_RESET = 500

# LUTs per cell. ECP5: a carry cell holds two LUT4; a 16x4 memory takes four for its bits and two
# for its write port.
_ECP5_LUT = {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 6}
_ECP5_LUTRAM = {"TRELLIS_DPR16X4": 6}
_XILINX_LOGIC = {"INV": 1, **{f"LUT{inputs}": 1 for inputs in range(1, 7)}}
_XILINX_LUTRAM = {
    **{
        "SRL16E": 1,
        "SRLC16E": 1,
        "SRLC32E": 1,
        "RAM32X1S": 1,
        "RAM64X1S": 1,
        "RAM32X1D": 2,
        "RAM64X1D": 2,
    },
    **{"RAM128X1S": 2, "RAM128X1D": 4, "RAM256X1S": 4, "RAM256X1D": 8, "RAM512X1S": 8},
    **{"RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8, "RAM64X8SW": 8},
}
_DSP = {"MULT18X18D": 1, "DSP48E1": 1, "DSP48E2": 1}
_BLOCK_RAM_KBIT = {
    "DP16KD": 18,
    "PDPW16KD": 18,
    "RAMB18E1": 18,
    "RAMB18E2": 18,
    "RAMB36E1": 36,
    "RAMB36E2": 36,
}
_ULTRA_RAM_KBIT = {"URAM288": 288}


@dataclass(frozen=True)
class Area:
    """What a design takes after synthesis, before placement.

    `lut`: LUTs, those used as memory (`lutram`) among them; `bram_blocks`: block RAMs, on ECP5 of
    18 kbit, on Xilinx of 18 or 36; `bram_kbit`, `uram_kbit`: capacity of the blocks taken, not
    bits used.  `cells`: every cell type. `tool`: name and version.  `seconds`: when it was run,
    not when it was found in the cache.
    """

    lut: int
    ff: int
    dsp: int
    bram_blocks: int
    bram_kbit: int
    uram_kbit: int
    lutram: int
    cells: Mapping[str, int]
    tool: str
    seconds: float
    log: Path

    def share(self, device: Device) -> dict[str, float]:
        """Used over available, 1.0 is all: `lut`, `ff`, `dsp`, `block_ram`, and any `ultra_ram`."""
        pairs = {
            "lut": (self.lut, device.lut),
            "ff": (self.ff, device.ff),
            "dsp": (self.dsp, device.dsp),
            "block_ram": (self.bram_kbit, device.block_ram),
            "ultra_ram": (self.uram_kbit, device.ultra_ram),
        }
        return {name: used / figure.value for name, (used, figure) in pairs.items() if figure.value}


def synthesise(
    verilog: Verilog,
    device: Device,
    cache: Cache | None = None,
    *,
    timeout: float = SYNTHESIS_SECONDS,
    placed: bool = False,
) -> Area:
    """Area of `verilog` on `device`, without outputs for debugging (`probe_*`, `event_*`).

    On ECP5 registers are packed into multipliers and block RAMs, and flip-flops with many loads
    copied, after Yosys (`ernn.flow.pack`).  What Yosys does not do, so that figures are read
    rightly: on UltraScale (xcu, xcup) no register and no addition is packed into DSP48E2, where on
    7-series both are: quote 7-series LUT and FF as a proxy and say so.

    `placed`: of the netlist that `ernn.flow.place` places on ECP5, whose flip-flops' reset inputs
    are hardly used: some more look-up tables.

    ToolError with the log where Yosys fails or runs longer than `timeout` seconds.
    """
    entry = synthesis_entry(
        verilog, device.family, cache or Cache.default(), timeout, placed=placed
    )
    counted = read_json(entry / _STAT)["design"]["num_cells_by_type"]
    # A $scopeinfo is no hardware.
    cells = {kind: count for kind, count in counted.items() if not kind.startswith("$")}
    seconds = read_json(entry / _SECONDS)
    return _area(cells, tools.yosys().identity, seconds, entry / LOG)


def synthesis_entry(
    verilog: Verilog,
    family: Family,
    cache: Cache,
    timeout: float = SYNTHESIS_SECONDS,
    *,
    placed: bool = False,
) -> Path:
    """The cache's folder with a design's synthesis: log, statistics and, for ECP5, `netlist.json`,
    for nextpnr where it is to be `placed`."""
    commands = _commands(verilog.top, family, placed)
    packing = [inspect.getsource(module) for module in (netlist, pack)] if family == "ecp5" else []
    key = cache_key(verilog.digest, tools.yosys().identity, *commands, *packing)

    def make(directory: Path) -> None:
        verilog.write(directory)
        what = f"Yosys: {verilog.top} for {family}"
        seconds = run_yosys(commands, directory, what=what, timeout=timeout)
        (directory / _SECONDS).write_text(json.dumps(seconds))
        if family == "ecp5":
            _pack(directory, verilog.top)

    return cache.entry("synthesis", key, make)


def _pack(directory: Path, top: str) -> None:
    """Pack the netlist that Yosys left, and count its cells again."""
    design = netlist.Netlist.read(directory / NETLIST, top)
    pack.pack(design)
    design.write(directory / NETLIST)
    counted = Counter(cell["type"] for cell in design.cells.values())
    (directory / _STAT).write_text(
        json.dumps({"design": {"num_cells_by_type": dict(sorted(counted.items()))}})
    )


def _commands(top: str, family: Family, placed: bool) -> list[str]:
    return [
        f"read_verilog {top}.v",
        f"delete -port {top}/o:probe_* {top}/o:event_*",
        *(_ecp5_commands(top, placed) if family == "ecp5" else _xilinx_commands(top, family)),
        f"tee -q -o {_STAT} stat -json",
    ]


def _xilinx_commands(top: str, family: Family) -> list[str]:
    return [f"synth_xilinx -family {family} -flatten -noiopad -noclkbuf -top {top}"]


def _ecp5_commands(top: str, placed: bool) -> list[str]:
    """synth_ecp5; in what is placed, resets of fewer than `_RESET` flip-flops are logic.  Yosys
    makes resets of logic by the hundred, eight flip-flops side by side share two at most, and the
    way to a reset input is a long one."""
    # -no-rw-check: no word is read in the cycle in which it is written, so that what comes then is
    # free
    synth = f"synth_ecp5 -noiopad -no-rw-check -top {top}"
    if not placed:
        return [f"{synth} -json {NETLIST}"]
    cells = (
        "$_DFF_?_ 01",
        "$_DFF_?P?_ r",
        "$_SDFF_?P?_ r",
        "$_DFFE_??_ 01",
        "$_DFFE_?P??_ r",
        "$_SDFFE_?P??_ r",
    )
    legal = " ".join(f"-cell {cell}" for cell in (*cells, "$_DLATCH_?_ x"))
    return [
        f"{synth} -run begin:map_ffs",
        "opt_clean",
        f"dfflegalize {legal} -minsrst {_RESET}",
        f"{synth} -run map_ffs: -json {NETLIST}",
    ]


def _total(cells: Mapping[str, int], weights: Mapping[str, int]) -> int:
    return sum(count * weights.get(kind, 0) for kind, count in cells.items())


def _area(cells: dict[str, int], tool: str, seconds: float, log: Path) -> Area:
    lutram = _ECP5_LUTRAM | _XILINX_LUTRAM
    return Area(
        lut=_total(cells, _ECP5_LUT | _XILINX_LOGIC | _XILINX_LUTRAM),
        ff=sum(
            count for kind, count in cells.items() if kind == "TRELLIS_FF" or kind.startswith("FD")
        ),
        dsp=_total(cells, _DSP),
        bram_blocks=_total(cells, dict.fromkeys(_BLOCK_RAM_KBIT, 1)),
        bram_kbit=_total(cells, _BLOCK_RAM_KBIT),
        uram_kbit=_total(cells, _ULTRA_RAM_KBIT),
        lutram=_total(cells, lutram),
        cells=cells,
        tool=tool,
        seconds=seconds,
        log=log,
    )
