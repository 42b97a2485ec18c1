"""The cells that torch lacks: equal to torch's where they coincide, and gradients that flow."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ernn.errors import UserError
from ernn.nn.cells import PeepholeLSTM, ResetBeforeGRU

SIZES = st.integers(1, 6)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**31),
    SIZES,
    st.integers(2, 6),
    st.integers(1, 3),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_without_peepholes_it_is_torchs_lstm(
    seed, inputs, hidden, layers, batch_first, projected, with_state
):
    torch.manual_seed(seed)
    size = hidden - 1 if projected else 0
    options = {"num_layers": layers, "batch_first": batch_first, "proj_size": size}
    ours, theirs = PeepholeLSTM(inputs, hidden, **options), torch.nn.LSTM(inputs, hidden, **options)
    shared = {name: value for name, value in theirs.state_dict().items()}
    peepholes = {f"peephole_l{n}": torch.zeros(3, hidden) for n in range(layers)}
    ours.load_state_dict({**shared, **peepholes})
    frames = torch.randn(3, 5, inputs)
    batch = 3 if batch_first else 5
    state = (
        (torch.randn(layers, batch, size or hidden), torch.randn(layers, batch, hidden))
        if with_state
        else None
    )
    for mine, reference in zip(
        _flat(ours(frames, state)), _flat(theirs(frames, state)), strict=True
    ):
        torch.testing.assert_close(mine, reference, atol=1e-5, rtol=0)


def _flat(result):
    outputs, state = result
    return [outputs, *(state if isinstance(state, tuple) else [state])]


def _cells():
    torch.manual_seed(0)
    return [
        PeepholeLSTM(3, 4, num_layers=2, proj_size=2).double(),
        PeepholeLSTM(3, 4, batch_first=True).double(),
        ResetBeforeGRU(3, 4, num_layers=2).double(),
    ]


@pytest.mark.parametrize("cell", _cells(), ids=str)
def test_gradients(cell):
    frames = torch.randn(3, 2, 3, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in cell.named_parameters()]

    def outputs(frames, *parameters):
        return torch.func.functional_call(
            cell, dict(zip(names, parameters, strict=True)), (frames,)
        )[0]

    assert torch.autograd.gradcheck(
        outputs, (frames, *[p.detach().clone().requires_grad_() for p in cell.parameters()])
    )


@pytest.mark.parametrize("cell", _cells(), ids=str)
def test_the_end_state_continues_the_sequence_and_a_batch_is_optional(cell):
    frames = torch.randn(7, 3, dtype=torch.float64)
    whole, _ = cell(frames)
    first, state = cell(frames[:4])
    second, _ = cell(frames[4:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    batched = frames[None] if cell.batch_first else frames[:, None]
    torch.testing.assert_close(cell(batched)[0].reshape(whole.shape), whole)


def test_dropout_acts_between_layers_in_training_only():
    torch.manual_seed(0)
    cell = ResetBeforeGRU(3, 8, num_layers=2, dropout=0.5)
    frames = torch.randn(4, 3)
    assert not torch.equal(cell(frames)[0], cell(frames)[0])
    cell.eval()
    assert torch.equal(cell(frames)[0], cell(frames)[0])


def test_wrong_sizes_are_refused():
    with pytest.raises(
        UserError, match=r"proj_size must be at least 0 and below hidden_size = 4, not 4"
    ):
        PeepholeLSTM(3, 4, proj_size=4)
    with pytest.raises(
        UserError, match=r"frames must be \(time, \[batch,\] 3\), or batch first, not \(5, 2\)"
    ):
        ResetBeforeGRU(3, 4)(torch.zeros(5, 2))
