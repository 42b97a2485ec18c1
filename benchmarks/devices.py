"""Devices that no open tool places: a small engine synthesised for each, and
what Phase II chooses at full size.

    python benchmarks/devices.py            # docs/results/devices.md, and devices.json beside it
    python benchmarks/devices.py --layer    # only the layer; the small engine as the file has it

The small engine: a GRU of 16 units in blocks of 4, reading 8 numbers, 14 multipliers, two streams.
One synthesis a family; the flow's cache keeps them.  Yosys packs registers and additions into the
multipliers of 7-series (DSP48E1) and not into those of UltraScale (DSP48E2), which has the same
look-up tables and wider multipliers: for such a device the table gives beside Yosys's count what
7-series takes, as what a vendor's tool is expected to reach.  Both are estimates.

The layer: L16 of benchmarks/hardware.py.  Cycles are the schedule's; area and power
are predicted, the clock assumed.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cost_points import Net, scheduled
from hardware import random_model

from ernn.errors import UserError
from ernn.estimate import power
from ernn.estimate.clock import Clock
from ernn.estimate.device import Device, find_device
from ernn.files import write_atomic, write_json
from ernn.flow.synthesise import Area, synthesise
from ernn.flow.verilog import to_verilog
from ernn.report.published import ACCELERATORS
from ernn.rtl.engine import Engine
from ernn.scheduling.design import Design
from ernn.search.choice import Choice, Request
from ernn.search.hardware import search
from ernn.search.space import Goal

NAMES = ("XC7A100T", "XC7Z020", "XC7VX690T", "XCKU060", "ZU3EG", "ZU7EV")
PROXY = "XC7A100T"  # whose count stands for what a vendor's tool is expected to reach
SMALL, DESIGN = Net("gru", 8, 16, 4), Design(2, 2, 16, 2)
LAYER, PRODUCT = "L16", (16, 12)
GOAL: Goal = "throughput"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--layer", action="store_true", help="leave the small engine as it is")
    arguments = parser.parse_args()
    out, kept = arguments.out, arguments.out / "devices.json"
    first = json.loads(kept.read_text())["small"] if arguments.layer else small()
    result = {"small": first, "layer": layer()}
    write_json(kept, result)
    print(write_atomic(out / "devices.md", page(result)))


def small() -> list[dict[str, Any]]:
    """Yosys's counts of the small engine, and those expected of a vendor's tool."""
    verilog = to_verilog(Engine(scheduled(SMALL, DESIGN), probes=True))
    areas = {name: synthesise(verilog, find_device(name)) for name in NAMES}
    rows = []
    for name in NAMES:
        device = find_device(name)
        expected = areas[name] if device.family == "xc7" else areas[PROXY]
        rows.append(
            {
                "device": name,
                "yosys": counts(areas[name]),
                "expected": counts(expected),
                "tool": areas[name].tool,
            }
        )
    return rows


def counts(area: Area) -> dict[str, int]:
    return {"lut": area.lut, "ff": area.ff, "dsp": area.dsp, "block_ram_kbit": area.bram_kbit}


def layer() -> list[dict[str, Any]]:
    """What Phase II chooses for the layer."""
    model, rows = random_model(LAYER, 0), []
    for device in (*map(find_device, NAMES), find_device("LFE5U-85F")):
        try:
            best = search(model, Request(device, Clock.assumed(device), GOAL)).best
        except UserError as error:
            print(error, file=sys.stderr)
            continue
        rows.append({"device": device.name, "goal": GOAL, **described(device, best)})
        print(json.dumps(rows[-1]), file=sys.stderr)
    return rows


def described(device: Device, best: Choice) -> dict[str, Any]:
    busy = best.utilisation
    engine = power.Engine(
        best.use.lut,
        best.use.ff,
        best.use.dsp,
        best.use.block_ram,
        PRODUCT,
        best.clock_mhz,
        busy,
        power.assumed_activity(busy),
        simulated=False,
    )
    return {
        "design": asdict(best.design),
        "multipliers": best.multipliers,
        "cycles_per_frame": best.cycles_per_frame,
        "latency_cycles": best.latency,
        "clock_mhz": best.clock_mhz,
        "fps": round(best.fps),
        "latency_us": round(best.latency_us, 2),
        "utilisation": round(busy, 4),
        "use": asdict(best.use),
        "shares": {name: round(share, 3) for name, share in best.use.shares(device).items()},
        "watts": round(power.estimate(device, engine).total, 2),
    }


def page(result: dict[str, Any]) -> str:
    small_rows = [
        [row["device"], *_pairs(row["yosys"], row["expected"])] for row in result["small"]
    ]
    layer_rows = [_layer_row(row) for row in result["layer"]]
    watts = [
        [one.design, one.frames_per_second, one.watts, one.mark]
        for one in ACCELERATORS
        if one.watts
    ]
    return _PAGE.format(
        tool=result["small"][0]["tool"],
        small=_table(("device", "LUT", "FF", "DSP", "block RAM, kbit"), small_rows),
        layer=_table(_LAYER_COLUMNS, layer_rows),
        watts=_table(("design", "frames/s", "W", "mark"), watts),
    )


_LAYER_COLUMNS = (
    *(
        "device",
        "for",
        "PEs × groups",
        "lines",
        "lanes",
        "streams",
        "multipliers",
        "cycles a frame",
        "latency, cycles",
    ),
    *("MHz", "pipelines", "frames/s", "latency, µs", "LUT", "FF", "DSP", "block RAM, kbit", "W"),
)


def _pairs(yosys: dict[str, int], expected: dict[str, int]) -> list[str]:
    """Yosys's count, and in brackets the expected one where it is another."""
    return [
        f"{count:,}"
        if name in ("dsp", "block_ram_kbit") or count == expected[name]
        else f"{count:,} ({expected[name]:,})"
        for name, count in yosys.items()
    ]


def _layer_row(row: dict[str, Any]) -> list[str]:
    design, use, share = row["design"], row["use"], row["shares"]
    cells = [f"{use[name]:,} ({share[name]:.0%})" for name in ("lut", "ff", "dsp", "block_ram")]
    return [
        *(
            row["device"],
            row["goal"],
            f"{design['pes']} × {design['splits']}",
            str(design["words"]),
        ),
        *(
            str(design["lanes"]),
            str(design["streams"]),
            f"{row['multipliers']:,}",
            f"{row['cycles_per_frame']:,.4g}",
        ),
        *(
            f"{row['latency_cycles']:,}",
            f"{row['clock_mhz']:.0f}",
            design["pipeline"] + ", forwarding" * design["forwarding"],
            f"{row['fps']:,}",
            f"{row['latency_us']:g}",
            *cells,
            f"{row['watts']:g}",
        ),
    ]


def _table(columns: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


_PAGE = """# Devices: area of a small engine, and the engine chosen at full size

    python benchmarks/devices.py

makes this page and [devices.json](devices.json). Everything here is **estimated**, but for cycles
and latency in cycles, which are the schedule's, and exact.

## A small engine, synthesised

A GRU of 16 units in blocks of 4, reading 8 numbers; 14 multipliers, two streams. {tool}. In
brackets, where it differs, what a vendor's tool is expected to reach: Yosys packs registers and
additions into DSP48E1 of 7-series and not into DSP48E2 of UltraScale, whose look-up tables are the
same, so that the count for 7-series stands for it. No vendor's tool was run. `--layer` makes
only the other table again, so that this one may be of an older RTL.

{small}

## L16, chosen by Phase II for throughput

The LSTM of 1024 cells with peepholes and projection to 512, block 16, as in
[hardware](hardware.md). A fifth of LUTs and flip-flops is left free. LUT and FF by the fit that
ships ([how](../how-to/design.md)), for UltraScale as on 7-series, which a vendor's tool is expected
to reach; every row fits its device. Clock assumed: on ECP5 by what [engines placed at](clocks.md),
200 MHz, the published designs', on all others. Power: `ernn.estimate.power`, static and dynamic,
activity assumed from utilisation, uncalibrated ([what it rests on](../how-to/report.md#power)).

{layer}

Published power, of the papers' own boards:

{watts}
"""


if __name__ == "__main__":
    main()
