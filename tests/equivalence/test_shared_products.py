"""Two products of one multiplier by themselves, and what a packed design refuses."""

import numpy as np
import pytest
from amaranth.hdl import Module, Signal, Value, signed

from ernn.errors import UserError
from ernn.ir.edges import DataBits, data_bits, operand_bits
from ernn.quantization.quantize import QuantizeSpec
from ernn.rtl.arith import delayed
from ernn.rtl.shared import Sharing, shared_product
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import schedule
from ernn.scheduling.timing import DEEP, DIRECT, SHALLOW, Pipeline
from tests.flow.pipes import Pipe, answers, extended
from tests.models import random_integer_model

LANE = 32


def pipe(number: int, weight: int, sharing: Sharing, pipeline: Pipeline) -> Pipe:
    """(number, low, high) -> both products, as an element lets them wait for each other."""

    def unit(m: Module, word: Value) -> Value:
        sizes = (number, weight, weight)
        parts = [Signal(signed(bits), name=f"part{i}") for i, bits in enumerate(sizes)]
        m.d.comb += [part.eq(word.word_select(i, LANE)) for i, part in enumerate(parts)]
        operand = delayed(m, parts[0], 2, "operand")
        own, other = shared_product(m, operand, parts[1], parts[2], sharing, pipeline, "both")
        return extended([delayed(m, own, 1, "own"), other], LANE)

    depth = 2 + pipeline.settled + 2
    return Pipe(unit, 3 * LANE, 2 * LANE, depth)


@pytest.mark.parametrize(
    ("number", "weight", "sharing", "pipeline"),
    [
        (4, 3, Sharing(7, 0), DEEP),  # as 9 and 8 bits in 18, but for room
        (4, 3, Sharing(7, 1), SHALLOW),
        (3, 3, Sharing(9, 1), DIRECT),  # products that lie apart but for a sign
    ],
)
def test_both_products_of_all_operands(
    number: int, weight: int, sharing: Sharing, pipeline: Pipeline
) -> None:
    span = [np.arange(-(1 << bits >> 1), 1 << bits >> 1) for bits in (number, weight, weight)]
    words = np.stack(np.meshgrid(*span, indexing="ij"), -1).reshape(-1, 3)
    if not sharing.room:
        words = words[(words[:, 1:] > span[1][0]).all(1)]
    found = answers(pipe(number, weight, sharing, pipeline), words, 2)
    np.testing.assert_array_equal(found, words[:, :1] * words[:, 1:])


@pytest.mark.parametrize("port", [18, 27])
def test_the_widest_operands_at_their_ends(port: int) -> None:
    """Sums of two numbers of 9 bits, weights of 8 and their sums of 9, the ends included."""
    rng = np.random.default_rng(port)
    for number, weight in ((10, 8), (9, 9)):
        low, high = -(1 << number >> 1), -(1 << weight >> 1)
        ends = np.array(
            [
                (n, a, b)
                for n in (low, -1, -low - 1)
                for a in (high, -high - 1, -1)
                for b in (high, 0, -high - 1)
            ]
        )
        some = np.stack([rng.integers(low, -low, 2000), *rng.integers(high, -high, (2, 2000))], 1)
        words = np.concatenate([ends, some])
        found = answers(pipe(number, weight, Sharing(port, 1), DEEP), words, 2)
        np.testing.assert_array_equal(found, words[:, :1] * words[:, 1:])


def test_numbers_too_wide_for_two_products_are_refused() -> None:
    rng = np.random.default_rng(0)
    spec = QuantizeSpec(weight_bits=8, data_bits=10)
    model = random_integer_model(rng, spec, cell="gru", input_size=4, hidden=4, block=2)
    with pytest.raises(UserError, match="the network has 8 and 10"):
        schedule(model, Design(2, packed=18))


def test_what_no_product_reads_may_be_wide() -> None:
    """The array multiplies spectra: a cell of 16 bits is in none."""
    spec = QuantizeSpec(weight_bits=8, data_bits=8, data=DataBits(cell=16))
    model = random_integer_model(
        np.random.default_rng(0), spec, cell="lstm", input_size=4, hidden=4, block=2
    )
    assert data_bits(model) == 16
    assert operand_bits(model) == 8
    assert schedule(model, Design(2, packed=18)).layout.design.packed == 18


def test_elements_share_in_pairs() -> None:
    with pytest.raises(UserError, match="multiple of twice its words"):
        Design(3, packed=18)
    with pytest.raises(UserError, match="0, 18 or 27, not 25"):
        Design(2, packed=25)
