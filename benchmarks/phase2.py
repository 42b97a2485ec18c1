"""Phase II against a search with many times its effort, and against what other questions find.

    python benchmarks/phase2.py                 # rows that are missing, and the page
    python benchmarks/phase2.py --only lstm20   # of one network
    python benchmarks/phase2.py --laws 200      # no other goal or number of streams is faster

A row is a network on a device: what a search chooses for either goal, in how long, and whether it
was complete, so that nothing left out of its space promises more; of those that were not, the best
of a search with `--thorough` schedules a goal instead of 80 as well.  That is no proof
that nothing is faster: of all values of `Design` only those are scheduled that promise more, and
neighbours of the best.  Random weights, 12 bits, 16-bit data, from a fixed seed: cycles do not
depend on them; the clock is assumed.  Each row is a file in --out; started again, the script goes
on with what is missing.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests' random networks are ours too
from hardware import random_model

from ernn.errors import UserError
from ernn.estimate.clock import Clock
from ernn.estimate.device import find_device
from ernn.estimate.units import Units
from ernn.files import write_atomic, write_json
from ernn.ir.integer_model import IntegerModel
from ernn.quantization.quantize import QuantizeSpec
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import schedule
from ernn.search.choice import Choice, Request, best
from ernn.search.hardware import SearchResult, search
from ernn.search.space import Goal
from tests.models import random_integer_model
from tests.search.phase2 import holds_what_others_find, random_task

SPEC = QuantizeSpec(weight_bits=12, data_bits=16)
# cell, input, hidden, layers, block, outputs: shapes of hls4ml's and VOLLO's papers, and others
NETWORKS: dict[str, tuple[str, int, int, int, int, int]] = {
    "lstm20": ("lstm", 6, 20, 1, 1, 0),
    "top-lstm": ("lstm", 6, 20, 1, 1, 64),
    "top-gru": ("gru", 6, 20, 1, 1, 64),
    "gru120": ("gru", 6, 120, 1, 1, 0),
    "flavour": ("lstm", 6, 120, 1, 1, 50),
    "quickdraw": ("lstm", 3, 128, 1, 1, 256),
    "2x128": ("lstm", 128, 128, 2, 8, 32),
    "3x480": ("lstm", 480, 480, 3, 8, 32),
    "6x320": ("lstm", 320, 320, 6, 8, 32),
    "2xgru768": ("gru", 768, 768, 2, 8, 0),
}
LAYERS = ("L16", "G16", "L8", "G8")
DEVICES = ("LFE5U-25F", "LFE5U-85F", "ZU7EV", "XCKU060")


def main() -> None:
    arguments = parse()
    if arguments.laws:
        for seed in range(arguments.laws):
            holds_what_others_find(*random_task(seed))
            print(f"seed {seed}: nothing else is faster", flush=True)
        return
    for device, network in product(DEVICES, [arguments.only] if arguments.only else NETWORKS):
        measured(network, device, arguments.out)
    for path in sorted(arguments.out.glob("*.json")):
        thorough(path, arguments.thorough)
    found = [json.loads(path.read_text()) for path in sorted(arguments.out.glob("*.json"))]
    print(write_atomic(arguments.out.with_suffix(".md"), page(found)))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", choices=(*NETWORKS, *LAYERS), help="rows of one network")
    parser.add_argument("--thorough", type=int, default=400, help="schedules of the other search")
    parser.add_argument("--laws", type=int, default=0, help="random tasks to hold to the law")
    parser.add_argument("--out", type=Path, default=Path("docs/results/phase2"))
    return parser.parse_args()


def network_of(name: str) -> IntegerModel:
    if name in LAYERS:
        return random_model(name, 0)
    cell, inputs, hidden, layers, block, outputs = NETWORKS[name]
    sizes = {"input_size": inputs, "hidden": hidden, "layers": layers, "outputs": outputs}
    return random_integer_model(np.random.default_rng(0), SPEC, cell=cell, block=block, **sizes)


def measured(network: str, device: str, out: Path) -> None:
    """A row's file, if it is not there."""
    path = out / f"{network}-{device}.json"
    if path.exists():
        return
    row: dict[str, Any] = {"network": network, "device": device}
    began = time.process_time()
    try:
        model = network_of(network)
        ours = search(model, asked(device))
        row |= {"seconds": round(time.process_time() - began, 1), "complete": ours.complete}
        row["phase2"] = _best(ours)
        for told in row["phase2"].values():
            plan = schedule(model, Design(**told["design"]))
            told["filled"] = Units(plan).filled(find_device(device).family)
    except UserError as refused:
        row["refused"] = str(refused)
    print(write_json(path, row), flush=True)


def thorough(path: Path, schedules: int) -> None:
    """The other search, in the row's file, if it is not there and the first was not complete."""
    row = json.loads(path.read_text())
    if not row.get("complete", True) and "thorough" not in row:
        found = search(network_of(row["network"]), asked(row["device"]), schedules)
        more = {"schedules": schedules, "thorough": _best(found)}
        print(write_json(path, row | more), flush=True)


def asked(device: str) -> Request:
    found = find_device(device)
    return Request(found, Clock.assumed(found))


def _best(found: SearchResult) -> dict[Goal, dict[str, Any]]:
    """For either goal: every search looks for both."""
    fitting = [one for one in found.scheduled if found.request.fits(one.use)]
    return {goal: _told(best(fitting, goal), goal) for goal in get_args(Goal)}


def _told(one: Choice, goal: Goal) -> dict[str, Any]:
    cycles = one.cycles_per_frame if goal == "throughput" else one.latency
    told = {"cycles": cycles, "mhz": one.clock_mhz, "us": cycles / one.clock_mhz}
    return told | {"counted": one.time(goal), "design": asdict(one.design)}


def page(rows: list[dict[str, Any]]) -> str:
    heads = (
        *("network", "device", "for", "cycles", "MHz", "µs", "streams", "pipelines", "elements"),
        *("weights, others: full", "complete", "slower than thorough", "seconds"),
    )
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    sampled = sum("thorough" in row for row in rows)
    above = _ABOVE.format(rows=len(rows), all=len(NETWORKS) * len(DEVICES), sampled=sampled)
    return "\n".join([above, *lines, *(line for row in rows for line in _lines(row)), ""])


def _lines(row: dict[str, Any]) -> Iterator[str]:
    where = f"{row['network']} | {row['device']}"
    if "refused" in row:
        yield f"| {where} | either | {row['refused'].split('; ')[-1]} {'| ' * 10}|"
        return
    for goal, ours in row["phase2"].items():
        design, other = ours["design"], row.get("thorough")
        slower = f"{ours['counted'] / other[goal]['counted'] - 1:.1%}" if other else ""
        forwarding = ", forwarding" if design["forwarding"] else ""
        cells = (
            *(goal, f"{ours['cycles']:,.4g}", f"{ours['mhz']:.0f}", f"{ours['us']:.3g}"),
            *(str(design["streams"]), design["pipeline"] + forwarding, _elements(design)),
            *(
                _full(ours["filled"]),
                "yes" if row["complete"] else "no",
                slower,
                f"{row['seconds']:g}",
            ),
        )
        yield f"| {where} | {' | '.join(cells)} |"


def _elements(design: dict[str, Any]) -> str:
    joined = design["joined"]
    return f"{design['pes'] * design['splits']}" + (f", {joined} a bank" if joined > 1 else "")


def _full(filled: tuple[float, float]) -> str:
    """No share of what is made of logic."""
    return ", ".join(f"{one:.0%}" if one else "-" for one in filled)


_ABOVE = """# Phase II against a search of many times its effort

    python benchmarks/phase2.py

What `ernn design` chooses for either goal, and beside {sampled} of those searches that were not
complete the best of one with 400 schedules a goal instead of 80 (no proof that nothing is faster;
2,000 for every row would take hours). Complete: of the space of the search, for throughput, nothing
left out promises more. Cycles: of a frame for throughput, of a frame's latency for latency; the
schedule's, and exact. The clock is assumed ([how](clocks.md)), so µs are **estimated**. Seconds:
processor time of the first search, for both goals. Elements: multipliers of dense networks, in
blocks sets of them, and how many have a bank together. Full: the share of the block RAM taken that
holds bits, of weight banks and of all other memories; a bank of fewer than 512 words, or of a few
more, cannot be full ([why](../decisions/0023-banks-together.md)), and small ones are made of logic,
or are in block RAM that is free (`Design.block_ram`), hardly filled.
The networks are in the script; where a device holds no engine, what would fit. {rows} of {all} rows
are there: the script goes on with those that are missing. With a bank each gru120 on LFE5U-25F took
2,101 cycles, and flavour did not fit there.
"""

if __name__ == "__main__":
    main()
