"""States that a user's network takes and gives: in floats, in integers, in an engine's frames."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

import ernn
from ernn import UserError

Sequence = dict[str, np.ndarray]


class Writer(nn.Module):
    """The decoder of an encoder and decoder: tokens, and the encoder's last state."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 5)
        self.gru = nn.GRU(5, 6, batch_first=True)
        self.out = nn.Linear(6, 7)

    def forward(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        outputs, last = self.gru(self.embedding(tokens), state)
        return self.out(outputs), last


@pytest.fixture
def writer() -> Writer:
    torch.manual_seed(0)
    return Writer().eval()


def spoken(seed: int, length: int = 9) -> Sequence:
    rng = np.random.default_rng(seed)
    return {"tokens": rng.integers(0, 7, length), "state": rng.uniform(-1, 1, (1, 1, 6))}


def original(module: Writer, one: Sequence) -> list[np.ndarray]:
    with torch.inference_mode():
        given = torch.from_numpy(one["tokens"])[None], torch.from_numpy(one["state"]).float()
        return [tensor.numpy() for tensor in module(*given)]


@pytest.mark.parametrize("carry", [False, True])
def test_a_state_comes_in_and_goes_out(writer: Writer, carry: bool) -> None:
    calibration = [spoken(seed, 30) for seed in range(20, 40)]
    if not carry:
        calibration = [one | {"state": np.zeros_like(one["state"])} for one in calibration]
    model = ernn.convert(writer, calibration, carry=carry)
    one = spoken(9)
    for ask, tolerance in ((model.predict_float, 1e-5), (model.predict, 0.01)):
        for ours, theirs in zip(ask(one).values(), original(writer, one), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)


def test_a_sequence_cut_in_two_is_whole(writer: Writer) -> None:
    model = ernn.convert(writer, [spoken(seed) for seed in range(4)], carry=True)
    one = spoken(9)
    scores, _ = model.predict_float(one).values()
    first, state = model.predict_float(one | {"tokens": one["tokens"][:4]}).values()
    second, _ = model.predict_float({"tokens": one["tokens"][4:], "state": state}).values()
    both = np.concatenate([first, second], axis=1)
    np.testing.assert_allclose(both, scores, rtol=0, atol=1e-6)


def test_what_an_engine_is_given(writer: Writer) -> None:
    model = ernn.convert(writer, [spoken(seed) for seed in range(4)], carry=True)
    one = spoken(9)
    (frames,) = model.quantized([one])
    step = model.integers.input.format.step
    assert frames.shape == (9, 5 + 6) and not frames[1:, 5:].any()
    np.testing.assert_allclose(frames[0, 5:] * step, one["state"].ravel(), rtol=0, atol=step)
    assert ernn.Engine(model, ernn.Design(pes=1)).cycles_per_frame > 0


def refused(writer: Writer) -> dict[str, Callable[[], object]]:
    rest = [spoken(seed) | {"state": np.zeros((1, 1, 6))} for seed in range(2)]
    return {
        "carry=True": lambda: ernn.convert(writer, rest).quantized([spoken(9)]),
        "takes state beside the frames, not start": lambda: ernn.convert(
            writer, [{"tokens": spoken(0)["tokens"], "start": spoken(0)["state"]}]
        ),
        "it is empty": lambda: ernn.convert(writer, [{}]),
        "list of arrays": lambda: ernn.convert(writer, spoken(0)),  # type: ignore[arg-type]
    }


@pytest.mark.parametrize("said", ["carry=True", "not start", "it is empty", "list of arrays"])
def test_mistakes(writer: Writer, said: str) -> None:
    call = next(call for text, call in refused(writer).items() if said in text)
    with pytest.raises(UserError, match=said):
        call()


def test_an_lstms_states_in_onnx(tmp_path: Path) -> None:
    """Left out they begin with zeros; both go on where they were left."""
    rng = np.random.default_rng(0)
    shapes = {"w": (1, 12, 2), "r": (1, 12, 3), "b": (1, 24)}
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    node = helper.make_node(
        "LSTM", ["x", "w", "r", "b", "", "h", "c"], ["y", "hn", "cn"], hidden_size=3
    )

    def value(name: str, *shape: "int | str") -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        [node],
        "states",
        [value("x", "time", 1, 2), value("h", 1, 1, 3), value("c", 1, 1, 3)],
        [value("y", "time", 1, 1, 3), value("hn", 1, 1, 3), value("cn", 1, 1, 3)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]),
        path := tmp_path / "a.onnx",
    )
    frames = rng.normal(size=(8, 2))
    states = {name: rng.uniform(-1, 1, (1, 1, 3)) for name in "hc"}
    model = ernn.convert(path, [{"x": frames, **states}, frames], carry=True)
    whole = model.predict(frames)
    first = model.predict(frames[:3])
    second = model.predict(frames[3:], h=first["hn"], c=first["cn"])
    parts = np.concatenate([first["y"], second["y"]])
    np.testing.assert_allclose(parts, whole["y"], rtol=0, atol=2e-3)
    np.testing.assert_allclose(second["cn"], whole["cn"], rtol=0, atol=2e-3)
