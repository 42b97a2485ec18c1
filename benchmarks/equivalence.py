"""Golden against simulated RTL on random networks and designs, for as long as asked:
is every integer equal, always?

    python benchmarks/equivalence.py --minutes 10 --seed 1 --json
    python benchmarks/equivalence.py --language --count 500
    python benchmarks/equivalence.py --seed 1 --only 17
    python benchmarks/equivalence.py --recommended

Case n of a seed is always the same: layers of usual kinds, block 1 to 64, one for all matrices or
one for each, up to 64 wide and 3 deep, or any cells in any graph, 2 to 18 bits, some of each matrix
its own, up to 4 streams, random stalls on both handshakes, sizes that the block size does not
divide.  Predicted cycles must be simulated cycles.  --language: only any cells in any graph.
--recommended: instead, once, the
networks of docs/results/recommend-*.json, with random weights.  --count ends it after so many
cases, whatever the time; --only runs one case, --first begins later.  It writes equivalence.json
into --out, prints one line a failure with its case, and exits with 1 where there was one.
"""

import argparse
import json
import os
import platform
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ernn.compress.plan import CompressionPlan
from ernn.errors import UserError
from ernn.files import write_json
from ernn.ir.structure import block_size
from ernn.nn.spec import LayerSpec, ModelSpec
from ernn.quantization.quantize import QuantizeSpec
from ernn.scheduling.design import Design
from ernn.search.cost import shapes
from ernn.search.shape import shape_model

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests' cases are ours too
from tests.equivalence.cases import (
    Outcome,
    outcome,
    outcome_of,
    random_case,
    random_language_case,
)
from tests.networks import Limits

STALLS = (0.0, 0.3, 0.8)
STALL = 0.3
CORPORA = {"an4": (117, 64, 34), "digits": (52, 32, 11)}
"""Inputs, units and outputs of the networks of docs/results/recommend-*.md."""


def main() -> None:
    arguments = parse()
    cases = recommended_cases if arguments.recommended else random_cases
    with tempfile.TemporaryDirectory(prefix="ernn-equivalence-") as cache:
        os.environ["ERNN_CACHE"] = cache  # hundreds of simulators that nobody needs again
        runs = [run_case(*case) for case in cases(arguments)]
    result = about(arguments) | summary(runs)
    if arguments.only is None:
        write_json(arguments.out / "equivalence.json", result)
    print(json.dumps(result, indent=2) if arguments.json else sentence(result))
    sys.exit(bool(result["failures"]))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--count", type=int, help="cases, instead of a time")
    parser.add_argument("--language", action="store_true", help="only any cells in any graph")
    parser.add_argument("--recommended", action="store_true", help="only recommended networks")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", type=int, help="number of the single case to run")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser.parse_args()


def numbers(arguments: argparse.Namespace) -> Iterator[int]:
    """Numbers of cases until the time is up; the last one may run over."""
    if arguments.only is not None:
        yield arguments.only
        return
    if arguments.count is not None:
        yield from range(arguments.first, arguments.first + arguments.count)
        return
    until = time.monotonic() + 60 * arguments.minutes
    for number in count(arguments.first):
        if time.monotonic() >= until:
            return
        yield number


class Tried(NamedTuple):
    """A case: its number, what it is, the stall, and how it is run."""

    number: int
    case: str
    stall: float
    run: Callable[[], Outcome]


def random_cases(arguments: argparse.Namespace) -> Iterator[Tried]:
    for number in numbers(arguments):
        rng, language = np.random.default_rng((arguments.seed, number)), arguments.language
        case = random_language_case(rng, Limits(size=12)) if language else random_case(rng)
        stall = float(rng.choice(STALLS))
        yield Tried(number, repr(case), stall, partial(outcome, case, number, stall))


def recommended_cases(arguments: argparse.Namespace) -> Iterator[Tried]:
    """Each choice of widths and block sizes once, with 12-bit weights, on a small engine."""
    tried: list[str] = []
    for path in sorted(Path("docs/results").glob("recommend-*.json")):
        inputs, hidden, outputs = CORPORA[path.stem.split("-")[1]]
        for found in json.loads(path.read_text())["results"]:
            layers = tuple(LayerSpec("gru", n) for n in found["chosen"].get("layers", [hidden]))
            model = ModelSpec(inputs, layers, outputs, 0.0)
            plan = CompressionPlan.from_dict(found["chosen"]["plan"])
            sizes = [block_size(plan.structure(one.name, one.role)) for one in shapes(model)]
            case = f"{path.stem.split('-')[1]}, GRU {layers[0].hidden}, blocks {sizes}"
            if case in tried:
                continue
            if arguments.only in (None, len(tried)):
                run = partial(run_recommended, model, plan, arguments.seed)
                yield Tried(len(tried), case, STALL, run)
            tried.append(case)


def run_recommended(model: ModelSpec, plan: CompressionPlan, seed: int) -> Outcome:
    integers, rng = shape_model(model, plan, QuantizeSpec()), np.random.default_rng(seed)
    return outcome_of(integers, Design(2, 2, lanes=2), rng, seed, STALL)


def run_case(number: int, case: str, stall: float, run: Callable[[], Outcome]) -> dict[str, Any]:
    """One case: what it is, what it showed, and in `failure` what was wrong with it, or nothing."""
    result = {
        "number": number,
        "case": case,
        "stall": stall,
        "frames": 0,
        "integers": 0,
        "failure": "",
    }
    try:
        found = run()
    except Exception as error:  # whatever goes wrong in a case is what this looks for
        # The contract refuses a model whose sums may not fit.
        too_wide = isinstance(error, UserError) and "a sum may need" in str(error)
        result |= {"refused" if too_wide else "failure": f"{type(error).__name__}: {error}"}
    else:
        result |= {"frames": found.proof.frames, "integers": found.proof.integers}
        cycles = f"predicted (interval, latency) {found.predicted}, simulated {found.simulated}"
        proof = {name: value for name, value in asdict(found.proof).items() if name != "divergence"}
        wrong = (
            cycles
            if found.proof.passed
            else f"{found.proof.divergence or 'no divergence found'}; {proof}"
        )
        result["failure"] = "" if found.passed else wrong
    mark = "FAILED" if result["failure"] else "refused" if "refused" in result else "equal"
    print(f"{number} {mark} {result['case']} {result['failure']}", file=sys.stderr, flush=True)
    return result


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "cases": len(runs),
        "refused": sum("refused" in run for run in runs),
        "frames": sum(run["frames"] for run in runs),
        "integers": sum(run["integers"] for run in runs),
        "failures": [run for run in runs if run["failure"]],
    }


def about(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "kind": "simulated",
        "command": shlex.join(["python", "benchmarks/equivalence.py", *sys.argv[1:]]),
        "seed": arguments.seed,
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "compared": (
            "every output integer of golden and of the RTL; predicted and simulated interval and "
            "latency"
        ),
    }


def sentence(result: dict[str, Any]) -> str:
    counted = ("cases", "refused", "frames", "integers")
    equal = ", ".join(f"{result[name]} {name}" for name in counted) + ": "
    bad = [f"case {run['number']}: {run['case']}: {run['failure']}" for run in result["failures"]]
    return equal + (
        "all equal, all cycles as predicted"
        if not bad
        else "\n".join([f"{len(bad)} failures", *bad])
    )


if __name__ == "__main__":
    main()
