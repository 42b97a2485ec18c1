"""The activation unit by itself: sigmoid, tanh and bypass of every input integer, against the
table's definition.
"""

import numpy as np
import pytest
from amaranth.hdl import Module, Value

from ernn.golden.elementwise import activate
from ernn.ir.fixed_point import FixedFormat
from ernn.quantization.activation_tables import activation_table
from ernn.rtl.activation import Activation
from ernn.scheduling.timing import DEEP, SHALLOW, Pipeline
from tests.flow.pipes import Pipe, answers, extended

WIDTHS = [(16, 8), (16, 5), (12, 8), (8, 8), (18, 6)]
"""Bits of data, and of a segment's number; 8 of 8 is a table of single values."""


@pytest.mark.parametrize("pipeline", [DEEP, SHALLOW])
@pytest.mark.parametrize(("width", "segment_bits"), WIDTHS)
def test_every_input(width: int, segment_bits: int, pipeline: Pipeline) -> None:
    input, output = FixedFormat(width, width - 5), FixedFormat(width, width - 2)
    tables = {
        name: activation_table(name, input, output, segment_bits) for name in ("sigmoid", "tanh")
    }

    def unit(m: Module, word: Value) -> Value:
        m.submodules.activation = part = Activation(tables["sigmoid"], tables["tanh"], pipeline)
        m.d.comb += [
            part.value.eq(word[:width]),
            part.activate.eq(word[32]),
            part.tanh.eq(word[33]),
        ]
        return extended([part.result], 32)

    values = np.arange(input.low, input.high + 1)
    modes = {0: values, 1: activate(tables["sigmoid"], values), 3: activate(tables["tanh"], values)}
    given = np.concatenate([np.stack([values, np.full_like(values, mode)], 1) for mode in modes])
    order = np.random.default_rng(width).permutation(
        len(given)
    )  # so that neighbours in time are not alike
    found = answers(Pipe(unit, 64, 32, pipeline.activation), given[order], 1)[:, 0]
    assert np.array_equal(found, np.concatenate(list(modes.values()))[order])
