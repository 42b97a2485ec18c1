"""Signed blocks multiplied as spectra equal their decoded weights, forward and backward."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ernn.compress import inside
from ernn.compress.plan import CompressionPlan, compressed
from ernn.ir.cells import CIFG, LRU, QRNN
from ernn.ir.structure import BlockCirculant, Signed, Structure
from ernn.nn.cells import PeepholeLSTM, ResetBeforeGRU
from ernn.nn.described import DescribedCell
from ernn.nn.explicit import explicit
from ernn.nn.recurrent import GRU, LSTM, Way, run
from ernn.nn.through import scanned

EIGHTS = BlockCirculant(4, pad=True)
CELLS: dict[str, Callable[[], nn.Module]] = {
    "gru": lambda: GRU(10, 16),
    "gru, stacked": lambda: GRU(10, 16, 2, bidirectional=True),
    "reset before": lambda: ResetBeforeGRU(10, 16),
    "lstm": lambda: LSTM(12, 16),
    "projected": lambda: PeepholeLSTM(12, 16, proj_size=8),
    "cifg": lambda: DescribedCell(CIFG, 12, 16),
    "two delays": lambda: DescribedCell(QRNN, 12, 16),
    "several steps": lambda: DescribedCell(LRU, 12, 16),
}


def values(module: Any, way: Way) -> list[Tensor]:
    """Outputs, last states and every gradient."""
    frames = torch.randn(7, 3, module.input_size, generator=torch.Generator().manual_seed(5))
    frames = frames.double().requires_grad_()
    outputs, ends = run(module, frames, None, way)
    module.zero_grad()
    (outputs.sin().sum() + sum(end.cos().sum() for end in ends)).backward()
    assert frames.grad is not None
    return [outputs, *ends, frames.grad, *(one.grad for one in module.parameters())]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "plan",
    [
        CompressionPlan.blocks(4, signed=True),
        CompressionPlan(input=EIGHTS, recurrent=Signed(EIGHTS, 1), projection=Signed(EIGHTS, 2)),
        CompressionPlan(input=Signed(EIGHTS), recurrent=BlockCirculant(8, pad=True)),
    ],
    ids=["all", "recurrent", "another block"],
)
def test_the_scan_equals_decoded_weights(cell: str, plan: CompressionPlan) -> None:
    torch.manual_seed(0)
    module = CELLS[cell]().double()
    inside.enter(module, plan)
    for fast, plain in zip(values(module, scanned), values(module, explicit), strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("cell", ["gru", "projected"])
def test_a_state_is_carried(cell: str) -> None:
    torch.manual_seed(0)
    module: Any = CELLS[cell]().double()
    inside.enter(module, CompressionPlan.blocks(4, signed=True))
    frames = torch.randn(9, 2, module.input_size).double()
    whole, _ = run(module, frames, None, scanned)
    first, states = run(module, frames[:4], None, scanned)
    then, _ = run(module, frames[4:], states, scanned)
    torch.testing.assert_close(torch.cat([first, then]), whole)


def test_matrices_that_read_a_step_may_have_signs_of_their_own() -> None:
    torch.manual_seed(0)
    module = CELLS["several steps"]().double()
    found = compressed(module, CompressionPlan.blocks(4))
    signs: list[Structure] = [Signed(EIGHTS, seed) for seed in range(len(found))]
    pairs = tuple((one.name, structure) for one, structure in zip(found, signs, strict=True))
    inside.enter(module, CompressionPlan(overrides=pairs))
    for fast, plain in zip(values(module, scanned), values(module, explicit), strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-9, atol=1e-9)
