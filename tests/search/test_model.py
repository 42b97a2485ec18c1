"""Phase I decides as the paper does, in at most six trainings, and
survives being killed at any moment.
"""

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load

sys.path.insert(0, str(Path(__file__).parent))
import toy_search as toy

from ernn.compress.plan import CompressionPlan, matrices, stored_weights
from ernn.errors import UserError
from ernn.estimate.device import find_device
from ernn.ir.structure import BlockCirculant, Signed, block_size
from ernn.nn.model import AcousticModel
from ernn.nn.spec import LayerSpec, ModelSpec
from ernn.search.cost import cost, rotations, savings, shapes
from ernn.search.limit import Limit
from ernn.search.log import Log
from ernn.search.model import CompressedNetwork, Explorer
from ernn.search.trial import STARTED, Bench, CompressedTrial, DenseTrial, Result, Trial


@dataclass
class Told:
    """A bench that is told what a training gives: percent by (cell,
    block, input block, output block).
    """

    percent: Callable[[str, int, int, int], float]
    asked: list[tuple[str, int, int, int]] = field(default_factory=list)

    def result(self, trial: Trial) -> Result:
        plan = trial.plan if isinstance(trial, CompressedTrial) else CompressionPlan()
        blocks = (block_size(plan.recurrent), block_size(plan.input), block_size(plan.output))
        self.asked.append((trial.model.layers[0].cell, *blocks))
        return Result("told", self.percent(*self.asked[-1]), 1, 1.0)


def big(cell: str) -> ModelSpec:
    return ModelSpec(120, (LayerSpec(cell, 256), LayerSpec(cell, 256)), 40)  # type: ignore[arg-type]


def told(
    tmp_path: Path, percent: Callable[[str, int, int, int], float], **changes: Any
) -> tuple[CompressedNetwork | None, Told]:
    device = find_device("LFE5U-85F")
    asked = toy.question(
        device=device, lstm=big("lstm"), gru=big("gru"), limit=Limit(0.5), worth=0.03, **changes
    )
    bench = Told(percent)
    return Explorer(asked, bench, Log(tmp_path), lambda model, plan: None).explore(), bench  # type: ignore[arg-type]


def test_the_papers_procedure(tmp_path: Path) -> None:
    """Block 8 keeps the accuracy, 16 does not; the GRU does as well with fewer weights."""
    found, bench = told(
        tmp_path, lambda cell, k, i, o: 10.0 + (0.3 if k == 8 else 0 if k < 8 else 0.9)
    )
    assert bench.asked == [
        ("lstm", 1, 1, 1),
        ("lstm", 8, 8, 1),
        ("lstm", 16, 16, 1),
        ("gru", 1, 1, 1),
        ("gru", 8, 8, 1),
        ("gru", 8, 8, 8),
    ]
    assert found is not None and found.trial.model == big("gru") and found.block == 8
    assert block_size(found.trial.plan.output) == 8
    log = [json.loads(line) for line in (tmp_path / "decisions.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [
        "bounds LSTM",
        "dense LSTM",
        "LSTM block 8",
        "LSTM block 16",
        "largest block",
        "bounds GRU",
        "dense GRU",
        "GRU block 8",
        "cell",
        "finer blocks",
        "end",
    ]
    assert log[3]["decision"] == "beyond the limit" and log[3]["numbers"]["limit"] == 10.5
    assert all(entry["numbers"] for entry in log)
    assert (
        "LSTM block 16: beyond the limit (validation 10.9"
        in (tmp_path / "decisions.txt").read_text()
    )


def test_the_lstm_stays_where_the_gru_does_not_keep_the_accuracy(tmp_path: Path) -> None:
    found, bench = told(tmp_path, lambda cell, k, i, o: 10.0 if cell == "lstm" else 12.0)
    assert found is not None and found.trial.model == big("lstm") and found.block == 16
    assert ("gru", 16, 16, 1) not in bench.asked  # the dense one is beyond the limit already
    assert len(bench.asked) <= 6


def test_larger_input_blocks_where_several_sizes_are_allowed(tmp_path: Path) -> None:
    found, bench = told(tmp_path, lambda cell, k, i, o: 10.0 if k <= 8 else 11.0, mixed=True)
    assert bench.asked[-1] == ("gru", 8, 16, 8) and found is not None
    assert block_size(found.trial.plan.input) == 16


def test_blocks_have_signs_where_that_is_asked(tmp_path: Path) -> None:
    """The same procedure, with as many weights."""
    percent = lambda cell, k, i, o: 10.0 if k <= 8 else 11.0  # noqa: E731
    plain, _ = told(tmp_path / "plain", percent, mixed=True)
    found, bench = told(tmp_path / "signed", percent, mixed=True, signed=True)
    assert plain is not None and found is not None and bench.asked[-1] == ("gru", 8, 16, 8)
    plan = found.trial.plan
    assert plan.recurrent == plan.output == Signed(BlockCirculant(8, True))
    assert plan.input == Signed(BlockCirculant(16, True))
    assert found.cost == plain.cost


def test_nothing_is_found_where_nothing_keeps_the_accuracy(tmp_path: Path) -> None:
    found, bench = told(tmp_path, lambda cell, k, i, o: 10.0 + k)
    assert found is None and len(bench.asked) <= 6
    assert "no network within the limit" in (tmp_path / "decisions.txt").read_text()


@pytest.mark.parametrize("trainings", [2, 3, 4, 5, 6])
def test_never_more_trainings_than_allowed(tmp_path: Path, trainings: int) -> None:
    _, bench = told(tmp_path, lambda cell, k, i, o: 10.0, trainings=trainings)
    assert 2 <= len(bench.asked) <= trainings


def test_a_device_that_is_too_small_is_named_before_any_training(tmp_path: Path) -> None:
    huge = ModelSpec(120, (LayerSpec("lstm", 8192),), 40)
    bench = Told(lambda *_: 0.0)
    asked = toy.question(lstm=huge)
    with pytest.raises(
        UserError, match=r"LSTM: even in blocks of 64 it takes .* LFE5U-25F's block RAM"
    ):
        Explorer(asked, bench, Log(tmp_path), lambda model, plan: None).explore()  # type: ignore[arg-type]
    assert bench.asked == []


@pytest.mark.parametrize(
    "cell", [LayerSpec("lstm", 24, 16, True), LayerSpec("lstm", 24), LayerSpec("gru", 24)]
)
def test_costs_are_those_of_the_model_itself(cell: LayerSpec) -> None:
    spec, plan = ModelSpec(13, (cell, cell), 7, front=11), CompressionPlan.blocks(8)
    model = AcousticModel(spec)
    found = {m.name: (m.role, tuple(m.weight.shape)) for m in matrices(model, plan)}
    assert {one.name: (one.role, one.shape) for one in shapes(spec)} == found
    assert cost(spec, plan).weights == stored_weights(model, plan)
    assert cost(spec, plan, weight_bits=8).bits < cost(spec, plan, weight_bits=12).bits


def test_rotations_and_savings() -> None:
    assert [rotations(k) for k in (1, 2, 4, 8, 16, 32, 64)] == [0, 0, 0, 4, 20, 68, 196]
    spent = savings(big("lstm"))
    assert spent[1] == cost(big("lstm"), CompressionPlan()).weights
    assert 0.1 < spent[8] / spent[1] < 0.2  # 11 real products for 64 weights, and the transforms


@pytest.mark.parametrize(
    ("text", "percent"),
    [("dense + 0.5", 10.5), ("dense+2", 12.0), ("12.5", 12.5), (" dense + 0 ", 10.0)],
)
def test_limits(text: str, percent: float) -> None:
    assert Limit.parse(text).percent(10.0) == percent


@pytest.mark.parametrize("text", ["dense", "dense - 1", "", "0,5"])
def test_a_limit_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="a limit is"):
        Limit.parse(text)


def outcome(folder: Path) -> tuple[str, dict[str, torch.Tensor]]:
    """The log, and all weights by trial."""
    bench = Bench(folder / "trials", toy.toy.task(), "toy", progress=False)
    states = {}
    for path in sorted(bench.folder.glob("*/state.safetensors")):
        states |= {
            f"{path.parent.name}.{name}": tensor for name, tensor in load(path.read_bytes()).items()
        }
    return (folder / "decisions.jsonl").read_text(), states


def test_killed_at_any_moment_it_ends_the_same(tmp_path: Path) -> None:
    """Real SIGKILLs at random moments, then a run that ends: same log, same
    weights, nothing trained again.
    """
    seed = int.from_bytes(os.urandom(4))
    rng, started = random.Random(seed), time.monotonic()
    assert _search(tmp_path / "whole") == 0
    seconds, kills = time.monotonic() - started, 0
    folder = tmp_path / "killed"
    while True:
        done, begun = _names(folder / "trials", "*/result.json"), len(_started(folder))
        status = _search(folder, rng.uniform(0.1, 0.6) * seconds if kills < 3 else None)
        assert not done & set(_started(folder)[begun:]), f"trained what had a result, seed {seed}"
        if status == 0:
            break
        assert status == -signal.SIGKILL
        kills += 1
    log, states = outcome(tmp_path / "whole")
    again, killed = outcome(folder)
    assert again == log, f"seed {seed}"
    assert states.keys() == killed.keys() and len(states) > 20
    assert all(torch.equal(killed[name], tensor) for name, tensor in states.items()), f"seed {seed}"


def _search(folder: Path, kill_after: float | None = None) -> int | None:
    """Exit status of a process that searches in `folder`."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ernn.search.model", "ernn.train.fit"])  # imported once
    process = context.Process(target=toy.explore, args=(folder,))
    process.start()
    process.join(kill_after)
    if process.is_alive():
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
    return process.exitcode


def _names(folder: Path, pattern: str) -> set[str]:
    return {path.parent.name for path in folder.glob(pattern)}


def _started(folder: Path) -> list[str]:
    """Names of trials in the order in which their training was begun."""
    path = folder / "trials" / STARTED
    return path.read_text().split() if path.exists() else []


def test_a_trial_that_was_never_trained_has_no_network(tmp_path: Path) -> None:
    bench = Bench(tmp_path, toy.toy.task(), "toy", progress=False)
    with pytest.raises(UserError, match="has no result"):
        bench.network(DenseTrial(toy.model("gru"), toy.DENSE))
