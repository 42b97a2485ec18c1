"""Golden against exact evaluation of the contract, against its compiled form, and against the float
network.
"""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ernn.errors import UserError
from ernn.golden import Stream, dequantize_output, quantize_input, run, run_all, saturation, trace
from ernn.golden.compiled import Compiled
from ernn.golden.machine import Implementation, Plain
from ernn.golden.run import TOGETHER
from ernn.ir import reference
from ernn.ir.integer_model import IntegerModel
from ernn.ir.structure import BLOCK_SIZES
from ernn.quantization.quantize import QuantizeSpec, quantize
from tests.golden.exact import Exact
from tests.models import random_frames, random_integer_model, random_network, with_exponents

CELLS = [
    {"cell": "lstm"},
    {"cell": "lstm", "projection": 5, "peepholes": True, "states": True},
    {"cell": "lstm", "projection": 6, "layers": 2, "outputs": 3},
    {"cell": "gru", "reset": "after", "states": True, "outputs": 5},
    {"cell": "gru", "reset": "before", "layers": 2},
]
BOTH_WAYS = [
    {"cell": c, "bidirectional": True, "layers": 2, "outputs": 3, "states": True}
    for c in ("lstm", "gru")
]
SEEDS = st.integers(0, 2**32 - 1)
SPECS = st.builds(
    QuantizeSpec, st.integers(4, 18), st.integers(4, 18), st.integers(2, 9), st.integers(0, 3)
)


def any_frames(rng: np.random.Generator, model: IntegerModel, count: int) -> np.ndarray:
    """Frames over the input's whole range, ends included."""
    low, high = model.input.format.low, model.input.format.high
    frames = rng.integers(low, high + 1, (count, model.input.length))
    ends = rng.random(frames.shape)
    return np.where(ends < 0.1, low, np.where(ends > 0.9, high, frames))


@settings(max_examples=60, deadline=None)
@given(
    SEEDS,
    st.sampled_from(CELLS),
    st.sampled_from([1, 2, 4, 8, 16]),
    SPECS,
    st.integers(1, 9),
    st.integers(1, 9),
)
def test_every_integer_is_what_the_contract_says(seed, cell, block, spec, inputs, hidden):
    rng = np.random.default_rng(seed)
    model = random_integer_model(rng, spec, **cell, block=block, input_size=inputs, hidden=hidden)
    # Not as its paper has it is a cell with operands taken apart (tests/contract/test_equalise).
    assume(not any("apart" in layer.cell.title for layer in model.layers))
    model = with_exponents(rng, model) if seed % 2 else model
    frames = any_frames(rng, model, 3)
    exact = Exact(model)
    assert run(model, frames).tolist() == [exact.frame(frame) for frame in frames.tolist()]


@settings(max_examples=40, deadline=None)
@given(
    SEEDS,
    st.sampled_from(CELLS + BOTH_WAYS),
    st.sampled_from(BLOCK_SIZES),
    SPECS,
    st.integers(0, 5),
)
def test_the_compiled_form_is_equal_on_every_edge(seed, cell, block, spec, time):
    rng = np.random.default_rng(seed)
    hidden = 9 if "bidirectional" not in cell else max(8, block)  # whole blocks of either direction
    model = random_integer_model(rng, spec, **cell, block=block, input_size=7, hidden=hidden)
    model = with_exponents(rng, model) if seed % 2 else model
    frames = any_frames(rng, model, time)
    plain, fast = trace(model, frames), trace(model, frames, Compiled)
    assert plain.keys() == fast.keys()
    for edge, values in plain.items():
        np.testing.assert_array_equal(values, fast[edge], err_msg=edge)


@settings(max_examples=20, deadline=None)
@given(
    SEEDS,
    st.sampled_from(CELLS),
    st.lists(st.integers(0, 4), min_size=1, max_size=5),
    st.booleans(),
)
def test_chunks_equal_the_whole(seed, cell, chunks, fast):
    rng = np.random.default_rng(seed)
    model = random_integer_model(rng, **cell, block=4)
    frames = any_frames(rng, model, sum(chunks))
    stream = Stream(model, Compiled) if fast else Stream(model)
    parts = [stream.push(part) for part in np.split(frames, np.cumsum(chunks)[:-1])]
    np.testing.assert_array_equal(np.concatenate(parts), run(model, frames))
    stream.reset()
    np.testing.assert_array_equal(stream.push(frames), run(model, frames))


@settings(max_examples=20, deadline=None)
@given(
    SEEDS,
    st.sampled_from(CELLS + BOTH_WAYS),
    st.lists(st.integers(1, 6), min_size=1, max_size=6),
    st.booleans(),
)
def test_many_utterances_equal_one_by_one(seed, cell, lengths, last_step):
    rng = np.random.default_rng(seed)
    model = random_integer_model(rng, **cell, block=4, last_step=last_step)
    utterances = [any_frames(rng, model, length) for length in lengths]
    for frames, together in zip(utterances, run_all(model, utterances, Compiled), strict=True):
        assert len(together) == (1 if last_step else len(frames))
        np.testing.assert_array_equal(together, run(model, frames))


@pytest.mark.parametrize("cell", [CELLS[1], BOTH_WAYS[1]], ids=["one way", "both ways"])
@pytest.mark.parametrize("implementation", [Plain, Compiled])
def test_more_utterances_than_run_together_do_not_see_each_other(
    cell: dict, implementation: Implementation
) -> None:
    rng = np.random.default_rng(8)
    model = random_integer_model(rng, **cell, block=4)
    utterances = [any_frames(rng, model, length) for length in 3 - np.arange(TOGETHER + 2) % 3]
    for frames, together in zip(
        utterances, run_all(model, utterances, implementation), strict=True
    ):
        np.testing.assert_array_equal(together, run(model, frames))


@pytest.mark.parametrize(
    ("cell", "block"), [*product(CELLS, BLOCK_SIZES[::2]), *product(BOTH_WAYS, (1, 8))]
)
def test_close_to_the_float_network(cell, block):
    rng = np.random.default_rng(block)
    hidden = 24 if "bidirectional" in cell else 20  # whole blocks of either direction
    network = random_network(rng, **cell, block=block, input_size=11, hidden=hidden)
    utterances = [random_frames(rng, network, 30) for _ in range(2)]
    for spec, bound in (
        (QuantizeSpec(12, 16), 6e-3),
        (QuantizeSpec(18, 18), 8e-4),
        (QuantizeSpec(8, 10), 0.15),
    ):
        model = quantize(network, utterances, spec)
        got = dequantize_output(model, run(model, quantize_input(model, utterances[0]), Compiled))
        assert np.abs(got - reference.run(network, utterances[0])[0]).max() <= bound


@pytest.mark.parametrize("cell", CELLS + BOTH_WAYS)
def test_calibration_frames_hardly_saturate(cell):
    rng = np.random.default_rng(7)
    network = random_network(rng, **cell, block=8, input_size=16, hidden=24)
    utterances = [random_frames(rng, network, 30) for _ in range(3)]
    model = quantize(network, utterances)
    counts = saturation(model, [quantize_input(model, frames) for frames in utterances], Compiled)
    assert {signal.name for signal in model.signals} < counts.keys()
    for edge, (at_end, values) in counts.items():
        assert values > 0 and at_end <= 0.001 * values, edge


def test_saturation_is_counted():
    rng = np.random.default_rng(8)
    model = random_integer_model(rng, cell="lstm", block=4)
    high = np.full((5, model.input.length), model.input.format.high)
    assert saturation(model, [high])["x"] == (high.size, high.size)


def test_edges_are_named():
    rng = np.random.default_rng(9)
    lstm = random_integer_model(rng, cell="lstm", projection=4, outputs=2)
    gru = random_integer_model(rng, cell="gru", reset="before")
    after = random_integer_model(rng, cell="gru", reset="after")
    frames = np.zeros((2, 8), np.int64)
    cell = [
        "gates",
        "i",
        "f",
        "g",
        "c",
        "o",
        "t",
        "m",
        "m.spectrum",
        "projection",
        "h",
        "h.spectrum",
    ]
    assert list(trace(lstm, frames)) == [
        "x",
        "x.spectrum",
        *[f"l0.{e}" for e in cell],
        "l1.product",
        "l1.h",
    ]
    names = ["gates", "r", "z", "s", "s.spectrum", "candidate", "n", "h", "h.spectrum"]
    assert list(trace(gru, frames)) == ["x", "x.spectrum", *[f"l0.{e}" for e in names]]
    assert {"l0.u", "l0.candidate_input"} < trace(after, frames).keys()
    assert trace(lstm, frames)["l0.gates"].shape == (2, 4 * 16)


@pytest.mark.parametrize("cell", BOTH_WAYS)
def test_backward_edges_are_in_the_order_of_the_frames(cell):
    rng = np.random.default_rng(11)
    model = random_integer_model(rng, **cell, block=4)
    frames = any_frames(rng, model, 5)
    turned = [replace(layer, backward=layer.name != "l1") for layer in model.layers[:2]]
    other = replace(model, layers=(*turned, *model.layers[2:]))  # l0 runs backward, l1 forward
    edges, mirrored = trace(model, frames), trace(other, frames[::-1])
    for edge in ("l0.h", "l1.h", "l1.gates"):
        np.testing.assert_array_equal(edges[edge], mirrored[edge][::-1], err_msg=edge)


def test_bad_frames_are_refused():
    rng = np.random.default_rng(10)
    model = random_integer_model(rng, cell="gru", last_step=True)
    good = np.zeros((3, 8), np.int64)
    cases = [
        (good[:, :7], r"frames must be \(time, 8\), not \(3, 7\)"),
        (good.astype(float), "frames must be int64, not float64"),
        (good + 40_000, r"a frame holds 40000\.\.40000, outside the input's range"),
        (good + 32_768, r"a frame holds 32768\.\.32768, outside the input's range"),
        (good - 32_769, r"a frame holds -32769\.\.-32769, outside the input's range"),
        (good[:0], "needs at least one frame"),
    ]
    for frames, message in cases:
        with pytest.raises(UserError, match=message):
            run(model, frames)
    with pytest.raises(UserError, match="there is no utterance"):
        run_all(model, [])
    with pytest.raises(UserError, match="a feature is not finite"):
        quantize_input(model, np.full((1, 8), np.nan))
    with pytest.raises(UserError, match="a feature is not finite"):
        quantize_input(model, np.full((1, 8), -np.inf))
    both = random_integer_model(rng, cell="gru", bidirectional=True)
    with pytest.raises(
        UserError, match="l1 runs backward and needs the whole utterance: it cannot be streamed"
    ):
        Stream(both)
