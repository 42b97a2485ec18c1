"""Engines of every kind of shape are clean by Verilator's judgement, and no
warning is waived that never comes.
"""

import re

import numpy as np
import pytest

from ernn.flow.lint import WAIVED, lint
from ernn.flow.verilog import Verilog, to_verilog
from ernn.quantization.quantize import QuantizeSpec
from ernn.rtl.engine import Engine
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import schedule
from tests.equivalence.cases import Case, integer_model

SHAPES = {
    "dense LSTM with peepholes": Case(
        dict(cell="lstm", peepholes=True, input_size=7, hidden=9, outputs=3, block=1),
        Design(4, 1, 4),
    ),
    "blocks of 2, four streams": Case(
        dict(cell="gru", input_size=5, hidden=6, outputs=3, block=2), Design(2, 4, 4)
    ),
    "parts of a word at a time, projection": Case(
        dict(cell="lstm", projection=5, input_size=4, hidden=6, layers=2, block=4),
        Design(1, 3, 1, lanes=2),
    ),
    "reset before, narrow": Case(
        dict(cell="gru", reset="before", input_size=10, hidden=12, outputs=5, block=8),
        Design(3, 2, 4),
        QuantizeSpec(weight_bits=4, data_bits=6),
    ),
}


@pytest.fixture(scope="module", params=SHAPES)
def engine(request: pytest.FixtureRequest) -> Verilog:
    case = SHAPES[request.param]
    return to_verilog(Engine(schedule(integer_model(np.random.default_rng(1), case), case.design)))


def test_engines_are_clean(engine: Verilog) -> None:
    assert lint(engine) == ()


def test_no_wire_is_empty(engine: Verilog) -> None:
    """Verilog would read [-1:0] as two bits."""
    assert "[-1:0]" not in engine.text


def test_every_waiver_is_needed(engine: Verilog) -> None:
    """CMPCONST apart: one shape of a network makes a comparison constant, most do not."""
    kinds = {
        found[1]
        for line in lint(engine, waived=())
        if (found := re.match(r"%Warning-(\w+):", line))
    }
    assert set(WAIVED) - {"CMPCONST"} <= kinds
