"""The training loops in C: every variant that runs here, and what runs without them."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ernn.compress import inside
from ernn.compress.plan import CompressionPlan
from ernn.ir.activations import FUNCTIONS, Function
from ernn.ir.cell import Cell, CellStage, CellStep
from ernn.ir.cells import COMPACT
from ernn.nn import _loops, loops, scan
from ernn.nn.cells import PeepholeLSTM, ResetBeforeGRU
from ernn.nn.described import DescribedCell
from ernn.nn.recurrent import GRU, LSTM


@pytest.fixture
def variants() -> Iterator[tuple[str, ...]]:
    """Their names; the fastest is chosen again afterwards."""
    yield _loops.names()
    _loops.choose(_loops.names()[-1])


def everything(layer: nn.Module, frames: Tensor) -> list[Tensor]:
    """Outputs and all gradients."""
    outputs = layer(frames)[0]
    return [outputs, *torch.autograd.grad(outputs.sin().sum(), [frames, *layer.parameters()])]


@pytest.mark.parametrize("block", [1, 4])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_variants_agree(variants: tuple[str, ...], block: int, kind: torch.dtype) -> None:
    torch.manual_seed(0)
    layer, bound = PeepholeLSTM(20, 24, proj_size=12).to(kind), 1e-6 if kind == torch.float32 else 0
    inside.enter(layer, CompressionPlan.blocks(block))
    for batch in (16, 48):
        frames = torch.randn(9, batch, 20, dtype=kind, requires_grad=True)
        expected = everything(layer, frames)
        for name in variants:
            _loops.choose(name)
            for ours, theirs in zip(everything(layer, frames), expected, strict=True):
                assert (ours - theirs).norm() <= (bound or 1e-14) * theirs.norm(), name


@pytest.mark.parametrize("block", [1, 4])
def test_any_number_of_threads_gives_the_same_bits(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Again and again: a training that is resumed is what it would have been."""
    torch.manual_seed(0)
    layers = LSTM(20, 24, proj_size=12), GRU(20, 40), ResetBeforeGRU(20, 24)
    monkeypatch.setattr(scan, "WORTH", 0)
    before, frames = torch.get_num_threads(), torch.randn(19, 5, 20, requires_grad=True)
    try:
        for layer in layers:
            inside.enter(layer, CompressionPlan.blocks(block))
            found = []
            for threads in (1, 1, 2, 3):
                torch.set_num_threads(threads)
                found.append(everything(layer, frames))
            for some in found[1:]:
                assert all(torch.equal(a, b) for a, b in zip(some, found[0], strict=True))
    finally:
        torch.set_num_threads(before)


def test_unknown_variants_are_refused() -> None:
    with pytest.raises(ValueError, match="does not run mmx"):
        _loops.choose("mmx")


@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
def test_activations_in_single_precision(variants: tuple[str, ...], function: Function) -> None:
    """Of a cell that does nothing else."""
    x = torch.linspace(-30, 30, 60_000)
    cell = Cell("function", (CellStage((), (CellStep("h", "x + zero", function),)),), ("zero",))
    layer, exact = DescribedCell(cell, len(x), len(x)), FUNCTIONS[function](x.double().numpy())
    nn.init.zeros_(layer.get_parameter("zero_l0"))
    for name in variants:
        _loops.choose(name)
        found = layer(x[None, None])[0].detach().flatten().numpy()
        if function == "sigmoid":
            np.testing.assert_allclose(found, exact, atol=2e-7)
        else:
            np.testing.assert_allclose(found, exact, rtol=6e-7)


@pytest.mark.filterwarnings("ignore:.*oneDNN")
def test_without_a_compiler_torch_trains_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layers = (
        LSTM(6, 8, proj_size=4),
        GRU(6, 8),
        PeepholeLSTM(6, 8),
        DescribedCell(COMPACT["mgu"], 6, 8),
    )
    frames = torch.randn(7, 16, 6, requires_grad=True)
    expected = [everything(layer, frames) for layer in layers]
    monkeypatch.setattr(loops, "_loops", None)
    for layer, before in zip(layers, expected, strict=True):
        with pytest.warns(RuntimeWarning, match="there was no C compiler when ernn was installed"):
            found = everything(layer, frames)
        for ours, theirs in zip(found, before, strict=True):
            torch.testing.assert_close(ours, theirs)
