"""One sequence on an engine: cycles a step of small networks and of stacks of layers.

    python benchmarks/one_stream.py [--place]

Phase II's design for one stream, for throughput (layers of a stack a round after one another) and
for latency, and where an LSTM of 20 cells and L16 spend theirs.  Cycles are the schedule's, which
simulation meets exactly; the clock is assumed.  Random weights of 12 bits, 16-bit data, from seed
0: cycles do not depend on them.  VOLLO's figures (bfloat16, dense, measured on a V80) are
published ones.  Four minutes of a processor.

    python benchmarks/one_stream.py --few

makes only the table of LSTM 20 on few multipliers, and prints it.

With --place top tagging instead, 20 steps and a head, on a page of its own: simulated, proven
against golden, placed and routed, some minutes a seed; what is done is kept.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests' random networks are ours too

from benchmarks.hardware import random_model
from ernn.estimate.clock import Clock
from ernn.estimate.device import Figure, find_device
from ernn.files import write_atomic
from ernn.flow.place import Placement, place
from ernn.flow.verilog import to_verilog
from ernn.ir.integer_model import IntegerModel
from ernn.quantization.quantize import QuantizeSpec, quantize
from ernn.rtl.engine import Engine
from ernn.scheduling.design import Design
from ernn.scheduling.round import Bar
from ernn.scheduling.schedule import Schedule, schedule
from ernn.search.choice import Choice, Request
from ernn.search.hardware import search
from ernn.search.space import Goal
from ernn.verify import prove, simulator_of
from ernn.verify.prove import to_beats
from ernn.verify.stimulus import Stimulus
from tests.equivalence.cases import mixed_network
from tests.models import random_frames, random_integer_model

SPEC = QuantizeSpec(weight_bits=12, data_bits=16)
BUDGET, THOROUGH = 20, 150
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
LARGE, LARGE_DEVICE = "L16", "XCKU060"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--few", action="store_true", help="only LSTM 20 on few multipliers")
    parser.add_argument("--place", action="store_true", help="top tagging, placed")
    parser.add_argument("--place-seeds", type=int, nargs="+", default=[1, 2, 3])
    arguments = parser.parse_args()
    if arguments.few:
        print("\n".join(few()))
        return
    made = tagging_page(arguments.place_seeds) if arguments.place else page()
    name = "top-tagging.md" if arguments.place else "one-stream.md"
    print(write_atomic(arguments.out or Path("docs/results") / name, made))


def page() -> str:
    lines, parts = [], list[tuple[str, Schedule]]()
    large = random_model(LARGE, 0)
    for name, (sizes, devices, published) in NETWORKS.items():
        model = network(sizes)
        for device in devices:
            found = {goal: chosen(model, device, goal) for goal in get_args(Goal)}
            lines += [row(name, device, goal, best, published) for goal, best in found.items()]
            if name == SHOWN:
                parts.append((device, schedule(model, found["throughput"].design)))
    found = {goal: chosen(large, LARGE_DEVICE, goal) for goal in get_args(Goal)}
    lines += [row(LARGE, LARGE_DEVICE, goal, best, "") for goal, best in found.items()]
    loop = spent_in_loop(schedule(large, found["throughput"].design))
    return "\n".join([_ABOVE, *lines, _BETWEEN, *spent(parts), _FEW, *few(), _BELOW, *loop, _LAST])


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


def few() -> Iterator[str]:
    """The best of LSTM 20's designs on at most so many multipliers, by cycles and by time."""
    model, small = network(NETWORKS[SHOWN][0]), ("LFE5U-25F", 28)
    # shallow pipelines, which are searched for on UltraScale, take the fewest cycles
    found = (
        (*small, "cycles", soonest(model, LARGE_DEVICE, small[1])),
        (*small, "time", soonest(model, *small)),
        (LARGE_DEVICE, 272, "either", soonest(model, LARGE_DEVICE, 272)),
    )
    yield "| device | at most | best by | multipliers | cycles a step | MHz | µs a step |"
    yield f"|{'---|' * 7}"
    for device, most, by, best in found:
        mhz = Clock.assumed(find_device(device)).mhz(best.design, best.multipliers)
        pipelines = best.design.pipeline + ", forwarding" * best.design.forwarding
        cells = device, str(most), by, str(best.multipliers), f"{best.cycles}, {pipelines}"
        yield f"| {' | '.join(cells)} | {mhz:.0f} | {best.cycles / mhz:.2f} |"


def soonest(model: IntegerModel, device: str, most: int) -> Choice:
    """Of designs of at most so many multipliers, by a budget that lasts for nearly all."""
    found = find_device(device)
    capped = replace(found, dsp=Figure(most, "M", "this page"))
    return search(model, Request(capped, Clock.assumed(found), streams=1), THOROUGH).best


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


def spent_in_loop(plan: Schedule) -> Iterator[str]:
    """Where the cycles between two steps of the large LSTM go, by what is busy when."""

    def busy(unit: str, label: str) -> list[Bar]:
        return [one for one in plan.bars if (one.unit, one.label) == (unit, f"l0.{label}")]

    gates, last = busy("processing elements", "gates"), busy("processing elements", "projection")
    longest = max(one.end - one.start for one in gates)
    begun = next(one.start for one in gates if one.end - one.start >= longest - 1)
    o, m, y = (busy("vector unit", name)[-1].start for name in ("o", "m", "h"))
    times = {
        "passes of gates that wait for y, one after another": gates[-1].end - begun,
        "from the last column to where the last o is taken": o - gates[-1].end,
        "o, through its table, to the last line of m": m - o,
        "m, its spectrum, and the last columns of the projection's passes": last[-1].end - m,
        "from there to where the last line of y is taken": y - last[-1].end,
    }
    rest = plan.interval - sum(times.values())
    yield "| | cycles |"
    yield "|---|---|"
    for name, cycles in times.items():
        yield f"| {name} | {cycles} |"
    yield f"| y and its spectrum, less columns before y's last | {rest} |"
    yield f"| a step | {plan.interval} |"


TAGGING = Design(
    6,
    splits=4,
    words=2,
    chunk=1,
    overlap=12,
    deferred=True,
    forwarding=True,
    ahead=True,
    once=True,
    block_ram=True,
)
STEPS = 20
DEVICE, GRADE, TARGET_MHZ = "LFE5U-25F", 8, 250.0


def tagging_page(seeds: Sequence[int]) -> str:
    """Top tagging on TAGGING: cycles simulated, integers against golden, clocks placed."""
    rng = np.random.default_rng(0)
    made = mixed_network(rng, 6, [("lstm", 20, 1), ("linear", 64, 1), ("linear", 1, 1)])
    frames = [random_frames(rng, made) for _ in range(3)]
    model = quantize(replace(made, last_step=True), frames, SPEC)
    plan = schedule(model, TAGGING)
    high = 1 << model.input.format.width - 1
    jets = [rng.integers(-high, high, size=(STEPS, 6)) for _ in range(10)]
    simulator = simulator_of(plan)
    proof = prove(simulator, plan, jets)
    assert proof.passed, str(proof)
    stimulus = Stimulus((jets[0],), 1)
    run = simulator.run(to_beats(plan, stimulus), expected_beats=1, max_cycles=10_000)
    begun = run.input_cycle[plan.layout.lines(model.input.length) - 1]
    cycles = int(run.output_cycle[-1] - begun)
    assert cycles == (STEPS - 1) * plan.interval + plan.latency, "as predicted"
    device, verilog = find_device(DEVICE), to_verilog(Engine(plan))
    placed = place(verilog, device, grade=GRADE, seeds=seeds, target_mhz=TARGET_MHZ)
    return _TAGGING.format(
        seeds=" ".join(map(str, seeds)),
        proof=proof,
        rows=_tagging_rows(plan, cycles, placed),
        tool=placed.tool,
    )


def _tagging_rows(plan: Schedule, cycles: int, placed: Placement) -> str:
    used = placed.runs[0].utilisation
    cells = ("TRELLIS_COMB", "TRELLIS_FF", "MULT18X18D", "DP16KD")
    rows = {
        "multipliers": f"{plan.multipliers}",
        "cycles a step, simulated": f"{plan.interval}",
        "last step and head, until the output is there, simulated": f"{plan.latency}",
        f"{STEPS} steps and head, simulated": f"{cycles:,}",
        "MHz by seed, placed": ", ".join(f"{run.seed}: {run.clock_mhz:.1f}" for run in placed.runs),
        "µs a jet, median of the seeds": f"{cycles / placed.median_mhz:.2f}",
        "µs a jet, best seed": f"{cycles / placed.best_mhz:.2f}",
        "cells, of the device's": ", ".join(
            f"{used[cell][0]:,} {cell} of {used[cell][1]:,}" for cell in cells
        ),
    }
    return "\n".join(f"| {name} | {value} |" for name, value in rows.items())


_TAGGING = """# Top tagging: twenty steps and a head

    python benchmarks/one_stream.py --place --place-seeds {seeds}

A jet of 20 constituents with 6 features each through an LSTM of 20, and dense layers of 64 and 1
behind its last step, on LFE5U-25F, grade 8: the shape that hls4ml's recurrent networks are compared
by. Dense, 12-bit weights, 16-bit data, random weights from seed 0. The head is run for a jet's last
constituent only (`Design.once`). Against golden: {proof}.

| | |
|---|---|
{rows}

The clock is {tool}'s, at the slow corner, no vendor
sign-off. µs are from a jet's first constituent in to its output, on an idle engine. Weights are in
block RAM (`Design.block_ram`). In logic they took 12,177 TRELLIS_COMB and 208.4, 208.0 and
215.1 MHz, seed by seed: an address chose a weight in four look-up tables, of chains apart, and the
flag that clears sums lay 1.8 ns away from a table in front of 36 bits of addition. That table is
in the adder now, and the pulse that starts a round has a register on its way, without which it was
the slowest path in block RAM too (205.3 MHz with seed 1, 180.0 with seed 2). In a netlist of five
cycles more, before sums were begun ahead as they are now, the seeds gave 215.5, 227.7 and 221.0.
"""


_ABOVE = """# One stream: small networks, and stacks of layers

    python benchmarks/one_stream.py

What Phase II chooses for one sequence alone. "throughput": layers run a round after one another, so
that a step of the sequence follows the last after so many cycles; "latency": a step's results leave
as early as they can. Cycles are scheduled (simulation meets them exactly); the clock is assumed
(ECP5: [what engines placed at](clocks.md), grade 6; XCKU060: 200 MHz), so µs are estimated. Ours
have the blocks named, 12-bit weights and 16-bit data; L16 is an LSTM of 1024 cells with peepholes
and a projection to 512, 160 inputs, blocks of 16. VOLLO's figures are published for a V80:
dense, in bfloat16, measured.

| network | device | for | multipliers | cycles a step | latency, cycles | MHz | pipelines \
| µs a step | latency, µs | VOLLO, µs a step |
|---|---|---|---|---|---|---|---|---|---|---|"""
_BETWEEN = """
## Where a step goes

LSTM 20 with 6 inputs, the design for throughput: what the next step's first product waits for.
"""
_FEW = """
On few multipliers, by a search of seven times the effort (best by time at the clock that is assumed
for the pipelines; XCKU060's is the same for all, so that cycles decide):
"""
_BELOW = """
What is left beside the passes are pipelines, four of them one after the other: their registers are
what the clock is made of. Registers of a step are counted three times, where c is waited for (i's,
c's and h's), or twice, where o is. With shallow pipelines the same network takes 99 cycles on 28
multipliers, and a table's word then reaches a multiplier through a single register.

With forwarding a result goes straight into a multiplier. LSTM 20 on LFE5U-25F, grade 8, with
24 elements, one seed each, is placed at 233.8 MHz without it, 164 cycles, 0.70 µs a step; with it
at 220.9 MHz, 130 cycles, 0.59 µs (188.0 MHz and 0.69 µs while operands were chosen in one cycle,
and results in the same one). Since then c lies aside while its tanh is made, which takes 8 to 10
cycles more from a step. Phase II chooses by µs ([clocks](clocks.md)): on ECP5 it takes forwarding
where that saves more than a twentieth of the cycles. [Top tagging](top-tagging.md), twenty steps
and a head that is run once, is placed on a page of its own.

L16 on XCKU060, the design for throughput:
"""

_LAST = """
The array has 108 elements; its passes fill 127 of these cycles, the vector unit 84. A lone stream
waits for two products of everything, y's of all of m and the gates' of all of y: what is between
them is pipelines, and cannot be filled by the same frame. The sums over the input are made while it
waits (but for o's passes, at a cycle each), and the projection's of all lines of m but the last.
For latency the sums over y are made in the round before, so that a frame waits for 2 columns a pass
and not 7, as long as it does not begin a sequence; the next frame then waits for both.
"""

if __name__ == "__main__":
    main()
