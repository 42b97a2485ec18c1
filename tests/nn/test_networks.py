"""What a network may be beside a chain: convolutions, skips, several inputs and outputs, states."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ernn.errors import UserError
from ernn.ir.cell import Cell, CellProduct, CellStage, CellStep, Read
from ernn.ir.cells import SUM
from ernn.ir.layers import added, conv1d, linear
from ernn.ir.network import NETWORK, Layer, Matrix, Network, Source
from ernn.ir.reference import initial_state, observe, run, run_all
from tests.models import random_gru, random_linear

GATED = Cell(
    "product with the frame before",
    (CellStage((), (CellStep("h", "a*b@1 - a*a"),)),),
    inputs=("a", "b"),
)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 4), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.integers(1, 9)
)
def test_a_convolution_is_torchs(taps, dilation, inputs, outputs, time) -> None:
    rng = np.random.default_rng(taps + 10 * dilation + time)
    theirs = torch.nn.Conv1d(inputs, outputs, taps, dilation=dilation, dtype=torch.float64)
    kernel = theirs.weight.detach().numpy()
    weights = [Matrix(kernel[None, :, :, tap]) for tap in range(taps)]
    network = Network((conv1d(weights, theirs.bias.detach().numpy(), dilation=dilation),))
    frames = rng.normal(size=(time, inputs))
    padded = np.concatenate([np.zeros(((taps - 1) * dilation, inputs)), frames])
    expected = theirs(torch.from_numpy(padded.T)).detach().numpy().T
    np.testing.assert_allclose(run(network, frames)[0], expected, atol=1e-12)
    first, state = run(network, frames[: time // 2])
    then, _ = run(network, frames[time // 2 :], state)
    np.testing.assert_allclose(np.concatenate([first, then]), expected, atol=1e-12)
    both = run_all(network, [frames, frames[:1]])
    np.testing.assert_allclose(both[1], expected[:1], atol=1e-12)


def test_a_skip_a_product_of_layers_and_two_outputs() -> None:
    rng = np.random.default_rng(0)
    first, second = random_gru(rng, 4, 6, states=True), random_gru(rng, 6, 6)
    residual = added(6, [Source(0), Source(1)])
    gated = Layer(
        GATED,
        (),
        (),
        initial=(first.initial_value("h"),),
        inputs=(Source(2), Source(0)),
        sizes=(6, 6),
    )
    both = (Source(3), Source(1))
    network = Network((first, second, residual, gated), outputs=both)
    frames = rng.normal(size=(9, 4))
    one = run(Network((first,)), frames)[0]
    two = run(Network((second,)), one)[0]
    total = one + two
    before = np.concatenate([gated.initial[0][None], one[:-1]])
    expected = np.concatenate([total * before - total * total, two], axis=1)
    found, state = run(network, frames)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert network.output_size == 12 and list(state[3]) == ["b"]
    parts = [run(network, frames[:4])]
    parts.append(run(network, frames[4:], parts[0][1]))
    np.testing.assert_allclose(np.concatenate([p for p, _ in parts]), expected, atol=1e-12)
    assert initial_state(network)[3]["b"].shape == (1, 6)


@pytest.mark.parametrize("own", ["h@1", "p.0"])
def test_a_step_may_be_a_constant(own: str) -> None:
    """Of layers that are run frame by frame and all at once: its values are each sequence's."""
    rng = np.random.default_rng(2)
    product = CellProduct("p", 1, (Read("x"),), bias=True)
    steps = CellStep("k", "v", "sigmoid"), CellStep("h", "p.0 + k*h@1" if own == "h@1" else own)
    cell = Cell("gated", (CellStage((product,), steps),), ("v",), ("x",), ("h", "k"))
    weight, bias, v = rng.normal(size=(1, 6, 4)), rng.normal(size=(1, 6)), rng.normal(size=6)
    layer = Layer(cell, ((Matrix(weight),),), (bias,), (v,))
    network = Network((layer,), outputs=(Source(0, "h"), Source(0, "k")))
    utterances, k = [rng.normal(size=(time, 4)) for time in (5, 3)], 1 / (1 + np.exp(-v))
    for frames, found in zip(utterances, run_all(network, utterances), strict=True):
        h, expected = np.zeros(6), []
        for x in frames:
            h = weight[0] @ x + bias[0] + (k * h if own == "h@1" else 0)
            expected.append(np.concatenate([h, k]))
        np.testing.assert_allclose(found, expected)
    seen = dict[str, int]()
    observe(
        network, utterances, lambda edge, rows: seen.update({edge: seen.get(edge, 0) + len(rows)})
    )
    assert set(seen.values()) == {8}


def test_what_cannot_be_put_together_is_refused() -> None:
    rng = np.random.default_rng(1)
    gru, last = random_gru(rng, 4, 6), random_linear(rng, 6, 3)
    cases = {
        "reads layer 1, which does not come before": lambda: Network(
            (gru, added(6, [Source(0), Source(1)]))
        ),
        "reads 'c' of layer 0, which gives h": lambda: Network(
            (gru, last), outputs=(Source(0, "c"),)
        ),
        "has several inputs (a, b): say where from": lambda: Network(
            (gru, Layer(SUM, (), (), sizes=(6, 6)))
        ),
        "layer 1: linear reads 5 values of x, which has 6": lambda: Network(
            (gru, random_linear(rng, 5, 3))
        ),
        "the network's input cannot be its output": lambda: Network((gru,), outputs=(NETWORK,)),
        "a convolution has taps": lambda: conv1d([], np.zeros(3)),
        "a linear layer has 1 gates": lambda: linear(Matrix(np.zeros((2, 3, 4))), np.zeros(3)),
    }
    for message, attempt in cases.items():
        with pytest.raises(UserError) as refused:
            attempt()
        assert message in str(refused.value)


def test_descriptions_say_when_they_read() -> None:
    product = (CellProduct("p", 1, (Read("x"), Read("h"))),)
    with pytest.raises(UserError, match=r"written later in the frame: give it a delay, h@1"):
        Cell("early", (CellStage(product, (CellStep("h", "p.0"),)),))
    product = (CellProduct("p", 1, (Read("x"),)),)
    with pytest.raises(UserError, match="keep what is older in a step of its own"):
        Cell("old", (CellStage(product, (CellStep("h", "p.0 + h@2*h@1"),)),))
    with pytest.raises(UserError, match="p names two things"):
        Cell("twice", (CellStage(product, (CellStep("p", "p.0"),)),), outputs=("p",))
