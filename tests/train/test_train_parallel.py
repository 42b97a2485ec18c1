"""Two processes on one machine train as one does with the combined batch."""

import json
import multiprocessing
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
import train_toy as toy

from ernn.data.batches import collate
from ernn.errors import UserError
from ernn.train.fit import fit
from ernn.train.loss import ctc
from ernn.train.parallel import fit_together, part_of

# 41 examples in batches of 8: the last one has a single utterance, and one process none of it.
SPEC = replace(toy.SPEC, epochs=3, noise=0.0, masks=0)
TASK = replace(toy.task(), train=toy.examples(41, 1))


def model() -> torch.nn.Module:
    made = toy.model()
    made.dropout.p = 0.0
    return made


def one_of_two(rank: int, port: int, folder: Path, low_rank: int) -> None:
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "test",
    }
    trained = fit_together(
        model(), TASK, SPEC, folder / "checkpoints", low_rank=low_rank, low_rank_after=2
    )
    weights = {name: tensor.tolist() for name, tensor in trained.model.state_dict().items()}
    curve = [(epoch.loss, epoch.validation) for epoch in trained.history]
    (folder / f"{rank}.json").write_text(json.dumps({"curve": curve, "weights": weights}))


def two(folder: Path, low_rank: int = 0) -> list[dict[str, Any]]:
    """What each of two processes had in the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ernn.search.model", "ernn.train.parallel"])  # imported once
    processes = [
        context.Process(target=one_of_two, args=(rank, port, folder, low_rank)) for rank in (0, 1)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0, 0]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


def test_the_loss_curve_is_that_of_the_combined_batch(tmp_path: Path) -> None:
    alone = fit(model(), TASK, SPEC, progress=False)
    first, second = two(tmp_path)
    assert first == second
    curve = [(epoch.loss, epoch.validation) for epoch in alone.history]
    assert [loss for loss, _ in first["curve"]] == pytest.approx(
        [loss for loss, _ in curve], rel=1e-4
    )
    assert [rate for _, rate in first["curve"]] == pytest.approx(
        [rate for _, rate in curve], abs=0.05
    )
    for name, tensor in alone.model.state_dict().items():
        torch.testing.assert_close(
            torch.tensor(first["weights"][name]), tensor, rtol=1e-2, atol=1e-3
        )
    assert (tmp_path / "checkpoints" / "last.ckpt").is_file()


def test_low_rank_gradients_learn_too(tmp_path: Path) -> None:
    """PowerSGD of rank 2: both processes stay equal, and the loss falls nearly
    as it does with whole gradients.
    """
    alone = [epoch.loss for epoch in fit(model(), TASK, SPEC, progress=False).history]
    first, second = two(tmp_path, low_rank=2)
    losses = [loss for loss, _ in first["curve"]]
    assert first == second
    assert losses != pytest.approx(alone, rel=1e-4)
    assert losses[-1] < 0.8 * losses[0] and losses[-1] == pytest.approx(alone[-1], rel=0.3)


@pytest.mark.parametrize("total", [1, 2, 3, 5])
def test_parts_add_up_to_the_batch(total: int) -> None:
    batch, net = collate(toy.examples(4, 3)), model()
    parts = [part_of(batch, own, total) for own in range(total)]
    heard = sorted(id for part, weight in parts if weight for id in part.ids)
    assert heard == sorted(batch.ids)
    together = sum(weight * ctc(net(part.features), part) for part, weight in parts) / total
    torch.testing.assert_close(together, ctc(net(batch.features), batch))


def test_without_its_processes_it_says_how_to_start_them() -> None:
    with pytest.raises(UserError, match="start the program with torchrun"):
        fit_together(model(), TASK, SPEC)
