"""The scans with written-out gradients: equal to the explicit loop's by autograd, and to
torch's.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ernn.compress import inside
from ernn.compress.plan import CompressionPlan
from ernn.frontends.torch import import_torch
from ernn.ir.structure import BlockCirculant
from ernn.nn.cells import PeepholeLSTM, ResetBeforeGRU
from ernn.nn.explicit import explicit
from ernn.nn.recurrent import GRU, LSTM, Way, run
from ernn.nn.spectra import transforms
from ernn.nn.through import scanned

CELLS = {
    "lstm": lambda **o: LSTM(21, 32, **o),
    "lstm projected": lambda **o: LSTM(21, 32, proj_size=16, **o),
    "peepholes": lambda **o: PeepholeLSTM(21, 32, proj_size=16, **o),
    "gru": lambda **o: GRU(21, 32, **o),
    "reset before": lambda **o: ResetBeforeGRU(21, 32, **o),
}
B4, B8, B16 = (BlockCirculant(k, pad=True) for k in (4, 8, 16))
PLANS = {
    "dense": CompressionPlan(),
    "block 2": CompressionPlan.blocks(2),
    "block 8": CompressionPlan.blocks(8),
    "block 16": CompressionPlan.blocks(16),
    "recurrent only": CompressionPlan(recurrent=B8),
    "input only": CompressionPlan(input=B8),
    "projection only": CompressionPlan(projection=B8),
    "each its own": CompressionPlan(input=B16, recurrent=B8, projection=B4),
    "rows cut by padding": CompressionPlan.blocks(32),
}


def inputs(layer: Any, batch: int, time: int = 6) -> list[Tensor]:
    """Frames and initial states."""
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    sizes = [layer.proj_size or layer.hidden_size, layer.hidden_size][: len(layer.states)]
    tensors = [
        torch.randn(time, batch, layer.input_size),
        *(torch.randn(rows, batch, size) for size in sizes),
    ]
    return [tensor.requires_grad_() for tensor in tensors]


def everything(layer: nn.Module, way: Way, given: Sequence[Tensor]) -> list[Tensor]:
    """Outputs, end states, and the gradients of a random function of them."""
    frames, *states = given
    outputs, ends = run(layer, frames, tuple(states), way)
    generator = torch.Generator().manual_seed(3)
    loss = sum((x * torch.randn(x.shape, generator=generator)).sum() for x in (outputs, *ends))
    return [outputs, *ends, *torch.autograd.grad(loss, [*given, *layer.parameters()])]  # type: ignore[arg-type]


def assert_equal(ours: Sequence[Tensor], theirs: Sequence[Tensor], tolerance: float = 1e-5) -> None:
    """Within `tolerance` of each tensor's norm."""
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        assert (a - b).norm() <= tolerance * b.norm()


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("cell", CELLS)
def test_outputs_and_gradients_are_the_explicit_loops(cell: str, plan: str) -> None:
    torch.manual_seed(0)
    layer = CELLS[cell](num_layers=2, bidirectional=True)
    inside.enter(layer, PLANS[plan])
    given = inputs(layer, batch=16)
    assert_equal(everything(layer, scanned, given), everything(layer, explicit, given))


def test_training_in_the_frequency_domain() -> None:
    torch.manual_seed(0)
    layer = GRU(16, 32)
    inside.enter(layer, CompressionPlan.blocks(8), domain="frequency")
    given = inputs(layer, batch=16)
    assert_equal(everything(layer, scanned, given), everything(layer, explicit, given))


@pytest.mark.parametrize("batch", [1, 3, 40])
@pytest.mark.parametrize("cell", CELLS)
def test_any_batch(cell: str, batch: int) -> None:
    for plan in (CompressionPlan(), CompressionPlan.blocks(8)):
        torch.manual_seed(0)
        layer = CELLS[cell]()
        inside.enter(layer, plan)
        given = inputs(layer, batch, time=19)
        assert_equal(everything(layer, scanned, given), everything(layer, explicit, given))


@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        (LSTM, nn.LSTM, {"proj_size": 5, "bias": False, "bidirectional": True}),
        (LSTM, nn.LSTM, {"proj_size": 5, "num_layers": 2, "batch_first": True}),
        (GRU, nn.GRU, {"num_layers": 2, "bidirectional": True}),
        (GRU, nn.GRU, {"batch_first": True, "bias": False}),
    ],
)
def test_results_and_states_are_torchs(ours: Any, theirs: Any, options: dict[str, Any]) -> None:
    torch.manual_seed(1)
    mine, reference = ours(7, 12, **options), theirs(7, 12, **options)
    mine.load_state_dict(reference.state_dict())
    for frames in (torch.randn(3, 5, 7), torch.randn(5, 7)):
        for a, b in zip(_flat(mine(frames)), _flat(reference(frames)), strict=True):
            torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)
    packed = nn.utils.rnn.pack_sequence([torch.randn(4, 7), torch.randn(2, 7)])
    torch.testing.assert_close(mine(packed)[0].data, reference(packed)[0].data)
    for wrong in (
        (torch.zeros(3, 5, 8),),
        (torch.zeros(3, 5, 7), reference(torch.zeros(2, 6, 7))[1]),
    ):
        assert _error(mine, wrong) == _error(reference, wrong)


def _flat(result: Any) -> list[Tensor]:
    outputs, state = result
    return [outputs, *(state if isinstance(state, tuple) else [state])]


def _error(layer: nn.Module, arguments: tuple[Any, ...]) -> str:
    with pytest.raises(RuntimeError) as error:
        layer(*arguments)
    return str(error.value)


def test_double_precision_passes_gradcheck_inside_the_set() -> None:
    for make in (lambda: LSTM(4, 8, proj_size=4), lambda: GRU(4, 8)):
        torch.manual_seed(0)
        layer = make().double()
        inside.enter(layer, CompressionPlan.blocks(4))
        frames = torch.randn(3, 2, 4, dtype=torch.float64, requires_grad=True)
        names = [name for name, _ in layer.named_parameters()]

        def outputs(
            frames: Tensor, *values: Tensor, layer: nn.Module = layer, names: list[str] = names
        ) -> Tensor:
            return torch.func.functional_call(
                layer, dict(zip(names, values, strict=True)), (frames,)
            )[0]

        assert torch.autograd.gradcheck(
            outputs, (frames, *[p.detach().requires_grad_() for p in layer.parameters()])
        )


@pytest.mark.parametrize("cell", CELLS)
def test_without_gradient_the_outputs_are_the_same(cell: str) -> None:
    layer = CELLS[cell]()
    inside.enter(layer, CompressionPlan.blocks(8))
    frames = torch.randn(9, 4, 21)
    with torch.inference_mode():
        without = layer(frames)[0]
    assert torch.equal(without, layer(frames)[0])


def test_frozen_weights_get_no_gradient_and_the_others_theirs() -> None:
    layer = LSTM(8, 16, proj_size=8)
    layer.weight_hh_l0.requires_grad_(False)
    layer(torch.randn(4, 2, 8))[0].sum().backward()
    assert layer.weight_hh_l0.grad is None and layer.weight_ih_l0.grad is not None


def test_backward_twice_and_outputs_written_to() -> None:
    layer, frames = GRU(8, 16), torch.randn(4, 1, 8)
    outputs, weight = layer(frames)[0], dict(layer.named_parameters())["weight_hh_l0"]
    first = torch.autograd.grad(outputs.sum(), [weight], retain_graph=True)[0]
    total = outputs.sum()
    with torch.no_grad():
        outputs.zero_()
    assert torch.equal(torch.autograd.grad(total, [weight])[0], first)


def test_a_loss_that_is_not_finite_is_seen() -> None:
    for cell, make in CELLS.items():
        layer = make()
        frames = torch.zeros(3, 2, 21)
        frames[1, 0, 0] = float("nan")
        assert layer(frames)[0].isnan().any(), cell


def test_torchs_layers_change_class_inside_the_set_only() -> None:
    model = nn.Sequential(nn.LSTM(8, 16, proj_size=8), nn.Linear(8, 2), nn.GRU(8, 8))
    inside.enter(model, CompressionPlan.blocks(8))
    assert isinstance(model[0], LSTM) and isinstance(model[2], GRU)
    imported = import_torch(
        model[0], torch.randn(2, 5, 8), structures={"weight_hh_l0": BlockCirculant(8)}
    ).network
    assert len(imported.layers) == 1
    inside.leave(model)
    assert [type(part) for part in model] == [nn.LSTM, nn.Linear, nn.GRU]


@pytest.mark.parametrize("block", [2, 4, 8, 16, 32])
def test_the_product_of_spectra_is_the_cyclic_convolution(block: int) -> None:
    analysis, synthesis = (matrix.numpy() for matrix in transforms(block, torch.float64))
    assert len(analysis) == 2 + 3 * (block // 2 - 1)
    w, x = np.random.default_rng(0).standard_normal((2, block))
    expected = [sum(w[(a - b) % block] * x[b] for b in range(block)) for a in range(block)]
    np.testing.assert_allclose(synthesis @ ((analysis @ w) * (analysis @ x)), expected, atol=1e-12)
