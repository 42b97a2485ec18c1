"""Whatever a module or a file is, it is imported or refused with one line."""

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional

import ernn
from ernn.errors import UserError
from ernn.frontends.onnx import import_onnx
from ernn.frontends.opened import opened
from ernn.frontends.torch import import_torch
from tests.frontends.onnx_graphs import FORMS
from tests.frontends.torch_modules import HIDDEN, INPUTS, Net, fc, gru, lstm

FRAMES = torch.randn(2, 6, INPUTS)


def _nan_bias():
    module = Net(lambda self, x: functional.linear(self.rnn(x)[0], self.w, self.b), rnn=gru())
    module.w, module.b = nn.Parameter(torch.randn(2, HIDDEN)), nn.Parameter(torch.tensor([0.0, 1]))
    with torch.no_grad():
        module.b[0] = torch.nan
    return module


def _of(forward, **parts):
    return lambda: Net(forward, **{name: part() for name, part in parts.items()})


def _cell_by_hand():
    def forward(self, x):
        h = torch.zeros(len(x), HIDDEN)
        outputs = []
        for frame in x.unbind(1):
            h = torch.tanh(self.a(frame) + self.b(h))
            outputs.append(h)
        return torch.stack(outputs, 1)

    return Net(forward, a=fc(INPUTS, HIDDEN), b=fc(HIDDEN, HIDDEN))


MODULES = {
    "quantized": lambda: torch.ao.quantization.quantize_dynamic(
        Net(lambda self, x: self.fc(self.rnn(x)[0]), rnn=lstm(), fc=fc()), {nn.LSTM, nn.Linear}
    ),
    "quantized TorchScript": lambda: torch.jit.trace(MODULES["quantized"](), FRAMES),
    "TorchScript without a forward": lambda: torch.jit.script(lstm()),
    "weights without numbers": lambda: gru().to("meta"),
    "nothing that multiplies": lambda: nn.ReLU(),
    "a keyword alone": _of(lambda self, *, x: self.rnn(x)[0], rnn=gru),
    "a state that is wanted": _of(lambda self, x, state: self.rnn(x, state)[0], rnn=gru),
    "a list": _of(lambda self, x: self.rnn(torch.stack(list(x)))[0], rnn=gru),
    "a sequence that ends in a pair": lambda: nn.Sequential(gru(), fc()),
    "written in place": _of(lambda self, x: self.rnn(x.sub_(x.mean()))[0].add_(1), rnn=gru),
    "a cell written by hand": _cell_by_hand,
    "attention": _of(lambda self, x: self.rnn(self.m(x, x, x)[0])[0], rnn=gru,
                     m=lambda: nn.MultiheadAttention(INPUTS, 1, batch_first=True)),
    "an object": _of(lambda self, x: object(), rnn=gru),
    "half precision meanwhile": _of(lambda self, x: self.rnn(x.half().float())[0], rnn=gru),
    "transformer": lambda: nn.TransformerEncoderLayer(INPUTS, 1, 8, batch_first=True),
    "not finite": _nan_bias,
    "einsum": _of(
        lambda self, x: torch.einsum("bti,oi->bto", self.rnn(x)[0], torch.ones(2, 4)), rnn=gru
    ),
    "fft": _of(lambda self, x: self.rnn(torch.fft.rfft(x).abs())[0], rnn=lambda: gru(2)),
    "cumulative": _of(lambda self, x: self.rnn(x.cumsum(1))[0], rnn=gru),
    "sorted": _of(lambda self, x: self.rnn(x.sort(-1).values)[0], rnn=gru),
    "reversed": _of(lambda self, x: self.rnn(x.flip(1))[0].flip(1), rnn=gru),
    "where": _of(lambda self, x: self.rnn(torch.where(x > 0, x, -x))[0], rnn=gru),
    "chosen by an index of values": _of(lambda self, x: self.rnn(x)[0][x[..., 0] > 0], rnn=gru),
    "nothing": _of(lambda self, x: None, rnn=gru),
    "a number": _of(lambda self, x: 3, rnn=gru),
    "a constant": _of(lambda self, x: torch.ones(2), rnn=gru),
    "the input": _of(lambda self, x: x, rnn=gru),
    "an error of its own": _of(lambda self, x: self.missing(x), rnn=gru),
    "one fixed length": _of(lambda self, x: self.rnn(x.reshape(2, 6, 3))[0], rnn=gru),
    "flat": _of(lambda self, x: self.fc(self.rnn(x)[0].flatten(1)), rnn=gru, fc=lambda: fc(24)),
    "two kinds of time": _of(
        lambda self, x: self.rnn(x)[0] + self.second(x[:, ::2])[0].mean(1, keepdim=True),
        rnn=gru, second=gru,
    ),
    "integers": _of(lambda self, x: self.rnn(x.round().long().float())[0], rnn=gru),
    "complex": _of(
        lambda self, x: self.rnn(torch.view_as_real(torch.complex(x, x))[..., 0])[0], rnn=gru
    ),
    "a loop that stops": _of(
        lambda self, x: torch.stack([self.cell(x[:, t]) for t in range(3)], 1),
        cell=lambda: nn.GRUCell(INPUTS, HIDDEN),
    ),
    "cells in reversed order": _of(
        lambda self, x: torch.stack([self.cell(x[:, t]) for t in range(5, -1, -1)], 1),
        cell=lambda: nn.GRUCell(INPUTS, HIDDEN),
    ),
    "softmax of each step": _of(
        lambda self, x: torch.stack([s.softmax(-1) for s in self.rnn(x)[0].unbind(1)], 1), rnn=gru
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODULES)
def test_a_module(name: str) -> None:
    torch.manual_seed(0)
    try:
        imported = import_torch(MODULES[name](), FRAMES)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert imported.difference <= 1e-5


@pytest.mark.parametrize("shape", [(6,), (6, 2), (0, 3), (6, 3, 3), (6, 3, 3, 3)])
def test_frames_of_other_shapes(shape: tuple[int, ...]) -> None:
    for network in (gru(), FORMS["ReLU"].model()):
        with pytest.raises(UserError):
            opened(network, np.zeros(shape), None, True, {})


def _damaged(rng: np.random.Generator, model: onnx.ModelProto) -> onnx.ModelProto:
    """One thing about a graph changed: a name, an operator, an attribute, a shape, a value."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    node = changed.graph.node[rng.integers(len(changed.graph.node))]
    match rng.integers(7):
        case 0:
            node.op_type = str(rng.choice(["Nonsense", "Loop", "Softmax", "LSTM", "Conv", "Exp"]))
        case 1 if node.input:
            node.input[rng.integers(len(node.input))] = "nowhere"
        case 2 if node.attribute:
            node.attribute.pop(rng.integers(len(node.attribute)))
        case 3 if changed.graph.initializer:
            one = changed.graph.initializer[rng.integers(len(changed.graph.initializer))]
            one.dims[:] = [*one.dims, 1]
        case 4 if changed.graph.initializer:
            one = changed.graph.initializer[rng.integers(len(changed.graph.initializer))]
            one.raw_data = bytes([255]) * len(one.raw_data)
        case 5:
            changed.graph.node.remove(node)
        case _:
            node.domain = "com.example"
    return changed


@pytest.mark.filterwarnings("ignore")
def test_damaged_files() -> None:
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(12, 4))
    for form in FORMS.values():
        if form.frames == frames.shape:
            try:
                import_onnx(_damaged(rng, form.model()), frames)
            except UserError as error:
                assert "\n" not in str(error)


def test_attention_counts() -> None:
    """Of the multiplications by weights: 4 matrices of the host, 2 of the accelerator."""
    module = Net(
        lambda self, x: self.rnn(self.m(x, x, x)[0])[0],
        m=nn.MultiheadAttention(INPUTS, 1, batch_first=True),
        rnn=gru(),
    )
    own, other = 3 * HIDDEN * (INPUTS + HIDDEN), 4 * INPUTS * INPUTS
    assert import_torch(module, FRAMES).share == pytest.approx(own / (own + other))


def test_a_network_without_products() -> None:
    frames = FRAMES[0].numpy().astype(float)
    model = ernn.convert(nn.ReLU(), [frames] * 2)
    np.testing.assert_allclose(model.predict(frames), np.maximum(frames, 0), atol=1e-3)


def test_no_file(tmp_path) -> None:
    (tmp_path / "text.onnx").write_text("hello")
    for name in ("text.onnx", "none.onnx", ""):
        with pytest.raises(UserError):
            import_onnx(tmp_path / name, np.zeros((4, 3)))
