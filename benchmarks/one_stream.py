"""One sequence on an engine: cycles a step of small networks and of stacks of layers.

    python benchmarks/one_stream.py

Phase II's design for one stream, for throughput (layers of a stack a round after one another) and
for latency, and where an LSTM of 20 cells spends its step.  Cycles are the schedule's, which
simulation meets exactly; the clock is assumed.  Random weights of 12 bits, 16-bit data, from seed
0: cycles do not depend on them.  VOLLO's figures (bfloat16, dense, measured on a V80) are
published ones.  Half a minute.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests' random networks are ours too

from ernn.estimate.clock import Clock
from ernn.estimate.device import find_device
from ernn.files import write_atomic
from ernn.ir.integer_model import IntegerModel
from ernn.quantization.quantize import QuantizeSpec
from ernn.scheduling.schedule import Schedule, schedule
from ernn.search.choice import Choice, Request
from ernn.search.hardware import search
from ernn.search.space import Goal
from tests.models import random_integer_model

SPEC = QuantizeSpec(weight_bits=12, data_bits=16)
BUDGET = 20
# inputs, cells, layers, block, outputs; devices; VOLLO's published µs a step
NETWORKS: dict[str, tuple[tuple[int, int, int, int, int], tuple[str, ...], str]] = {
    "LSTM 20": ((6, 20, 1, 1, 0), ("LFE5U-25F", "XCKU060"), ""),
    "LSTM 20, head 64": ((6, 20, 1, 1, 64), ("LFE5U-25F", "XCKU060"), ""),
    "LSTM 120, head 50": ((6, 120, 1, 1, 50), ("LFE5U-45F", "XCKU060"), ""),
    "2 LSTM 128, blocks of 16": ((128, 128, 2, 16, 32), ("XCKU060",), "1.4"),
    "3 LSTM 256, blocks of 16": ((256, 256, 3, 16, 32), ("XCKU060",), "2.0"),
    "3 LSTM 480, blocks of 16": ((480, 480, 3, 16, 32), ("XCKU060",), "3.2"),
    "6 LSTM 320, blocks of 16": ((320, 320, 6, 16, 32), ("XCKU060",), "3.3"),
    "3 LSTM 960, blocks of 16": ((960, 960, 3, 16, 32), ("XCKU060",), "7.3"),
}
SHOWN = "LSTM 20"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/results/one-stream.md"))
    print(write_atomic(parser.parse_args().out, page()))


def page() -> str:
    lines, parts = [], list[tuple[str, Schedule]]()
    for name, (sizes, devices, published) in NETWORKS.items():
        model = network(sizes)
        for device in devices:
            found = {goal: chosen(model, device, goal) for goal in get_args(Goal)}
            lines += [row(name, device, goal, best, published) for goal, best in found.items()]
            if name == SHOWN:
                parts.append((device, schedule(model, found["latency"].design)))
    return "\n".join([_ABOVE, *lines, _BETWEEN, *spent(parts), _BELOW])


def network(sizes: tuple[int, int, int, int, int]) -> IntegerModel:
    names = ("input_size", "hidden", "layers", "block", "outputs")
    given = dict(zip(names, sizes, strict=True))
    return random_integer_model(np.random.default_rng(0), SPEC, cell="lstm", **given)


def chosen(model: IntegerModel, device: str, goal: Goal) -> Choice:
    found = find_device(device)
    return search(model, Request(found, Clock.assumed(found), goal, streams=1), BUDGET).best


def row(name: str, device: str, goal: Goal, best: Choice, published: str) -> str:
    cells = (
        *(name, device, goal, f"{best.multipliers:,}", f"{best.cycles:,}", f"{best.latency:,}"),
        *(f"{best.clock_mhz:.0f}", best.design.pipeline + ", forwarding" * best.design.forwarding),
        *(f"{best.cycles / best.clock_mhz:.2f}", f"{best.latency_us:.2f}", published),
    )
    return f"| {' | '.join(cells)} |"


def spent(parts: list[tuple[str, Schedule]]) -> Iterator[str]:
    """Where the cycles between two steps of an LSTM go, by device."""
    heads = (f"{device}, {plan.multipliers} multipliers" for device, plan in parts)
    yield f"| | {' | '.join(heads)} |"
    yield "|---" * (len(parts) + 1) + "|"
    columns = [_spent(plan) for _, plan in parts]
    for name in columns[0]:
        yield f"| {name} | {' | '.join(str(column[name]) for column in columns)} |"


def _spent(plan: Schedule) -> dict[str, int]:
    timing, pipeline, layout = plan.timing, plan.timing.pipeline, plan.layout
    sooner = pipeline.memories if layout.design.forwarding else 0
    waiting = [one for stage in layout.passes for one in stage if one.keeps is None]
    found = {
        "passes that wait for h, one after another": sum(one.length for one in waiting),
        "from the last column to where its gate is taken": timing.product - sooner,
        "o, through its table": pipeline.vector - sooner,
        "h, past the tables": pipeline.values,
        "h's spectrum": timing.forward,
    }
    rest = plan.interval - sum(found.values())
    return found | {
        "lines after one another, waiting for c, less columns before h's last": rest,
        "a step": plan.interval,
    }


_ABOVE = """# One stream: small networks, and stacks of layers

    python benchmarks/one_stream.py

What Phase II chooses for one sequence alone. "throughput": layers run a round after one another, so
that a step of the sequence follows the last after so many cycles; "latency": a step's results leave
as early as they can. Cycles are scheduled (simulation meets them exactly); the clock is assumed
(ECP5: [what engines placed at](clocks.md), grade 6; XCKU060: 200 MHz), so µs are estimated. Ours
have the blocks named, 12-bit weights and 16-bit data. VOLLO's figures are published for a V80:
dense, in bfloat16, measured.

| network | device | for | multipliers | cycles a step | latency, cycles | MHz | pipelines \
| µs a step | latency, µs | VOLLO, µs a step |
|---|---|---|---|---|---|---|---|---|---|---|"""
_BETWEEN = """
## Where a step goes

LSTM 20 with 6 inputs, the design for latency: what the next step's first product waits for.
"""
_BELOW = """
What is left beside the passes are pipelines, four of them one after the other: their registers are
what the clock is made of. With forwarding a result goes straight into a multiplier, which costs
clock: LSTM 20 on LFE5U-25F, grade 8, 12 elements, one seed each, is placed at 233.8 MHz without and
at 188.0 MHz with it, 0.70 and 0.69 µs a step ([clocks](clocks.md)): Phase II chooses by µs, and
takes it on ECP5 where it saves more than a fifth of the cycles. With
shallow pipelines the same network takes 108 cycles on 28 multipliers, and a table's word then
reaches a multiplier through a single register.
"""

if __name__ == "__main__":
    main()
