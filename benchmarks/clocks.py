"""Clocks of engines placed on ECP5, and the lines through them that Phase II assumes.

    python benchmarks/clocks.py            # place what is missing, one after the other; the page
    python benchmarks/clocks.py --page     # only the page

Small engines on LFE5U-25F, a pipeline or a speed grade apart: one to three minutes of a processor
a seed.  Their points, and those of engines placed elsewhere (each names its source), are in
src/ernn/estimate/clock_points.json, which a search reads.  An engine that the file has is not
placed again: after a change of the RTL its point is to be taken out.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from cost_points import Net, model
from one_stream import network

from ernn.estimate.clock import FORWARDING, GRADES, POINTS, Clock, Point, fit, placed
from ernn.estimate.device import find_device
from ernn.files import write_atomic, write_json
from ernn.flow.place import place
from ernn.flow.verilog import to_verilog
from ernn.ir.integer_model import IntegerModel
from ernn.rtl.engine import Engine
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import schedule

DEVICE, SOURCE = "LFE5U-25F", "benchmarks/clocks.py"
TARGETS = {6: 200.0, 8: 250.0}  # MHz that nextpnr works towards, by grade
LONE = Design(12, splits=2, words=2, chunk=1, overlap=12, deferred=True)
TAKEN = replace(LONE, forwarding=True, ahead=True)
TURNS, SMALL = Design(2, 2, 4, 2, staggered=True), Design(2, 2, 16, 2)
LSTM20 = partial(network, (6, 20, 1, 1, 0))
GRU128 = partial(model, Net("gru", 56, 128, 8, outputs=11))
GRU16 = partial(model, Net("gru", 8, 16, 4))
# engine, network, design, grade
ENGINES: tuple[tuple[str, Callable[[], IntegerModel], Design, int], ...] = (
    ("GRU 16, blocks of 4, two streams", GRU16, SMALL, 6),
    ("GRU 16, blocks of 4, two streams", GRU16, replace(SMALL, pipeline="direct"), 6),
    ("GRU 128, blocks of 8, two streams", GRU128, replace(TURNS, pipeline="direct"), 6),
    ("LSTM 20, dense, one stream", LSTM20, LONE, 8),
    ("LSTM 20, dense, one stream", LSTM20, TAKEN, 8),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--page", action="store_true", help="only make the page again")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--out", type=Path, default=Path("docs/results/clocks.md"))
    arguments = parser.parse_args()
    if not arguments.page:
        for engine in ENGINES:
            measured(*engine, arguments.seeds)
    placed.cache_clear()
    print(write_atomic(arguments.out, page(placed())))


def measured(
    name: str, network: Callable[[], IntegerModel], design: Design, grade: int, seeds: list[int]
) -> None:
    """Its point, in the file once it is there."""
    points = json.loads(POINTS.read_text(encoding="utf-8"))
    plan = schedule(network(), design)
    point = Point(
        name, DEVICE, grade, plan.multipliers, design.pipeline, design.forwarding, {}, SOURCE
    )
    if any(asdict(point) == one | {"seeds": {}} for one in points):
        return
    verilog, device, target = to_verilog(Engine(plan)), find_device(DEVICE), TARGETS[grade]
    runs = place(verilog, device, grade=grade, seeds=seeds, target_mhz=target).runs
    seen = replace(point, seeds={str(run.seed): round(run.clock_mhz, 1) for run in runs})
    write_json(POINTS, [*points, asdict(seen)])
    print(f"{name}, {design.pipeline}, grade {grade}: {seen.mhz:g} MHz, {plan.interval} cycles")


def page(points: tuple[Point, ...]) -> str:
    errors = [error(points, one) for one in points]
    lines = [
        f"| {name} | {' | '.join(f'{line.mhz(count):.0f}' for count in COUNTS)} |"
        for name, line in fit(points, 6).lines.items()
    ]
    return _PAGE.format(
        rows="\n".join(row(points, one) for one in points),
        lines="\n".join(lines),
        counts=" | ".join(map(str, COUNTS)),
        count_dashes="---|" * len(COUNTS),
        heads=f"| {' | '.join(HEADS)} |",
        dashes="---|" * len(HEADS),
        points=len(points),
        fitted=_summary(errors),
        others=_summary(list(left_out(points))),
        forwarding=FORWARDING,
        grade=GRADES[8],
        least=undecided(fit(points, 6)),
    )


def undecided(clock: Clock) -> int:
    """The largest array that is taken with deep pipelines."""
    deep, direct = Design(1), Design(1, pipeline="direct")
    return max(n for n in range(1, 999) if clock.counted(deep, n) >= clock.counted(direct, n))


COUNTS = (10, 28, 72, 154)
HEADS = (
    *("engine", "device, grade", "multipliers (of all)", "pipeline", "MHz, by seed"),
    *("by the lines", "error", "placed by"),
)


def error(points: Sequence[Point], one: Point) -> float:
    """Relative, of an engine's clock by the lines through points."""
    return one.off(fit(points, one.grade), one.grade)


def left_out(points: Sequence[Point]) -> Iterator[float]:
    """Error of each engine's clock by the lines through all others, where its pipeline has any."""
    for one in points:
        others = [other for other in points if other.engine != one.engine]
        if any(other.pipeline == one.pipeline for other in others):
            yield error(others, one)


def _summary(errors: list[float]) -> str:
    mean = sum(map(abs, errors)) / len(errors)
    return f"{mean:.1%} on average, {max(errors, key=abs):+.1%} at most"


def row(points: Sequence[Point], one: Point) -> str:
    share = one.multipliers / find_device(one.device).dsp.value
    seeds = ", ".join(f"{seen:g}" for seen in one.seeds.values())
    cells = (
        *(one.engine, f"{one.device}, {one.grade}", f"{one.multipliers} ({share:.0%})"),
        *(one.pipeline + (", forwarding" if one.forwarding else ""), seeds),
        *(f"{one.by(fit(points, one.grade)):.0f}", f"{error(points, one):+.1%}", one.source),
    )
    return f"| {' | '.join(cells)} |"


_PAGE = """# Clocks of placed engines, and what is assumed from them

    python benchmarks/clocks.py

Placed and routed by nextpnr for ECP5: its timing model, no vendor's sign-off; MHz of each seed, the
median counts. By the lines: what Phase II assumes (`ernn.estimate.clock`), **estimated**. A line
of each pipeline, ln MHz = a - b * sqrt(multipliers), goes through its engines, brought to grade 6
and to no forwarding by two figures: grade 8 has {grade:.2f} times the clock (an LSTM of 20 with a
dense head, 28 multipliers of an LFE5U-25F, deep: 165 MHz in grade 6, 216 in grade 8, one seed), and
forwarding {forwarding:.2f} times (LSTM 20 below, 220.9 over 233.8 MHz).

{heads}
|{dashes}
{rows}

Error over {points} points: {fitted}; of an engine by the lines through all others {others} (of the
one large array with deep pipelines, by small ones). Seeds of one engine differ by up to a tenth, on
a full device by more than a fifth: of two pipelines as near each other as that, the lines do not
tell which is faster. So Phase II takes deep pipelines where what others promise is better by less
than the average error: up to
{least} multipliers, where a frame takes as many cycles with either (`Clock.counted`).

| pipeline, grade 6, MHz at so many multipliers | {counts} |
|---|{count_dashes}
{lines}

With direct pipelines, which have registers on every way across the die, a large array costs a
quarter of the clock, and less than half as much as with deep ones; what is slowest then are ways of
the input's and the output's queues. Where it is small, pipelines hardly differ: what they share,
the array's queues and tapes, is as slow. Not placed: arrays between 28 and 146 multipliers, grade
7, small arrays on large devices.
"""


if __name__ == "__main__":
    main()
