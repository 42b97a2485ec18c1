"""Random tasks of Phase II, and the law that no other question finds a faster design."""

from dataclasses import replace

import numpy as np

from ernn.errors import UserError
from ernn.estimate.clock import Clock
from ernn.estimate.device import Figure, devices
from ernn.ir.integer_model import IntegerModel
from ernn.search.choice import Request
from ernn.search.hardware import BUDGET, search
from tests.models import random_integer_model


def random_task(seed: int) -> tuple[IntegerModel, Request]:
    """A small network, and a device that hardly holds it, holds it well, or has no end."""
    rng = np.random.default_rng(seed)
    device = devices()[int(rng.integers(len(devices())))]
    block = int(rng.choice([1, 1, 2, 4, 8]))
    sizes = {"input_size": int(rng.integers(2, 24)), "hidden": block * int(rng.integers(2, 7))}
    shape = {"cell": rng.choice(["lstm", "gru"]), "layers": int(rng.integers(1, 3)), **sizes}
    model = random_integer_model(rng, block=block, outputs=int(rng.choice([0, 5])), **shape)
    figures = {
        "dsp": Figure(int(rng.integers(15, 60)), "M", "drawn"),
        "block_ram": Figure(18 * int(rng.integers(8, 80)), "M", "drawn"),
    }
    small = replace(device, **figures) if rng.random() < 0.7 else device
    return model, Request(small, Clock.assumed(device))


def holds_what_others_find(
    model: IntegerModel,
    request: Request,
    streams: tuple[int, ...] = (1, 2, 4),
    budget: int = BUDGET,
) -> None:
    """Nothing asked for in other words, with as much effort, is faster."""
    try:
        best = search(model, request, budget).best
    except UserError:
        best = None
    others = [replace(request, goal="latency"), *(replace(request, streams=n) for n in streams)]
    for other in others:
        try:
            found = search(model, other, budget).best
        except UserError:
            continue
        assert best is not None, f"{other} has a design"
        assert best.time(request.goal) <= found.time(request.goal), (other, found, best)
