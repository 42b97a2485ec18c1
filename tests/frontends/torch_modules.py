"""Small torch modules, one for each form that a network is written in, and what becomes of each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

INPUTS, HIDDEN, OUTPUTS = 3, 4, 2


class Net(nn.Module):
    """Layers and a forward given by the test: `Net(forward, lstm=nn.LSTM(3, 4), ...)`."""

    def __init__(self, forward, **parts):
        super().__init__()
        self._forward = forward
        for name, part in parts.items():
            if isinstance(part, nn.Module):
                self.add_module(name, part)
            elif isinstance(part, nn.Parameter):
                self.register_parameter(name, part)
            else:
                self.register_buffer(name, part)

    def forward(self, *arguments):
        return self._forward(self, *arguments)


def lstm(inputs=INPUTS, hidden=HIDDEN, **options):
    return nn.LSTM(inputs, hidden, **{"batch_first": True, **options})


def gru(inputs=INPUTS, hidden=HIDDEN, **options):
    return nn.GRU(inputs, hidden, **{"batch_first": True, **options})


def fc(inputs=HIDDEN, outputs=OUTPUTS, **options):
    return nn.Linear(inputs, outputs, **options)


@dataclass(frozen=True)
class Form:
    """A module, and the operations that stay on the host."""

    make: Callable[[], nn.Module]
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    plain: bool = True
    example: Callable[[], Any] = lambda: torch.randn(2, 6, INPUTS)


def _after(
    forward: Callable[..., Any], *after: str, plain: bool | None = None, **parts: Any
) -> Form:
    return Form(
        lambda: Net(forward, **{"rnn": gru(), "fc": fc(), **{n: p() for n, p in parts.items()}}),
        after=after,
        plain=not after if plain is None else plain,
    )


def _front(forward: Callable[..., Any], *before: str, plain: bool = False, **parts: Any) -> Form:
    return Form(
        lambda: Net(forward, **{n: p() for n, p in parts.items()}), before=before, plain=plain
    )


def _lstm_cells(self, x):
    h = c = x.new_zeros(len(x), HIDDEN)
    outputs = []
    for frame in x.unbind(1):
        h, c = self.cell(frame, (h, c))
        outputs.append(self.fc(h))
    return torch.stack(outputs, 1)


def _gru_cells(self, x):
    outputs = torch.zeros(len(x), x.shape[1], HIDDEN)
    h = None
    for t in range(x.shape[1]):
        h = self.cell(x[:, t], h)
        outputs[:, t] = h
    return outputs


def _causal(self, x):
    y = functional.pad(x.transpose(1, 2), (4, 0))
    y = functional.relu(self.norm(self.conv(y)))
    return self.rnn(y.transpose(1, 2))[0]


def _folded(self, x):
    batch, time, _ = x.shape
    y = self.up(x.reshape(batch * time, -1)).view(batch, time, -1)
    return self.fc(self.rnn(torch.relu(y))[0].contiguous().view(-1, HIDDEN)).view(batch, time, -1)


def _doubly_residual(self, x):
    y = self.up(x)
    for layer in (self.rnn, self.second):
        y = y + layer(y)[0]
    return self.fc(y)


class _Subclass(nn.LSTM):
    def forward(self, x):
        return torch.tanh(super().forward(x)[0])


def _up():
    return fc(INPUTS, HIDDEN)


def _conv(forward_kernel=1, **options):
    return lambda: nn.Conv1d(INPUTS, HIDDEN, forward_kernel, **options)


def _chomped(self, x):
    y = self.norm(self.conv(x.transpose(1, 2)))[..., :-4]
    return self.rnn(torch.relu(y).transpose(1, 2))[0]


FORMS: dict[str, Form] = {
    "a convolution padded on both sides, its end left out": _front(
        _chomped,
        plain=True,
        rnn=lambda: gru(HIDDEN),
        conv=_conv(3, dilation=2, padding=4),
        norm=lambda: nn.BatchNorm1d(HIDDEN),
    ),
    "ReLU module": _after(lambda self, x: self.fc(self.act(self.rnn(x)[0])), act=nn.ReLU),
    "tanh": _after(lambda self, x: torch.tanh(self.fc(self.rnn(x)[0]))),
    "sigmoid of the last step": _after(lambda self, x: self.fc(self.rnn(x)[0][:, -1]).sigmoid()),
    "hard forms": _after(
        lambda self, x: functional.hardtanh(functional.hardsigmoid(self.rnn(x)[0]), -0.4, 0.6)
    ),
    "a gated linear unit": _after(lambda self, x: functional.glu(self.rnn(x)[0], -1)),
    "SiLU, GELU, softplus": _after(
        lambda self, x: functional.silu(functional.gelu(functional.softplus(self.rnn(x)[0])))
    ),
    "hardswish, ReLU6, leaky ReLU": _after(
        lambda self, x: functional.leaky_relu(
            functional.relu6(functional.hardswish(self.rnn(x)[0]) * 9) - 1
        )
    ),
    "PReLU": _after(lambda self, x: self.act(self.rnn(x)[0]), act=nn.PReLU),
    "clamp": _after(lambda self, x: self.rnn(x)[0].clamp(-0.1, 0.2)),
    "y * 2": _after(lambda self, x: self.fc(self.rnn(x)[0]) * 2),
    "in place": _after(lambda self, x: self.rnn(x)[0].mul_(2).add_(1)),
    "F.linear": _after(
        lambda self, x: functional.linear(self.rnn(x)[0], self.fc.weight, self.fc.bias)
    ),
    "matrix product": _after(
        lambda self, x: self.rnn(x)[0] @ self.m + 1, m=lambda: nn.Parameter(torch.randn(HIDDEN, 3))
    ),
    "view around Linear": _after(_folded, rnn=lambda: gru(HIDDEN), up=_up),
    "unsqueeze and squeeze": _after(
        lambda self, x: self.fc(self.rnn(x)[0].unsqueeze(2)).squeeze(2)
    ),
    "out[..., -1, :]": _after(lambda self, x: self.fc(self.rnn(x)[0][..., -1, :])),
    "select(1, -1)": _after(lambda self, x: self.fc(self.rnn(x)[0].select(1, -1))),
    "out[:, -1:].squeeze(1)": _after(lambda self, x: self.fc(self.rnn(x)[0][:, -1:].squeeze(1))),
    "h.squeeze()": _after(lambda self, x: self.fc(self.rnn(x)[1].squeeze())),
    "h_n only": _after(lambda self, x: self.rnn(x)[1]),
    "c_n": _after(lambda self, x: self.fc(self.lstm(x)[1][1][-1]), lstm=lstm),
    "h_n of a lower layer": _after(
        lambda self, x: self.fc(self.deep(x)[1][0]), deep=lambda: gru(num_layers=2)
    ),
    "h_n of both ways": _after(
        lambda self, x: self.fc(self.both(x)[1].transpose(0, 1).flatten(1)),
        "Linear",
        both=lambda: gru(bidirectional=True),
        fc=lambda: fc(2 * HIDDEN),
    ),
    "(x - mean) / std": _front(
        lambda self, x: self.rnn((x - self.mean) / self.std)[0],
        plain=True,
        rnn=gru,
        mean=lambda: torch.randn(INPUTS),
        std=lambda: torch.rand(INPUTS) + 0.5,
    ),
    "batch norm": _front(
        lambda self, x: self.rnn(self.norm(x.transpose(1, 2)).transpose(1, 2))[0],
        plain=True,
        rnn=gru,
        norm=lambda: nn.BatchNorm1d(INPUTS),
    ),
    "residual": _after(
        _doubly_residual, rnn=lambda: gru(HIDDEN), second=lambda: gru(HIDDEN), up=_up
    ),
    "concatenation": _after(
        lambda self, x: self.fc(torch.cat([self.rnn(x)[0], x], -1)),
        fc=lambda: fc(HIDDEN + INPUTS),
    ),
    "gated linear unit": _after(
        lambda self, x: (lambda a, b: a * torch.sigmoid(b))(*self.fc(self.rnn(x)[0]).chunk(2, -1))
    ),
    "slices": _after(lambda self, x: self.rnn(x)[0][..., 1:3] - self.rnn(x)[0][..., ::2]),
    "maximum": _after(lambda self, x: torch.maximum(self.rnn(x)[0], self.up(x)), up=_up),
    "nn.RNN": _after(
        lambda self, x: self.cell(x)[0], cell=lambda: nn.RNN(INPUTS, HIDDEN, batch_first=True)
    ),
    "nn.RNN of ReLU": _after(
        lambda self, x: self.cell(x)[0],
        cell=lambda: nn.RNN(INPUTS, HIDDEN, 2, nonlinearity="relu", batch_first=True),
    ),
    "LSTMCell in a loop": _after(_lstm_cells, cell=lambda: nn.LSTMCell(INPUTS, HIDDEN)),
    "GRUCell in a loop": _after(_gru_cells, cell=lambda: nn.GRUCell(INPUTS, HIDDEN)),
    "a subclass of LSTM": Form(lambda: _Subclass(INPUTS, HIDDEN, batch_first=True)),
    "causal convolution": _front(
        _causal,
        plain=True,
        conv=_conv(3, dilation=2),
        norm=lambda: nn.BatchNorm1d(HIDDEN),
        rnn=lambda: gru(HIDDEN),
    ),
    "centred convolution": _front(
        lambda self, x: self.rnn(self.conv(x.transpose(1, 2)).transpose(1, 2))[0],
        conv=_conv(3, padding="same"),
        rnn=lambda: gru(HIDDEN),
    ),
    "convolution with a stride": _front(
        lambda self, x: self.rnn(self.conv(x.transpose(1, 2)).transpose(1, 2))[0],
        "conv1d",
        conv=_conv(3, stride=2),
        rnn=lambda: gru(HIDDEN),
    ),
    "embedding": Form(
        lambda: Net(
            lambda self, x: self.rnn(self.embed(x))[0], embed=nn.Embedding(9, INPUTS), rnn=gru()
        ),
        before=("embedding",),
        plain=False,
        example=lambda: torch.randint(0, 9, (2, 6)),
    ),
    "log_softmax at the end": _after(
        lambda self, x: self.fc(self.rnn(x)[0]).log_softmax(-1), "log_softmax"
    ),
    "layer norm": _after(
        lambda self, x: self.fc(self.norm(self.rnn(x)[0])),
        "layer_norm",
        "Linear",
        norm=lambda: nn.LayerNorm(HIDDEN),
    ),
    "L2 norm of the last step": _after(
        lambda self, x: functional.normalize(torch.relu(self.fc(self.rnn(x)[1][-1]))), "normalize"
    ),
    "mean over time": _after(lambda self, x: self.fc(self.rnn(x)[0].mean(1)), "mean", "Linear"),
    "largest over time": _after(lambda self, x: self.fc(self.rnn(x)[0].amax(1)), "amax", "Linear"),
    "first step": _after(lambda self, x: self.fc(self.rnn(x)[0][:, 0]), plain=False),
    "every second step": _after(lambda self, x: self.fc(self.rnn(x)[0][:, ::2]), "Linear"),
    "a step counted from the front": _after(lambda self, x: self.rnn(x)[0][:, 5], plain=False),
    "attention over time": _after(
        lambda self, x: (
            lambda y: (torch.softmax(self.score(y), 1) * y).sum(1)
        )(self.rnn(x)[0]),
        "softmax", "mul", "sum",
        score=lambda: fc(HIDDEN, 1),
    ),
    "two outputs": _after(lambda self, x: (self.rnn(x)[0], self.up(x)), plain=False, up=_up),
    "a dictionary": _after(lambda self, x: {"out": self.rnn(x)[0]}),
    "outputs and states": _after(lambda self, x: self.rnn(x)),
    "encoder and decoder": _after(
        lambda self, x: self.second(x, self.rnn(x)[1])[0], "GRU", second=gru
    ),
    "a state as an input": Form(
        lambda: Net(lambda self, x, h: self.rnn(x, h), rnn=gru()),
        plain=False,
        example=lambda: (torch.randn(1, 6, INPUTS), torch.zeros(1, 1, HIDDEN)),
    ),
    "two inputs of frames": Form(
        lambda: Net(lambda self, x, y: self.rnn(x * 2 + y)[0], rnn=gru()),
        plain=False,
        example=lambda: (torch.randn(2, 6, INPUTS), torch.randn(2, 6, INPUTS)),
    ),
    "no recurrent layer": Form(lambda: Net(lambda self, x: self.up(x).relu(), up=_up())),
}  # fmt: skip
