"""Frames a second of one recurrent layer's training (forward, backward, optimizer
step), beside torch's own layer.

    python benchmarks/training.py --json
    python benchmarks/training.py --cell lstm --hidden 1024 --runs 10

Ours and torch's run in turn on the same frames, one step each; the figure is that of each one's
fastest step, since whatever else the machine does only ever takes time.  A row of block 8 trains
inside the block-circulant set; torch_fps is always torch's dense layer.  The cells that torch lacks
(peepholes, reset before) are beside torch's without.
"""

import argparse
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn

from ernn.compress import inside
from ernn.compress.plan import CompressionPlan
from ernn.files import write_atomic
from ernn.nn.cells import PeepholeLSTM, ResetBeforeGRU
from ernn.nn.recurrent import GRU, LSTM

INPUTS, BATCH, FRAMES = 160, 16, 200
SECONDS = 3.0  # at least, for each row
OURS = {"lstm": LSTM, "lstm-peephole": PeepholeLSTM, "gru": GRU, "gru-reset-before": ResetBeforeGRU}
BLOCKS = (1, 8, 16)


COLUMNS = ("cell", "hidden", "projection", "block")
COLUMNS += ("ours, frames/s", "torch, dense, frames/s", "ours / torch", "of medians")
HEAD = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"
PAGE = """# How fast recurrent layers train

Frames a second of one layer's training, all measured: forward, backward and AdamW's step, on
{batch} sequences of {frames} frames of {inputs} values. Ours (`ernn.nn`) and torch's layer run in
turn, {runs} steps of each or more; each figure is that of the fastest step, and the last column
compares the medians. Blocks of 8 and 16 train inside the block-circulant set
(`ernn.compress.inside`); torch's figure is always its dense layer, without peepholes, and with the
reset gate after the product.

A dense LSTM without projection is torch's own code (oneDNN), so its true ratio is 1: what its rows
differ from 1 by is how well these figures can be told apart.

{table}

    {command}

Measured on {machine}, nice value {nice}; load of the machine at the end (1, 5 and 15 minutes):
{load}. How it is done, and why: [the decision](../decisions/0008-training-scans.md).
"""


@dataclass(frozen=True)
class Row:
    """Frames a second of the fastest steps; torch's median time over ours. Block 1
    is dense, projection 0 is none.
    """

    cell: str
    hidden: int
    projection: int
    block: int
    ernn_fps: float = 0.0
    torch_fps: float = 0.0
    of_medians: float = 0.0


ROWS = [
    Row(cell, hidden, projection, block)
    for cell, sizes in (
        ("lstm", ((1024, 512), (512, 0), (256, 0), (128, 0))),
        ("lstm-peephole", ((1024, 512),)),
        ("gru", ((512, 0), (256, 0), (128, 0))),
        ("gru-reset-before", ((512, 0), (256, 0), (128, 0))),
    )
    for hidden, projection in sizes
    for block in BLOCKS
]


def main() -> None:
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    wanted = [
        row
        for row in ROWS
        if arguments.cell in (None, row.cell) and arguments.hidden in (None, row.hidden)
    ]
    rows = [measure(row, arguments.runs) for row in wanted]
    if arguments.out:
        write_atomic(arguments.out, page(rows, arguments))
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cell", choices=sorted(OURS))
    parser.add_argument("--hidden", type=int)
    parser.add_argument(
        "--runs", type=int, default=8, help="steps timed of each, in turn, at least"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="write a page with the table")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    return parser.parse_args()


def measure(row: Row, runs: int) -> Row:
    torch.manual_seed(0)
    frames = torch.randn(FRAMES, BATCH, INPUTS)
    kind = nn.LSTM if row.cell.startswith("lstm") else nn.GRU
    projected: dict[str, Any] = {"proj_size": row.projection} if row.projection else {}
    layer = OURS[row.cell](INPUTS, row.hidden, **projected)
    if row.block > 1:
        inside.enter(layer, CompressionPlan.blocks(row.block))
    steps = [step(one, frames) for one in (layer, kind(INPUTS, row.hidden, **projected))]
    for one in steps:
        one()  # compiles and warms up
    times: list[tuple[float, ...]] = []
    while len(times) < runs or sum(map(sum, times)) < SECONDS:
        times.append(tuple(one() for one in steps))
    ernn_fps, torch_fps = (FRAMES * BATCH / min(seconds) for seconds in zip(*times, strict=True))
    ours, theirs = (median(seconds) for seconds in zip(*times, strict=True))
    speeds = round(ernn_fps), round(torch_fps), round(theirs / ours, 3)
    done = Row(row.cell, row.hidden, row.projection, row.block, *speeds)
    print(f"{describe(done)}: {ernn_fps / torch_fps:.2f} times torch", file=sys.stderr, flush=True)
    return done


def step(layer: nn.Module, frames: torch.Tensor) -> Callable[[], float]:
    """One optimizer step, in seconds."""
    optimizer = torch.optim.AdamW(layer.parameters(), 1e-4)

    def run() -> float:
        begin = time.perf_counter()
        optimizer.zero_grad()
        layer(frames)[0].square().mean().backward()
        optimizer.step()
        return time.perf_counter() - begin

    return run


def describe(row: Row) -> str:
    layer = f"{row.cell} {row.hidden}/{row.projection or '-'} block {row.block}"
    return f"{layer}: {row.ernn_fps:.0f} and {row.torch_fps:.0f}"


def page(rows: list[Row], arguments: argparse.Namespace) -> str:
    return PAGE.format(
        batch=BATCH,
        frames=FRAMES,
        inputs=INPUTS,
        runs=arguments.runs,
        table="\n".join([HEAD, *(line(row) for row in rows)]),
        command=shlex.join(["python", "benchmarks/training.py", *sys.argv[1:]]),
        machine=f"{processor()}, {arguments.threads} threads, torch {torch.__version__}",
        nice=os.getpriority(os.PRIO_PROCESS, 0),
        load=", ".join(f"{load:.1f}" for load in os.getloadavg()),
    )


def line(row: Row) -> str:
    shown = row.cell, row.hidden, row.projection or "none", "dense" if row.block == 1 else row.block
    speeds = (
        f"{row.ernn_fps:,.0f}",
        f"{row.torch_fps:,.0f}",
        f"{row.ernn_fps / row.torch_fps:.2f}",
        f"{row.of_medians:.2f}",
    )
    return f"| {' | '.join(map(str, (*shown, *speeds)))} |"


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    return next(
        (line.split(": ")[1] for line in lines if line.startswith("model name")),
        platform.processor(),
    )


if __name__ == "__main__":
    main()
