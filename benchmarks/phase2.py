"""Phase II against a search with many times its effort, and against what other questions find.

    python benchmarks/phase2.py                 # rows that are missing, and the page
    python benchmarks/phase2.py --only lstm20   # of one network
    python benchmarks/phase2.py --laws 200      # no other goal or number of streams is faster

A row is a network on a device for a goal: what `ernn design` chooses, in how long, and the best of
a search with `--thorough` schedules a goal instead of 80.  That is no proof that nothing is faster:
of all values of `Design` only those are scheduled that promise more, and neighbours of the best.
Random weights, 12 bits, 16-bit data, from a fixed seed: cycles do not depend on them; the clock is
assumed.  Each row is a file in --out; started again, the script goes on with what is missing.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests' random networks are ours too
from hardware import random_model

from ernn.errors import UserError
from ernn.estimate.clock import Clock
from ernn.estimate.device import find_device
from ernn.files import write_atomic, write_json
from ernn.ir.integer_model import IntegerModel
from ernn.quantization.quantize import QuantizeSpec
from ernn.search.choice import Request
from ernn.search.hardware import search
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
    for network in [arguments.only] if arguments.only else (*NETWORKS, *LAYERS):
        for device in DEVICES:
            for goal in get_args(Goal):
                measured(network, device, goal, arguments)
    found = [json.loads(path.read_text()) for path in sorted(arguments.out.glob("*.json"))]
    print(write_atomic(arguments.out.with_suffix(".md"), page(found)))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", choices=(*NETWORKS, *LAYERS), help="rows of one network")
    parser.add_argument("--thorough", type=int, default=2000, help="schedules of the other search")
    parser.add_argument("--laws", type=int, default=0, help="random tasks to hold to the law")
    parser.add_argument("--out", type=Path, default=Path("docs/results/phase2"))
    return parser.parse_args()


def network_of(name: str) -> IntegerModel:
    if name in LAYERS:
        return random_model(name, 0)
    cell, inputs, hidden, layers, block, outputs = NETWORKS[name]
    sizes = {"input_size": inputs, "hidden": hidden, "layers": layers, "outputs": outputs}
    return random_integer_model(np.random.default_rng(0), SPEC, cell=cell, block=block, **sizes)


def measured(network: str, device: str, goal: Goal, arguments: argparse.Namespace) -> None:
    """A row's file, if it is not there."""
    path = arguments.out / f"{network}-{device}-{goal}.json"
    if path.exists():
        return
    model, found = network_of(network), find_device(device)
    request = Request(found, Clock.assumed(found), goal)
    row: dict[str, Any] = {"network": network, "device": device, "goal": goal}
    began = time.process_time()
    try:
        row |= _chosen("phase2", model, request, {})
        row["seconds"] = round(time.process_time() - began, 1)
        row |= _chosen("thorough", model, request, {"budget": arguments.thorough})
        row["schedules"] = arguments.thorough
    except UserError as refused:
        row["refused"] = str(refused)
    print(write_json(path, row), flush=True)


def _chosen(
    name: str, model: IntegerModel, request: Request, effort: dict[str, int]
) -> dict[str, Any]:
    best = search(model, request, **effort).best
    per = best.cycles_per_frame if request.goal == "throughput" else best.latency
    return {name: {"cycles": per, "us": best.time(request.goal), "design": asdict(best.design)}}


def page(rows: list[dict[str, Any]]) -> str:
    heads = (
        "network",
        "device",
        "for",
        "cycles",
        "µs",
        "streams",
        "thorough",
        "slower by",
        "seconds",
    )
    lines = [_ABOVE, f"| {' | '.join(heads)} |", f"|{'---|' * 9}", *(_line(row) for row in rows)]
    return "\n".join([*lines, ""])


def _line(row: dict[str, Any]) -> str:
    where = f"| {row['network']} | {row['device']} | {row['goal']} |"
    if "refused" in row:
        return f"{where} {row['refused'].split('; ')[-1]} | | | | | |"
    ours, theirs = row["phase2"], row["thorough"]
    return (
        f"{where} {ours['cycles']:,g} | {ours['us']:.3g} | {ours['design']['streams']} | "
        f"{theirs['cycles']:,g} | {ours['us'] / theirs['us'] - 1:.1%} | {row['seconds']} |"
    )


_ABOVE = """# Phase II against a search of many times its effort

    python benchmarks/phase2.py

What `ernn design` chooses, and the best of a search with 2,000 schedules a goal instead of 80 (no
proof that nothing is faster). Cycles: of a frame for throughput, of a frame's latency for latency;
the schedule's, and exact. The clock is assumed, so µs are estimated. Seconds: processor time
of the first search. The networks are in the script; where a device holds no engine, what would fit.
"""

if __name__ == "__main__":
    main()
