"""Tensor trains and Tucker decompositions in integers: a product a core, and what a core
multiplies.
"""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ernn.compress.methods.tensor_train import TensorTrain
from ernn.compress.methods.tucker import Tucker
from ernn.errors import UserError
from ernn.golden.boundary import dequantize_output
from ernn.golden.compiled import Compiled
from ernn.golden.faults import memory_bits, with_upsets
from ernn.golden.matvec import repeated
from ernn.golden.run import run, trace
from ernn.ir import serialization as codec
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import Product
from ernn.ir.kronecker import Repeated, RepeatedMatrix
from ernn.ir.network import Layer, Network
from ernn.ir.reference import run as run_float
from ernn.ir.structure import BlockCirculant, Structure
from ernn.quantization.lowering import lowered
from ernn.quantization.quantize import QuantizeSpec, quantize
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import schedule
from tests.golden.exact import real, req
from tests.models import random_frames, random_gru, random_linear, random_lstm, restructured

Choose = Callable[[int, int], Structure]


def compressed(network: Network, choose: Choose) -> Network:
    """All matrices of it in the structures that `choose` gives for their (rows, columns)."""

    return restructured(network, lambda _, matrix: choose(matrix.rows, matrix.columns))


def pair(rows: int, columns: int) -> Structure:
    """A tensor train of two cores."""
    return TensorTrain(
        (rows // 2, 2), (3, columns // 3) if columns % 3 == 0 else (2, columns // 2), 2
    )


def triple(rows: int, columns: int) -> Structure:
    return TensorTrain((2, rows // 2, 1), (1, 2, columns // 2), 3)


NETWORKS = {
    "lstm": lambda rng: (
        random_lstm(rng, 6, 10, projection=8, peepholes=True),
        random_linear(rng, 8, 4),
    ),
    "gru": lambda rng: (random_gru(rng, 6, 10), random_linear(rng, 10, 4)),
    "before": lambda rng: (random_gru(rng, 6, 8, reset="before"), random_gru(rng, 8, 6)),
}
CHOICES: dict[str, Choose] = {
    "pair": pair,
    "triple": triple,
    "tucker": lambda rows, columns: Tucker(3, 2),
}
WIDE = QuantizeSpec(weight_bits=16, data_bits=18, segment_bits=10)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(*[st.integers(1, 4)] * 5),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_a_repeated_matrix_is_a_kronecker_product(
    sizes: tuple[int, ...], seed: int, full: bool
) -> None:
    """Against np.kron, and what golden does with it against Python integers, full-scale values
    among them.
    """
    rng, (before, p, q, after, gates) = np.random.default_rng(seed), sizes
    ends = np.array([-(1 << 17), (1 << 17) - 1])
    core, x = (
        rng.choice(ends, shape) if full else rng.integers(*ends, size=shape, endpoint=True)
        for shape in ((gates, p, q), (2, before * q * after))
    )
    structure = Repeated(before, after)
    whole = structure.whole(core)
    for gate in range(gates):
        np.testing.assert_array_equal(
            whole[gate], np.kron(np.kron(np.eye(before), core[gate]), np.eye(after))
        )
    np.testing.assert_array_equal(structure.core(whole), core)
    assert structure.stored(whole.shape) == core.size
    assert structure.multiplications(whole.shape) == core.size * before * after
    matrix = RepeatedMatrix(core, FixedFormat(18, 0), before, after)
    assert (matrix.gates, matrix.rows, matrix.columns) == whole.shape
    found = repeated(matrix, x[..., None])
    for stream, vector in enumerate(x.tolist()):
        for gate, rows in enumerate(whole.astype(object).tolist()):
            expected = [sum(w * v for w, v in zip(row, vector, strict=True)) for row in rows]
            assert found[stream, gate, :, 0].tolist() == expected


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("kind", NETWORKS)
def test_a_product_a_core(kind: str, choice: str) -> None:
    rng = np.random.default_rng(6)
    network = compressed(Network(NETWORKS[kind](rng)), CHOICES[choice])
    factored = lowered(network)
    assert all(isinstance(layer, Layer) for layer in factored.layers)
    frames = random_frames(rng, network)
    expected = run_float(network, frames)[0]
    np.testing.assert_allclose(run_float(factored, frames)[0], expected, atol=1e-9)
    if choice != "tucker":
        assert factored.stored_weights == network.stored_weights
    model = quantize(network, [frames], WIDE)
    assert memory_bits(model) == 16 * factored.stored_weights
    given = np.round(frames * 2.0**model.input.format.frac).astype(np.int64)
    found = dequantize_output(model, run(model, given))
    assert np.abs(found - expected).max() < 0.01 * max(1.0, np.abs(expected).max())
    wild = rng.integers(-(1 << 17), 1 << 17, size=(7, 6))
    fast = trace(model, wild, Compiled)
    for edge, values in trace(model, wild).items():
        np.testing.assert_array_equal(fast[edge], values, err_msg=edge)


@settings(max_examples=8, deadline=None)
@given(
    st.sampled_from(sorted(NETWORKS)), st.sampled_from([pair, triple]), st.integers(0, 2**32 - 1)
)
def test_every_core_rounds_as_any_product(kind: str, choose: Choose, seed: int) -> None:
    """Every product of every frame again in Python's integers, core by core, on values up to full
    scale.
    """
    rng = np.random.default_rng(seed)
    network = compressed(Network(NETWORKS[kind](rng)), choose)
    model = quantize(
        network, [random_frames(rng, network)], QuantizeSpec(weight_bits=5, data_bits=7)
    )
    edges = trace(model, rng.choice(np.array([-64, -63, 0, 31, 63]), (3, 6)))
    for layer in model.layers:
        for product in layer.products:
            for frame in range(1, 3):
                expected = _exact(
                    model,
                    product,
                    edges,
                    frame,
                    {layer.signal(name) for name in layer.cell.delays},
                )
                assert edges[product.name][frame].tolist() == expected


def _exact(
    model: IntegerModel,
    product: Product,
    edges: dict[str, np.ndarray],
    frame: int,
    recurrent: set[str],
) -> list[int]:
    """`recurrent`: signals that are the frame before's."""
    out = []
    for gate in range(product.gates):
        for row in range(product.length):
            total = Fraction(0)
            for operand in product.operands:
                at = frame - (operand.signal in recurrent)
                spectrum, matrix = model.signal(operand.signal).spectrum, operand.matrix
                assert spectrum is not None and isinstance(matrix, RepeatedMatrix)
                x, core = (
                    edges[f"{operand.signal}.spectrum"][at].tolist(),
                    matrix.core[gate].tolist(),
                )
                block, inside = divmod(row, len(core) * matrix.after)
                p, a = divmod(inside, matrix.after)
                q = len(core[0])
                terms = [core[p][j] * x[(block * q + j) * matrix.after + a] for j in range(q)]
                total += real(sum(terms), spectrum) * real(1, matrix.format)
            rounded = real(req(total, product.rows), product.rows)
            out.append(req(rounded, product.output))
    return out


def test_it_is_kept_as_its_cores(tmp_path) -> None:
    rng = np.random.default_rng(3)
    network = compressed(Network(NETWORKS["gru"](rng)), pair)
    model = quantize(network, [random_frames(rng, network)])
    again = codec.load(codec.save(tmp_path / "model", model), IntegerModel)
    assert codec.digest(again) == codec.digest(model)
    frames = rng.integers(-(1 << 15), 1 << 15, size=(5, 6))
    np.testing.assert_array_equal(run(again, frames), run(model, frames))
    assert (run(with_upsets(model, 40, 0), frames) != run(model, frames)).any()


def test_no_hardware_is_generated() -> None:
    rng = np.random.default_rng(3)
    network = compressed(Network(NETWORKS["gru"](rng)), pair)
    model = quantize(network, [random_frames(rng, network)])
    with pytest.raises(
        UserError, match=r"no hardware is generated for that.*compress to BlockCirculant"
    ):
        schedule(model, Design(2))


def test_blocks_beside_a_train_are_refused() -> None:
    rng = np.random.default_rng(3)
    train = compressed(Network((random_gru(rng, 6, 8),)), pair)
    network = Network((*train.layers, random_gru(rng, 8, 8, structure=BlockCirculant(4))))
    with pytest.raises(UserError, match="does not go with blocks of 4"):
        quantize(network, [random_frames(rng, network)])


def test_what_is_no_repeated_matrix_is_refused() -> None:
    whole = Repeated(2, 2).whole(np.ones((1, 2, 1)))
    whole[0, 0, 1] = 1.0
    with pytest.raises(UserError, match="is not"):
        Repeated(2, 2).core(whole)
    with pytest.raises(UserError, match="not 3 times a smaller one"):
        Repeated(3, 1).stored((1, 8, 6))
    for core in (np.full((1, 1, 1), 8), np.full((1, 1, 1), -9), np.ones((1, 1, 1), np.int32)):
        with pytest.raises(UserError, match="int64 in 4 bits"):
            RepeatedMatrix(core, FixedFormat(4, 0), 1, 1)
    assert RepeatedMatrix(np.array([[[-8, 7]]]), FixedFormat(4, 0), 1, 1).columns == 2
    for sizes in ((0, 2), (2, 0)):
        with pytest.raises(UserError, match="must be a whole number of at least 1, not 0"):
            Repeated(*sizes)
