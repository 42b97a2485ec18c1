"""Many frames through one small engine without a reset: is every integer still golden's at the end?

    python benchmarks/soak.py --frames 100000 --seed 1 --json

A GRU of 16 units in blocks of 8 and a linear layer, 16-bit data, full-range random
input, utterances of 1 to 400 frames on three streams, random pauses on both handshakes.
It writes soak.json into --out and exits with 1 where an integer, a flag or a beat is
wrong.  Golden takes most of the time.
"""

import argparse
import json
import os
import platform
import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ernn.files import write_json
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import schedule
from ernn.verify import prove, simulator_of

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests' random networks are ours too
from tests.models import random_integer_model

STREAMS = 3


def main() -> None:
    arguments = parse()
    result = about() | soak(arguments.frames, arguments.seed, arguments.stall)
    write_json(arguments.out / "soak.json", result)
    print(json.dumps(result, indent=2) if arguments.json else sentence(result))
    if not result["passed"]:
        sys.exit(1)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=20_000, help="at least so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--stall", type=float, default=0.2, help="probability that a handshake pauses in a cycle"
    )
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def soak(frames: int, seed: int, stall: float) -> dict[str, Any]:
    """One run, from reset to the last frame."""
    rng = np.random.default_rng(seed)
    model = random_integer_model(rng, cell="gru", input_size=13, hidden=16, outputs=5, block=8)
    plan = schedule(model, Design(pes=2, streams=STREAMS))
    utterances, total = [], 0
    while total < frames:
        utterances.append(rng.integers(-(1 << 15), 1 << 15, size=(int(rng.integers(1, 401)), 13)))
        total += len(utterances[-1])
    simulator = simulator_of(plan)
    began = time.monotonic()
    proof = prove(simulator, plan, utterances, stall=stall, seed=seed)
    shown = {name: value for name, value in asdict(proof).items() if name != "divergence"}
    return shown | {
        "passed": proof.passed,
        "divergence": str(proof.divergence or ""),
        "utterances": len(utterances),
        "streams": STREAMS,
        "seconds": round(time.monotonic() - began, 1),
    }


def about() -> dict[str, Any]:
    return {
        "kind": "simulated",
        "command": shlex.join(["python", "benchmarks/soak.py", *sys.argv[1:]]),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
    }


def sentence(result: dict[str, Any]) -> str:
    counted = (
        f"{result['frames']:,} frames, {result['integers']:,} integers, "
        f"{result['utterances']} utterances"
    )
    wrong = (
        f"{result['mismatches']} differ, {result['missing']} beats missing, "
        f"{list(result['violations'])[:3]}"
    )
    return f"{counted}: " + (
        "all equal" if result["passed"] else f"{wrong}; {result['divergence']}"
    )


if __name__ == "__main__":
    main()
