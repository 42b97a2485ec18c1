"""How fast recurrent layers train, beside torch's own.

    python benchmarks/training.py --json
    python benchmarks/training.py --cell lstm --hidden 1024 --runs 10
    python benchmarks/training.py cells --hidden 64
    python benchmarks/training.py epoch --corpus an4 --root ../shared/data/an4_cepstra --hidden 352

layers: frames a second of one layer (forward, backward, optimizer step). A row of block 8 trains
inside the block-circulant set; torch's figure is always its dense layer. The cells that torch lacks
(peepholes, reset before) are beside torch's without.
cells: microseconds a frame, forward and backward, of every cell that torch lacks (`ernn.ir.cells`),
beside the loop of torch's operations that its description says, on one thread.
epoch: processor seconds of one epoch of retraining inside the set on a corpus, on one thread, with
the recipe's network in layers of `--hidden` units; torch's layers read decoded weights.

Ours and torch's run in turn; a figure is that of the fastest run, since whatever else the machine
does only ever takes time. Of one thread, time is the processor's, of several the clock's.
"""

import argparse
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ernn.compress import inside
from ernn.compress.plan import CompressionPlan
from ernn.data.batches import Batches
from ernn.data.open import open_corpus
from ernn.files import write_atomic
from ernn.ir.cells import COMPACT
from ernn.nn.cells import PeepholeLSTM, ResetBeforeGRU
from ernn.nn.described import DescribedCell
from ernn.nn.explicit import explicit
from ernn.nn.model import AcousticModel
from ernn.nn.recurrent import GRU, LSTM, Way, run
from ernn.nn.through import scanned
from ernn.train.loss import ctc
from ernn.train.recipes import AN4, DIGITS, Recipe
from ernn.train.task import Prepared, Task

INPUTS, BATCH, FRAMES = 160, 16, 200
SECONDS = 3.0  # at least, for each row
OURS = {"lstm": LSTM, "lstm-peephole": PeepholeLSTM, "gru": GRU, "gru-reset-before": ResetBeforeGRU}
BLOCKS = (1, 8, 16)
RECIPES = {"digits": DIGITS, "an4": AN4}


COLUMNS = ("cell", "hidden", "projection", "block")
COLUMNS += ("ours, frames/s", "torch, dense, frames/s", "ours / torch", "of medians")
HEAD = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"
PAGE = """# How fast recurrent layers train

Frames a second of one layer's training, all measured in {time}: forward, backward and AdamW's
step, on {batch} sequences of {frames} frames of {inputs} values. Ours (`ernn.nn`) and torch's layer
run in turn, {runs} steps of each or more; each figure is that of the fastest step, and the last
column compares the medians. Blocks of 8 and 16 train inside the block-circulant set
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
    arguments.measure(arguments)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", nargs="?", choices=("layers", "cells", "epoch"), default="layers")
    parser.add_argument("--cell", choices=sorted(OURS))
    parser.add_argument("--hidden", type=int)
    parser.add_argument("--runs", type=int, default=8, help="of each, in turn, at least")
    parser.add_argument("--threads", type=int, default=2, help="of layers")
    parser.add_argument("--corpus", choices=sorted(RECIPES), default="digits")
    parser.add_argument("--root", type=Path, help="the corpus's folder (digits needs none)")
    parser.add_argument("--batches", type=int, help="of the epoch; all, unless given")
    parser.add_argument("--out", type=Path, help="write a page with the table of layers")
    parser.add_argument("--json", action="store_true", help="print rows as JSON")
    arguments = parser.parse_args()
    arguments.measure = {"layers": layers, "cells": cells, "epoch": epochs}[arguments.what]
    return arguments


def layers(arguments: argparse.Namespace) -> None:
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
        one()  # warms up
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

    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter

    def run() -> float:
        begin = clock()
        optimizer.zero_grad()
        layer(frames)[0].square().mean().backward()
        optimizer.step()
        return clock() - begin

    return run


def cells(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    frames, rows = torch.randn(FRAMES, BATCH, 39), []
    for name, cell in COMPACT.items():
        layer = DescribedCell(cell, 39, arguments.hidden or 64)
        best = dict.fromkeys(("compiled", "explicit"), float("inf"))
        for _ in range(arguments.runs):
            for which, way in (("compiled", scanned), ("explicit", explicit)):
                best[which] = min(best[which], there_and_back(layer, frames, way) / FRAMES * 1e6)
        rows.append({"cell": name} | {which: round(found, 1) for which, found in best.items()})
        if not arguments.json:
            print(f"{name}: {best['compiled']:.1f} and {best['explicit']:.1f} us a frame")
    if arguments.json:
        print(json.dumps(rows, indent=2))


def there_and_back(layer: nn.Module, frames: Tensor, way: Way) -> float:
    """Processor seconds."""
    x = frames.clone().requires_grad_()
    begin = time.process_time()
    run(layer, x, None, way)[0].square().mean().backward()
    return time.process_time() - begin


class DecodedGRU(nn.GRU):
    """torch's layer, of another class so that `inside.enter` leaves its forward alone."""


def epochs(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    recipe, hidden = RECIPES[arguments.corpus], arguments.hidden or 352
    recipe = replace(recipe, layers=tuple(replace(layer, hidden=hidden) for layer in recipe.layers))
    task = Prepared(open_corpus(arguments.corpus, arguments.root), recipe.features).task
    result = {"corpus": arguments.corpus, "hidden": hidden, "batches": arguments.batches}
    for name, plan in (("dense", type(recipe.plan)()), ("inside", recipe.plan)):
        models = {"ernn": recipe.model(task), "torch": with_torchs_layers(recipe, task)}
        for model in models.values():
            inside.enter(model, plan)
        for who in list(models) * arguments.runs:
            seconds = epoch(models[who], task, recipe, arguments.batches)
            result[f"{name}_{who}"] = round(min(seconds, result.get(f"{name}_{who}", seconds)), 2)
    print(json.dumps(result, indent=2) if arguments.json else result)


def with_torchs_layers(recipe: Recipe, task: Task) -> AcousticModel:
    model = recipe.model(task)
    for index, layer in enumerate(model.recurrent):
        model.recurrent[index] = DecodedGRU(layer.input_size, layer.hidden_size, batch_first=True)  # type: ignore[arg-type]
    return model


def epoch(model: nn.Module, task: Task, recipe: Recipe, batches: int | None) -> float:
    """Processor seconds of one pass over the training examples, or over its first `batches`."""
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    begin = time.process_time()
    for batch in islice(Batches(task.train, recipe.retrain.batch, recipe.retrain.seed), batches):
        optimizer.zero_grad()
        with parametrize.cached():
            loss = ctc(model(batch.features), batch)
        loss.backward()
        optimizer.step()
    return time.process_time() - begin


def describe(row: Row) -> str:
    layer = f"{row.cell} {row.hidden}/{row.projection or '-'} block {row.block}"
    return f"{layer}: {row.ernn_fps:.0f} and {row.torch_fps:.0f}"


def page(rows: list[Row], arguments: argparse.Namespace) -> str:
    return PAGE.format(
        batch=BATCH,
        frames=FRAMES,
        inputs=INPUTS,
        runs=arguments.runs,
        time="processor time" if arguments.threads == 1 else "time by the clock",
        table="\n".join([HEAD, *(line(row) for row in rows)]),
        command=shlex.join(["python", "benchmarks/training.py", *sys.argv[1:]]),
        machine=f"{processor()}, threads: {arguments.threads}, torch {torch.__version__}",
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
