"""The blocks of a convolution over time reach the engine tap by tap."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import ernn
from ernn.compress.plan import stored_weights
from ernn.errors import UserError
from ernn.frontends.torch import import_torch
from ernn.ir.structure import BlockCirculant, Pruned, Signed, Structure

BLOCKS = [
    (8, BlockCirculant(4)),
    (8, BlockCirculant(8)),
    (6, BlockCirculant(4, pad=True)),
    (8, Signed(BlockCirculant(4), seed=3)),
]


class Net(nn.Module):
    """Three taps, every other frame, before a GRU."""

    def __init__(self, inputs: int, groups: int = 1) -> None:
        super().__init__()
        self.front = nn.Conv1d(inputs, 8, 3, dilation=2, groups=groups)
        self.gru = nn.GRU(8, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        padded = functional.pad(x.transpose(1, 2), (4, 0))
        return self.gru(torch.relu(self.front(padded)).transpose(1, 2))[0]


def converted(inputs: int, structure: Structure, groups: int = 1) -> tuple[nn.Module, ernn.Model]:
    torch.manual_seed(0)
    module, plan = Net(inputs, groups).eval(), ernn.CompressionPlan(output=structure)
    ernn.project(module, plan)
    speech = [np.random.default_rng(n).normal(size=(20, inputs)) for n in range(3)]
    model = ernn.convert(module, speech, plan)
    frames = torch.from_numpy(speech[0])[None].float()
    expected = module(frames)[0].detach().numpy()
    np.testing.assert_allclose(model.predict_float(speech[0]), expected, atol=1e-6)
    assert stored_weights(module, plan) >= stored_weights(module, ernn.CompressionPlan()) // 8
    return module, model


@pytest.mark.parametrize(("inputs", "structure"), BLOCKS, ids=str)
def test_blocks_are_kept(inputs: int, structure: Structure) -> None:
    module, model = converted(inputs, structure)
    first = model.network.layers[0].matrices
    assert [one.structure for one in first] == [structure] * 3
    plan = ernn.CompressionPlan(output=structure)
    assert model.network.stored_weights == stored_weights(module, plan)


@pytest.mark.parametrize("case", [(8, Pruned(0.5), 1), (8, BlockCirculant(4), 2)], ids=str)
def test_others_are_stored_whole(case: tuple[int, Structure, int]) -> None:
    inputs, structure, groups = case
    _, model = converted(inputs, structure, groups)
    assert sum(one.value.size for one in model.network.layers[0].matrices) == 3 * 8 * inputs


def test_kernels_that_are_not_as_the_plan_says() -> None:
    for structure in (BlockCirculant(4), Pruned(0.5)):
        with pytest.raises(UserError, match=r"front\.weight is not .* compress the module"):
            import_torch(Net(8), torch.zeros(1, 9, 8), structures={"front.weight": structure})
