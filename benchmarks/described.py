"""How fast described cells (`ernn.ir.cells`) train: the compiled scan beside the
explicit loop, one layer, one thread.

    python benchmarks/described.py --hidden 64 --frames 200

Forward and backward on 16 sequences of random frames, the two in turn; the figure is each one's
fastest run, since whatever else the machine does only ever takes time. GRU, of
`ernn.nn.recurrent`, stands beside them.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

from ernn.ir.cells import COMPACT
from ernn.nn.described import DescribedCell
from ernn.nn.explicit import explicit
from ernn.nn.recurrent import GRU, run

BATCH, INPUTS = 16, 39


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    frames = torch.randn(options.frames, BATCH, INPUTS)
    gru = GRU(INPUTS, options.hidden)
    ways: dict[str, Callable[[Tensor], Tensor]] = {"GRU": lambda x: gru(x)[0]}
    for name, cell in COMPACT.items():
        layer = DescribedCell(cell, INPUTS, options.hidden)
        ways[name] = lambda x, layer=layer: layer(x)[0]
        ways[f"{name}, explicit"] = lambda x, layer=layer: run(layer, x, None, explicit)[0]
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(options.runs):
        for name, way in ways.items():
            best[name] = min(best[name], seconds(way, frames))
    print("| cell | compiled, us a frame | explicit, us a frame | factor |\n|---|---|---|---|")
    for name in ("GRU", *COMPACT):
        ours, theirs = best[name], best.get(f"{name}, explicit")
        shown = (
            "| |"
            if theirs is None
            else f"| {theirs / options.frames * 1e6:.0f} | {theirs / ours:.1f} |"
        )
        print(f"| {name} | {ours / options.frames * 1e6:.0f} {shown}")


def seconds(way: Callable[[Tensor], Tensor], frames: Tensor) -> float:
    x = frames.clone().requires_grad_()
    began = time.perf_counter()
    way(x).square().mean().backward()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
