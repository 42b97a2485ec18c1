"""Compiled golden where it could go wrong: sums at the very end of 32 bits, both widths, streams
side by side, every variant that this processor runs.
"""

import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ernn.errors import UserError
from ernn.golden import Compiled, Stream, Streams, _play, compiled, run, trace
from ernn.golden.arithmetic import Plainly
from ernn.golden.compiled import Player
from ernn.golden.packing import CHUNK_LIMIT, Packed, pack
from ernn.golden.part import whole
from ernn.golden.program import recorded
from ernn.golden.source import LAYOUT
from ernn.ir import layers
from ernn.ir.edges import DataBits
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import ActivationTable, Operand, Stage, Transform
from ernn.ir.network import Network
from ernn.ir.structure import BLOCK_SIZES, BlockCirculant
from ernn.quantization.quantize import QuantizeSpec, quantize
from tests.golden.test_golden import CELLS, SEEDS, SPECS, any_frames
from tests.models import random_integer_model, random_matrix

NARROW = [name for name in _play.variants() if name.startswith("narrow")]
ROWS, SIDE = _play.ROWS, _play.SIDE
WORST_PAIR = 2 * (1 << 11) * (1 << 15)
"""Two products of 12-bit weights and 16-bit data at their ends."""
LONGEST = 15
"""So many of them fit in 32 bits."""


def assert_equal_on_every_edge(model: IntegerModel, frames: np.ndarray) -> None:
    """All variants that play the model's numbers, and `Plain`."""
    plain, kind = trace(model, frames), Player(model).variant.split(",")[0]
    for variant in _play.variants():
        if variant.startswith(kind):
            found = trace(model, frames, partial(Player, variant=variant))
            assert plain.keys() == found.keys()
            for edge, values in plain.items():
                np.testing.assert_array_equal(values, found[edge], err_msg=f"{edge}, {variant}")
            outputs = run(model, frames, partial(Player, variant=variant))  # in shared places
            np.testing.assert_array_equal(outputs, run(model, frames), err_msg=variant)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.sampled_from(CELLS), st.sampled_from(BLOCK_SIZES), SPECS, st.integers(1, 150))
def test_every_variant_is_equal_on_every_edge(seed, cell, block, spec, hidden):
    """Tiles and rows that are not full, too."""
    rng = np.random.default_rng(seed)
    model = random_integer_model(rng, spec, **cell, block=block, input_size=37, hidden=hidden)
    assert_equal_on_every_edge(model, any_frames(rng, model, 2))


def kernel(variant: str, weights: np.ndarray, data: np.ndarray) -> np.ndarray:
    """Sums (results, rows, side) of weights (pairs, ROWS, 2) and data (results, pairs, side, 2)."""
    narrow, wide = (np.int64,) * 2 if variant == "wide" else (np.int16, np.int32)
    results, pairs, side, _ = data.shape
    sums = np.full((results, ROWS, side), 7, wide)
    numbers = weights.astype(narrow), data.astype(narrow)
    _play.multiply(variant, *numbers, sums, pairs, results, side, 1)
    return sums


@pytest.mark.parametrize("variant", _play.variants())
@pytest.mark.parametrize("side", [1, SIDE])
@pytest.mark.parametrize("results", [1, 2])
def test_pairs_are_summed_exactly(variant, side, results):
    rng = np.random.default_rng(results)
    for pairs in (1, 2, 14):
        weights = rng.integers(-(1 << 11), 1 << 11, (pairs, ROWS, 2))
        data = rng.integers(-(1 << 15), 1 << 15, (results, pairs, side, 2))
        exact = np.einsum("prh,opsh->ors", weights, data)
        assert abs(exact).max() <= pairs * WORST_PAIR < 1 << 31
        np.testing.assert_array_equal(kernel(variant, weights, data), exact)


def linear(columns: int, weight: int) -> IntegerModel:
    """A linear layer of `columns` complex columns, every weight the same; its input's spectra reach
    both ends.
    """
    rows = random_matrix(np.random.default_rng(1), 1, 8, 8 * columns, BlockCirculant(8))
    network = Network((layers.linear(rows, np.zeros(8)),))
    frames = np.random.default_rng(2).normal(size=(4, 8 * columns))
    model = quantize(network, [frames], QuantizeSpec(12, 16))
    (layer,), (x, *others) = model.layers, model.signals
    assert x.spectrum is not None
    (made,) = layer.products
    matrix = made.operands[0].matrix
    matrix = replace(matrix, weights=np.full_like(matrix.weights, weight))
    product = replace(made, operands=(Operand("x", matrix),), rows=FixedFormat(20, 4))
    x = replace(x, spectrum=FixedFormat(16, x.spectrum.frac + 3))  # saturates
    return replace(model, signals=(x, *others), layers=(replace(layer, products=(product,)),))


def loudest(model: IntegerModel, re: int, im: int) -> np.ndarray:
    """A word whose spectrum's first complex bin is (re, im)."""
    rng, low, high = np.random.default_rng(3), model.input.format.low, model.input.format.high
    words = rng.choice([low, high], (1000, 8))
    spectra = Plainly(model).spectrum("x", np.tile(words, model.input.length // 8))
    return words[(spectra[:, 0, 2] == re) & (spectra[:, 0, 3] == im)][0]


LOW, HIGH = -(1 << 15), (1 << 15) - 1
WORST = [
    (-(1 << 11), LOW, HIGH),
    (-(1 << 11), HIGH, LOW),
    (-(1 << 11), LOW, LOW),
    ((1 << 11) - 1, LOW, LOW),
]


@pytest.mark.parametrize(("weight", "re", "im"), WORST)
def test_sums_of_numbers_that_are_all_at_their_ends(weight, re, im):
    for columns in (LONGEST, LONGEST + 1, 2 * LONGEST + 1):
        model = linear(columns, weight)
        assert_equal_on_every_edge(model, np.tile(loudest(model, re, im), columns)[None])


def packed(model: IntegerModel, limit: int = CHUNK_LIMIT) -> Packed:
    return pack(model, model.layers[0].products[0], ROWS, limit)


def test_chunks_are_as_long_as_they_can_be_and_no_longer():
    """So a chunk of one more column would overflow: the sums above do reach the end of 32 bits."""
    assert LONGEST * WORST_PAIR < 1 << 31 <= (LONGEST + 1) * WORST_PAIR
    chunks = {columns: packed(linear(columns, -(1 << 11))).chunk for columns in (15, 16, 30, 31)}
    assert chunks == {15: 15, 16: 8, 30: 15, 31: 11}
    one = packed(linear(LONGEST + 1, -(1 << 11)), limit=1 << 40)
    reals, pairs = 2 * (LONGEST + 1) // 2 * ROWS * 2, (LONGEST + 1) * ROWS * 2
    weights = one.weights[reals : reals + pairs].reshape(-1, ROWS, 2)  # the first complex bin's
    sums = kernel("narrow", weights, np.full((1, LONGEST + 1, 1, 2), LOW))  # a p + b q
    assert sums[0, 0, 0] != (LONGEST + 1) * WORST_PAIR == 1 << 31


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.sampled_from(BLOCK_SIZES), st.integers(1, 3))
def test_any_stages_can_be_butterflies(seed, k, count):
    """Not only those of a Fourier transform: rows of any number of entries."""
    rng = np.random.default_rng(seed)

    def transform(guard: int) -> Transform:
        stages = [
            Stage(rng.integers(-2, 3, (k, k)) * (rng.random((k, k)) < 3 / k), rng.integers(0, 3, k))
            for _ in range(count)
        ]
        return Transform(tuple(stages), guard)

    model = random_integer_model(rng, cell="lstm", projection=5, block=k, input_size=20)
    model = replace(model, forward=transform(1), inverse=transform(0))
    assert_equal_on_every_edge(model, any_frames(rng, model, 2))


@pytest.mark.parametrize("segment_bits", [6, 8, 9])
def test_lines_that_leave_their_range(segment_bits):
    """Tables that fit in registers, and those that do not; bases and slopes of any size."""
    rng = np.random.default_rng(segment_bits)
    model = random_integer_model(rng, QuantizeSpec(12, 16, segment_bits), cell="gru")

    def steep(table: ActivationTable) -> ActivationTable:
        base = rng.integers(table.output.low, table.output.high + 1, len(table.base))
        return replace(table, base=base, slope=rng.integers(-3000, 3000, len(base)))

    model = replace(model, tables=tuple(steep(table) for table in model.tables))
    assert Player(model).variant in NARROW
    assert_equal_on_every_edge(model, any_frames(rng, model, 20))


@settings(max_examples=25, deadline=None)
@given(
    SEEDS,
    st.sampled_from(CELLS),
    st.sampled_from(BLOCK_SIZES),
    st.sampled_from([QuantizeSpec(12, 16), QuantizeSpec(12, 18)]),
    st.sampled_from([1, 2, SIDE // 2 - 1, SIDE // 2, SIDE, SIDE + 3]),
)
def test_streams_side_by_side_equal_each_alone(seed, cell, block, spec, count):
    rng = np.random.default_rng(seed)
    model = random_integer_model(rng, spec, **cell, block=block, input_size=7, hidden=40)
    frames = np.stack([any_frames(rng, model, 3) for _ in range(count)], axis=1)
    together = Streams(model, count)
    parts = np.concatenate([together.push(frames[:1]), together.push(frames[1:])])
    for stream in range(count):
        np.testing.assert_array_equal(parts[:, stream], run(model, frames[:, stream]))
    together.reset()
    np.testing.assert_array_equal(together.push(frames), parts)


def test_edges_are_noted_from_any_frame_on():
    """Until then vectors share places; streams keep their states, each its own."""
    rng = np.random.default_rng(12)
    model = random_integer_model(rng, cell="lstm", projection=24, peepholes=True, block=8)
    frames = np.stack([any_frames(rng, model, 6) for _ in range(SIDE)], axis=1)
    player, edges = Player(model, streams=SIDE), {}
    outputs = [player.push(frames[:3]), player.push(frames[3:5], edges), player.push(frames[5:])]
    sizes = [
        recorded(model, whole(model), LAYOUT, noted=noted).rooms["memory"]
        for noted in (False, True)
    ]
    assert sizes[0].size < sizes[1].size
    found = {edge: np.array(rows) for edge, rows in edges.items()}
    for stream in range(SIDE):
        plain = trace(model, frames[:, stream])
        np.testing.assert_array_equal(
            np.concatenate(outputs)[:, stream], run(model, frames[:, stream])
        )
        for edge, values in plain.items():
            np.testing.assert_array_equal(found[edge][:, stream], values[3:5], err_msg=edge)


@pytest.mark.parametrize("variant", NARROW)
def test_every_variant_has_streams_side_by_side(variant):
    rng = np.random.default_rng(11)
    model = random_integer_model(rng, cell="lstm", peepholes=True, block=8, hidden=72)
    frames = np.stack([any_frames(rng, model, 3) for _ in range(SIDE)], axis=1)
    outputs = Player(model, streams=SIDE, variant=variant).push(frames)
    for stream in range(SIDE):
        np.testing.assert_array_equal(outputs[:, stream], run(model, frames[:, stream]))


@pytest.mark.parametrize(
    ("spec", "kind"), [(QuantizeSpec(12, 16), "narrow"), (QuantizeSpec(12, 18), "wide")]
)
def test_wider_data_takes_the_wide_way(spec, kind):
    model = random_integer_model(np.random.default_rng(5), spec, cell="lstm", block=8)
    assert Player(model).variant.startswith(kind)


def test_what_rounds_a_sum_of_a_wide_cell_is_itself_a_number_of_its_program():
    """Half of what is rounded away is 2**31 here, one more than 32 bits hold."""
    spec = QuantizeSpec(12, 16, data=DataBits(cell=31))
    rng = np.random.default_rng(1)
    model = random_integer_model(rng, spec, cell="lstm", peepholes=True, block=2, hidden=4)
    assert_equal_on_every_edge(model, any_frames(rng, model, 3))


def test_frames_in_any_layout():
    model = random_integer_model(np.random.default_rng(6), cell="gru", block=4)
    frames = any_frames(np.random.default_rng(7), model, 6)
    frames.flags.writeable = False
    np.testing.assert_array_equal(Stream(model).push(frames[::2]), run(model, frames[::2].copy()))


def test_a_stream_refuses_what_a_run_refuses_and_stays_as_it_was():
    model = random_integer_model(np.random.default_rng(4), cell="gru", block=4)
    frames = any_frames(np.random.default_rng(5), model, 4)
    stream, streams = Stream(model), Streams(model, 2)
    first = stream.push(frames[:2])
    with pytest.raises(
        UserError, match=r"a frame holds .*40000, outside the input's range -32768\.\.32767"
    ):
        stream.push(np.concatenate([frames, np.full_like(frames[:1], 40000)]))
    np.testing.assert_array_equal(
        np.concatenate([first, stream.push(frames[2:])]), run(model, frames)
    )
    with pytest.raises(UserError, match=r"frames must be \(time, 2, 8\), not \(4, 8\)"):
        streams.push(frames)
    with pytest.raises(UserError, match="the number of streams must be at least 1, not 0"):
        Streams(model, 0)


@pytest.mark.parametrize("block, outputs", [(16, 48), (8, 40), (4, 5), (1, 33)])
def test_outputs_of_streams_side_by_side_leave_in_order(block, outputs):
    rng = np.random.default_rng(outputs)
    model = random_integer_model(rng, hidden=outputs, block=block, pad=True)
    frames = [any_frames(rng, model, 3) for _ in range(SIDE)]
    together = Streams(model, SIDE).push(np.stack(frames, 1))
    for stream, own in enumerate(frames):
        np.testing.assert_array_equal(together[:, stream], run(model, own))


def test_without_a_compiler_numpy_runs_it_and_says_so(monkeypatch):
    monkeypatch.setattr(compiled, "_play", None)
    model = random_integer_model(np.random.default_rng(8), cell="gru", block=4)
    frames = any_frames(np.random.default_rng(9), model, 3)
    with pytest.warns(RuntimeWarning, match="a hundred times slower.*Install one"):
        machine = Compiled(model)
    np.testing.assert_array_equal(machine.push(frames[:, None])[:, 0], run(model, frames))


def test_golden_needs_no_compiler_at_run_time():
    code = "import sys, ernn.golden; print({'numba', 'llvmlite', 'torch'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


def test_buffers_that_are_none_are_refused():
    with pytest.raises(ValueError, match="there must be 16 buffers"):
        _play.play("narrow", (), None, None, 1)
    with pytest.raises(ValueError, match="this processor does not run MMX"):
        _play.play("MMX", (), None, None, 1)
