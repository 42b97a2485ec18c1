"""The activation unit by itself: every table and bypass, of every input integer, against the
table's definition.
"""

import numpy as np
import pytest
from amaranth.hdl import Module, Value

from ernn.golden.elementwise import activate
from ernn.ir.activations import Function
from ernn.ir.fixed_point import FixedFormat
from ernn.quantization.activation_tables import activation_table
from ernn.rtl.activation import Activation
from ernn.rtl.arith import delayed
from ernn.scheduling.timing import DEEP, SHALLOW, Pipeline
from tests.flow.pipes import Pipe, answers, extended

UNITS: list[tuple[int, dict[Function, int]]] = [
    (16, {"sigmoid": 8, "tanh": 8}),
    (16, {"sigmoid": 5, "tanh": 5}),
    (12, {"tanh": 8}),
    (8, {"sigmoid": 8, "tanh": 8}),
    (18, {"sigmoid": 6, "tanh": 6}),
    (14, {"silu": 5, "sigmoid": 7, "softplus": 6, "gelu": 5, "hard_tanh": 4}),
    (8, {"tanh": 8, "gelu": 3, "sigmoid": 5}),
    (10, {}),
]
"""Bits of data, and of a segment's number by function; 8 of 8 is a table of single values."""


@pytest.mark.parametrize(("width", "segment_bits"), UNITS, ids=str)
def test_every_input(width: int, segment_bits: dict[Function, int]) -> None:
    """Each table has an input format of its own; both pipelines side by side, the shallow one's
    result held back until the deep one's is there.
    """
    tables = [
        activation_table(
            name, FixedFormat(width, width - 3 - n), FixedFormat(width, width - 4 + n % 3), bits
        )
        for n, (name, bits) in enumerate(segment_bits.items())
    ]

    def result(m: Module, word: Value, pipeline: Pipeline) -> Value:
        part = Activation(tables, width, pipeline)
        m.submodules += part
        m.d.comb += [
            part.value.eq(word[:width]),
            part.activate.eq(word[32]),
            part.table.eq(word[33:]),
        ]
        return delayed(m, part.result, DEEP.activation - pipeline.activation, "held")

    def unit(m: Module, word: Value) -> Value:
        return extended([result(m, word, pipeline) for pipeline in (DEEP, SHALLOW)], 32)

    values = np.arange(-1 << width - 1, 1 << width - 1)
    modes = {0: values} | {1 + 2 * n: activate(table, values) for n, table in enumerate(tables)}
    given = np.concatenate([np.stack([values, np.full_like(values, mode)], 1) for mode in modes])
    # so that neighbours in time are not alike
    order = np.random.default_rng(width).permutation(len(given))
    found = answers(Pipe(unit, 64, 64, DEEP.activation), given[order], 2)
    expected = np.concatenate(list(modes.values()))[order]
    assert np.array_equal(found, np.stack([expected, expected], 1))
