"""States in and out: of a stream, and of a network whose states are its inputs."""

import numpy as np
import pytest
import torch
from torch import nn

import ernn
from ernn.errors import UserError
from tests.frontends.torch_modules import HIDDEN, INPUTS, Net, gru

RNG = np.random.default_rng(0)
SPEECH = [RNG.normal(size=(20, INPUTS)) for _ in range(3)]


class Stateful(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = gru()

    def forward(self, x, h):
        return self.rnn(x, h)


def _convolved(self, x):
    padded = nn.functional.pad(x.transpose(1, 2), (4, 0))
    return self.rnn(self.conv(padded).transpose(1, 2))[0]


@pytest.mark.filterwarnings("ignore")
def test_a_stream_goes_on_from_the_state_of_another() -> None:
    """Of a convolution that looks four frames back, too: all of them are in the state."""
    torch.manual_seed(0)
    module = Net(_convolved, conv=nn.Conv1d(INPUTS, HIDDEN, 3, dilation=2), rnn=gru(HIDDEN))
    model = ernn.convert(module, SPEECH)
    first = model.stream()
    parts = [first.push(SPEECH[0][:7]), model.stream(first.state).push(SPEECH[0][7:])]
    assert (np.concatenate(parts) == model.predict(SPEECH[0])).all()
    first.reset()
    assert (first.push(SPEECH[0][:7]) == parts[0]).all()


@pytest.mark.filterwarnings("ignore")
def test_a_state_of_something_else_is_refused() -> None:
    model = ernn.convert(gru(), SPEECH)
    for state in ({"l0.c": np.zeros(4)}, {"l0.h": np.zeros(5)}, {"l0.h": np.full(4, np.nan)}):
        with pytest.raises(UserError, match=r"^(the model remembers|state l0\.h)"):
            model.stream(state)


@pytest.mark.filterwarnings("ignore")
def test_states_that_are_inputs() -> None:
    torch.manual_seed(1)
    module = Stateful()
    zeros = np.zeros((1, 1, HIDDEN), np.float32)
    model = ernn.convert(module, SPEECH, h=zeros)
    whole = model.predict(SPEECH[0])
    first = model.predict(SPEECH[0][:7])
    rest = model.predict(SPEECH[0][7:], h=first["output 1"])
    joined = np.concatenate([first["output 0"], rest["output 0"]], axis=1)
    assert (joined == whole["output 0"]).all() and (rest["output 1"] == whole["output 1"]).all()
    begun = RNG.normal(size=zeros.shape).astype(np.float32) / 4
    frames = torch.tensor(SPEECH[0], dtype=torch.float32)[None]
    expected, end = module(frames, torch.from_numpy(begun))
    found = model.predict(SPEECH[0], h=begun)
    assert np.abs(found["output 0"] - expected.detach().numpy()).max() < 0.02
    assert np.abs(found["output 1"] - end.detach().numpy()).max() < 0.02
    with pytest.raises(UserError, match="the network has h beside"):
        model.predict(SPEECH[0], c=begun)


def test_what_stays_on_the_host_is_not_saved(tmp_path) -> None:
    module = Net(lambda self, x: self.rnn(x)[0].softmax(-1), rnn=gru())
    model = ernn.convert(module, SPEECH)
    with pytest.raises(UserError, match=r"save model\.accelerator"):
        model.save(tmp_path / "model")
    model.accelerator.save(tmp_path / "model")
    again = ernn.Model.load(tmp_path / "model")
    frames = model.imported.frames(SPEECH[0])
    assert (again.predict(frames) == model.accelerator.predict(frames)).all()
    np.testing.assert_allclose(model.predict(SPEECH[0]).sum(-1), 1, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_two_inputs_of_frames() -> None:
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = gru()

        def forward(self, near, far):
            return self.rnn(near - 0.5 * far)[0]

    torch.manual_seed(2)
    module = Mixed()
    given = [{"near": one, "far": one[::-1].copy()} for one in SPEECH]
    model = ernn.convert(module, given)
    near, far = (torch.tensor(given[0][n], dtype=torch.float32)[None] for n in ("near", "far"))
    expected = module(near, far).detach().numpy()
    assert np.abs(model.predict(given[0]) - expected).max() < 0.02
    with pytest.raises(UserError, match="far has a frame for each of near"):
        model.predict(given[0]["near"])


@pytest.mark.filterwarnings("ignore")
def test_what_is_computed_twice_comes_from_the_accelerator_both_times() -> None:
    module = Net(
        lambda self, x: (
            lambda y: (self.fc(y).softmax(-1), self.fc(y), nn.functional.relu(y).softmax(-1))
        )(self.rnn(x)[0]),
        rnn=gru(),
        fc=nn.Linear(HIDDEN, 3),
    )
    model = ernn.convert(module, SPEECH, spec=ernn.QuantizeSpec(weight_bits=4, data_bits=6))
    found = list(model.predict(SPEECH[0]).values())
    again = np.exp(found[1]) / np.exp(found[1]).sum(-1, keepdims=True)
    np.testing.assert_allclose(found[0], again, atol=1e-6)
    assert np.abs(found[1] - list(model.predict_float(SPEECH[0]).values())[1]).max() > 1e-3
