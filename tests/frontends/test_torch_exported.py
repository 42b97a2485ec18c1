"""What torch's own tools make of a module is imported as the module itself."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ernn
from ernn.errors import UserError
from ernn.frontends.torch import import_torch

FRAMES = torch.randn(2, 7, 3, generator=torch.Generator().manual_seed(0))
SPEECH = [one.numpy().astype(float) for one in FRAMES]


class Steps(nn.Module):
    """The gates of a layer, a view around a product, an optional argument, a branch."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(3, 4, num_layers=2, batch_first=True)
        self.fc, self.drop = nn.Linear(4, 2), nn.Dropout(0.5)

    def forward(self, x: Tensor, factor: float = 2.0) -> Tensor:
        output, _ = self.rnn(x)
        if output.dim() != 3:
            raise ValueError("frames")
        rows = self.drop(torch.relu(output)).reshape(-1, 4) * factor
        return self.fc(rows).view(x.shape[0], x.shape[1], 2)


class Cells(nn.Module):
    """A loop over time."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.fc = nn.GRUCell(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        state = torch.zeros(x.size(0), 4)
        states = []
        for t in range(x.size(1)):
            state = self.cell(x[:, t], state)
            states.append(state)
        return self.fc(torch.stack(states, 1))


class Last(Steps):
    """A softmax, which stays on the host, of the last step."""

    def forward(self, x: Tensor, factor: float = 2.0) -> Tensor:
        return torch.softmax(self.fc(self.rnn(x)[0][:, -1]) * factor, -1)


def exported(module: nn.Module) -> Any:
    return torch.export.export(module, (FRAMES[:1],))


def traced(module: nn.Module) -> Any:
    return torch.jit.trace(module, FRAMES)


def frozen(module: nn.Module) -> Any:
    return torch.jit.freeze(torch.jit.script(module))


def whole(module: nn.Module) -> nn.Module:
    module.compile()
    return module


PAIRS = [
    (way, kind)
    for way in (exported, traced, frozen, torch.jit.script, torch.compile, whole)
    for kind in (Steps, Cells, Last)
    if (way, kind) != (traced, Cells)  # a traced loop is written out, and its cell in gates
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("way", "kind"), PAIRS)
def test_it_is_the_module(way: Callable[..., Any], kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    module = kind().eval()
    model = ernn.convert(way(deepcopy(module)), SPEECH)
    assert model.imported is None or model.imported.share == 1
    for frames in (SPEECH[0], np.concatenate(SPEECH)):
        if way is exported and kind is Last and len(frames) != 7:
            continue  # what is on the host has the length it was exported with
        expected = module(torch.from_numpy(frames)[None].float()).detach().numpy()
        np.testing.assert_allclose(
            np.ravel(model.predict_float(frames)), expected.ravel(), atol=1e-5
        )


@pytest.mark.filterwarnings("ignore")
def test_a_part_of_torchscript() -> None:
    torch.manual_seed(0)
    parts: list[Any] = [torch.jit.script(Steps()), torch.compile(nn.Linear(2, 2))]
    module = nn.Sequential(*parts).eval()
    scripted = module[0]
    imported = import_torch(module, FRAMES)
    assert imported.plain and imported.share == 1
    assert module[0] is scripted and not module[0].training


@pytest.mark.filterwarnings("ignore")
def test_a_program_of_a_fixed_batch() -> None:
    program = torch.export.export(Steps().eval(), (FRAMES,))
    with pytest.raises(UserError, match=r"takes 2 sequences at once: export .* a batch of 1"):
        ernn.convert(program, SPEECH)


@pytest.mark.filterwarnings("ignore")
def test_a_length_that_a_program_does_not_have() -> None:
    model = ernn.convert(exported(Last().eval()), SPEECH)
    with pytest.raises(UserError, match="to be equal to 7, but got 5"):
        model.predict(SPEECH[0][:5])


def test_a_state_kept_by_torchscript() -> None:
    class Keeps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 3)
            self.register_buffer("kept", torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            self.kept = self.kept + 1
            return self.fc(x) + self.kept

    with pytest.raises(UserError, match="another output for the same input"):
        import_torch(torch.jit.script(Keeps()), FRAMES)


def test_what_only_torchscript_runs() -> None:
    class Ignores(nn.Module):
        @torch.jit.ignore
        def own(self, x: Tensor) -> Tensor:
            return x

        def forward(self, x: Tensor) -> Tensor:
            return self.own(x)

    with pytest.raises(UserError, match="has prim::PythonOp, which only TorchScript runs"):
        import_torch(torch.jit.script(Ignores()), FRAMES)


@pytest.mark.filterwarnings("ignore")
def test_a_plan_needs_layers() -> None:
    with pytest.raises(
        UserError, match="a plan is of layers: give the module that this was made from"
    ):
        ernn.convert(exported(Steps().eval()), SPEECH, ernn.CompressionPlan.blocks(4))
    with pytest.raises(UserError, match="a plan is of layers"):
        ernn.convert(torch.jit.script(Steps()), SPEECH, ernn.CompressionPlan.blocks(4))
