"""A search small enough to be killed and repeated: the toy task of the training tests."""

import sys
from dataclasses import replace
from pathlib import Path

import torch

from ernn.estimate.device import find_device
from ernn.nn.spec import LayerSpec, ModelSpec
from ernn.search.limit import Limit
from ernn.search.log import Log
from ernn.search.model import CompressedNetwork, Explorer, Question
from ernn.search.trial import Bench
from ernn.train.solvers import ByAdmm

sys.path.insert(0, str(Path(__file__).parents[1] / "train"))
import train_toy as toy

DENSE, AFTER = replace(toy.SPEC, epochs=4), replace(toy.SPEC, epochs=3)


def model(cell: str, hidden: int = 16) -> ModelSpec:
    return ModelSpec(4, (LayerSpec(cell, hidden),), 4, dropout=0.1)  # type: ignore[arg-type]


def question(**changes: object) -> Question:
    asked = Question(
        find_device("LFE5U-25F"),
        Limit(40.0),
        model("lstm"),
        model("gru"),
        DENSE,
        ByAdmm(AFTER, AFTER),
        worth=0.01,
    )
    return replace(asked, **changes)  # type: ignore[arg-type]


def explore(folder: Path) -> CompressedNetwork | None:
    torch.set_num_threads(1)
    bench = Bench(folder / "trials", toy.task(), "toy", progress=False)
    return Explorer(question(), bench, Log(folder), lambda model, plan: None).explore()
