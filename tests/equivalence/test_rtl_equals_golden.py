"""The simulated engine gives golden's integers, with stalls on both sides, in exactly the predicted
cycles.
"""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ernn.ir.edges import DataBits
from ernn.quantization.quantize import QuantizeSpec
from ernn.scheduling import slices
from ernn.scheduling import weight_banks as banks
from ernn.scheduling.design import (
    PACKED_DATA_BITS,
    PACKED_WEIGHT_BITS,
    PORTS,
    Design,
    PipelineName,
)
from ernn.scheduling.schedule import schedule
from tests.equivalence.cases import Case, check, integer_model, random_language_case
from tests.networks import Limits

SOON: dict[str, Any] = dict(forwarding=True, ahead=True)
# Every lane and element is Verilog to write and to compile: no more than what a case is about.
CASES = {
    "passes of one column, more under way than four": Case(
        dict(cell="lstm", projection=1, input_size=4, hidden=5, layers=2, outputs=5, block=2),
        Design(1, 3, 5),
        QuantizeSpec(weight_bits=9, data_bits=7),
    ),
    "GRU in blocks of 2, four streams": Case(
        dict(cell="gru", input_size=5, hidden=6, outputs=3, block=2), Design(2, 4, 4, 1)
    ),
    "GRU, products of as many columns over different signals": Case(
        dict(cell="gru", input_size=6, hidden=8, outputs=3, block=4), Design(1, 2, 4, 2)
    ),
    "GRU whose array waits at a round's start": Case(
        dict(cell="gru", input_size=6, hidden=8, block=4), Design(1, 2, 4, 2)
    ),
    "two LSTM layers": Case(
        dict(cell="lstm", input_size=12, hidden=16, layers=2, outputs=5, block=4),
        Design(2, 2, 4, 2),
    ),
    "LSTM with peepholes, projection, padding, three streams": Case(
        dict(
            cell="lstm", peepholes=True, projection=10, input_size=7, hidden=20, layers=2, block=8
        ),
        Design(2, 3, 1, 2),
    ),
    "GRU, reset before": Case(
        dict(cell="gru", reset="before", input_size=10, hidden=12, outputs=5, block=8),
        Design(3, 1, 4, 2),
    ),
    "GRU in blocks of 32": Case(
        dict(cell="gru", input_size=8, hidden=32, block=32), Design(1, 1, 4, lanes=2)
    ),
    "narrow integers": Case(
        dict(cell="lstm", input_size=8, hidden=8, outputs=4, block=4),
        Design(2, 2, 4, 2),
        QuantizeSpec(weight_bits=2, data_bits=4),
    ),
    "wide integers": Case(
        dict(cell="gru", input_size=8, hidden=8, outputs=4, block=4),
        Design(2, 1, 4, 2),
        QuantizeSpec(weight_bits=18, data_bits=18),
    ),
    "signals of 8 bits, cells of 16": Case(
        dict(cell="lstm", peepholes=True, input_size=7, hidden=9, outputs=3, block=1),
        Design(4, 1, 4),
        QuantizeSpec(8, 16, data=DataBits(input=8, hidden=8, activations=8, gates=12)),
    ),
    "cells of 25 bits, signals of 12": Case(
        dict(cell="lstm", input_size=5, hidden=6, block=2),
        Design(2, 1, 2),
        QuantizeSpec(9, 12, data=DataBits(cell=25)),
    ),
    "five kinds of data, five widths, in blocks": Case(
        dict(cell="gru", reset="before", input_size=10, hidden=12, outputs=5, block=8),
        Design(2, 2, 4, 2),
        QuantizeSpec(9, 13, data=DataBits(input=11, hidden=6, cell=10, gates=9, activations=7)),
    ),
    "rows with exponents, dense, two words a line, three elements a bank and two over": Case(
        dict(cell="gru", input_size=5, hidden=12, outputs=3, block=1),
        Design(8, 2, 1, 1, splits=2, words=2, joined=3, parity=True),
        exponents=True,
    ),
    "rows with exponents, in blocks, rows of two products share passes, a dense layer": Case(
        dict(cell="gru", input_size=17, hidden=20, outputs=3, block=4),
        Design(3, 2, 2, 2, splits=3),
        exponents=True,
    ),
    "lines of three words, staggered stages over several rounds": Case(
        dict(cell="gru", reset="before", input_size=10, hidden=13, layers=3, outputs=4, block=2),
        Design(3, 2, 2, 1, splits=3, words=3, overlap=3, staggered=True),
    ),
    "gates that are needed late come last": Case(
        dict(cell="lstm", peepholes=True, input_size=11, hidden=26, outputs=5, block=4),
        Design(4, 2, 1, 2, splits=2, words=2, overlap=4, staggered=True, deferred=True),
    ),
    "deferred gates, two products": Case(
        dict(cell="gru", input_size=5, hidden=18, block=2),
        Design(4, 1, 2, 1, overlap=3, deferred=True),
    ),
    "shallow pipelines, LSTM with peepholes and projection, whose last columns are apart": Case(
        dict(
            cell="lstm", peepholes=True, projection=18, input_size=7, hidden=20, layers=2, block=4
        ),
        Design(2, 1, 1, splits=2, words=2, overlap=4, deferred=True, pipeline="shallow", **SOON),
    ),
    "one stream, every layer a round after the one before": Case(
        dict(cell="lstm", input_size=6, hidden=8, layers=3, outputs=5, block=4),
        Design(2, 1, 2, 2, overlap=4, staggered=True),
    ),
    "shallow pipelines, GRU in blocks of 16, staggered": Case(
        dict(cell="gru", input_size=17, hidden=40, outputs=3, block=16),
        Design(1, 2, 4, 4, staggered=True, pipeline="shallow"),
    ),
    "direct pipelines, LSTM with peepholes and projection": Case(
        dict(cell="lstm", peepholes=True, projection=10, input_size=7, hidden=20, block=8),
        Design(2, 1, 2, 2, overlap=2, pipeline="direct"),
    ),
    "two products a multiplier, GRU in blocks of 8": Case(
        dict(cell="gru", input_size=9, hidden=20, outputs=3, block=8),
        Design(2, 2, 4, 2, packed=18),
        QuantizeSpec(weight_bits=8, data_bits=8),
    ),
    "two products a multiplier, lines of two words, four groups": Case(
        dict(
            cell="lstm", peepholes=True, projection=10, input_size=11, hidden=20, outputs=3, block=2
        ),
        Design(4, 3, 1, 2, splits=4, words=2, overlap=2, staggered=True, packed=27, parity=True),
        QuantizeSpec(weight_bits=8, data_bits=9),
    ),
    "pairs of elements share multipliers, a cell wider than what products read": Case(
        dict(cell="lstm", input_size=11, hidden=12, outputs=3, block=4),
        Design(2, 2, 2, 2, packed=18),
        QuantizeSpec(weight_bits=8, data_bits=8, data=DataBits(cell=16)),
    ),
    "a block size for each matrix of a GRU, rows with exponents, three groups": Case(
        dict(cell="gru", reset="before", input_size=9, hidden=13, outputs=5, block=1, states=True),
        Design(2, 2, 2, 2, splits=3),
        QuantizeSpec(weight_bits=9, data_bits=12),
        exponents=True,
        sizes=(1, 2, 4),
    ),
    "a block size for each matrix of an LSTM, two words, two products a multiplier": Case(
        dict(cell="lstm", peepholes=True, projection=5, input_size=7, hidden=9, block=1),
        Design(4, 2, 1, 1, splits=2, words=2, staggered=True, packed=18, parity=True),
        QuantizeSpec(weight_bits=8, data_bits=9),
        sizes=(2, 4),
    ),
    "dense, results taken on their way, sums begun ahead, a head once a sequence": Case(
        dict(cell="lstm", peepholes=True, input_size=5, hidden=7, outputs=3, block=1),
        Design(
            2,
            splits=2,
            words=2,
            chunk=1,
            overlap=4,
            deferred=True,
            once=True,
            block_ram=True,
            **SOON,
        ),
    ),
    "sums over the frame before made in its round": Case(
        dict(cell="lstm", peepholes=True, projection=6, input_size=7, hidden=12, block=4),
        Design(2, chunk=1, overlap=3, pipeline="shallow", forwarding=True, beforehand=True),
    ),
    "two layers, sums begun ahead of pairs that share multipliers, shallow, a head once": Case(
        dict(cell="gru", reset="before", input_size=9, hidden=12, layers=2, outputs=3, block=4),
        Design(4, splits=2, chunk=1, overlap=3, packed=18, pipeline="shallow", once=True, **SOON),
        QuantizeSpec(weight_bits=8, data_bits=8),
    ),
    "results taken on their way, two streams, a part of a word a cycle": Case(
        dict(cell="lstm", projection=5, input_size=7, hidden=12, block=2),
        Design(2, 2, 2, 1, overlap=2, staggered=True, forwarding=True),
        exponents=True,
    ),
    "dense, lines of four numbers": Case(
        dict(cell="lstm", input_size=7, hidden=9, layers=2, outputs=3, block=1),
        Design(4, 2, 2, splits=4, words=4, overlap=2),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_layer(name: str) -> None:
    check(CASES[name], seed=1)


@pytest.mark.parametrize("pipeline", ["deep", "direct"])
def test_a_bank_of_a_few_words_more_than_its_memories_hold(
    pipeline: PipelineName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """198 words where memories hold 128: of the others some bits are in memory and some in logic,
    in two parts.
    """
    monkeypatch.setattr(banks, "DEPTH", 128)
    assert banks.in_memories(198, 192) == [128]
    network = dict(cell="gru", input_size=80, hidden=96, block=16)
    check(
        Case(network, Design(1, 1, 6, 2, pipeline=pipeline), QuantizeSpec(weight_bits=12)), seed=1
    )


WIDTHS = {
    "rows with exponents, three groups": Case(
        dict(cell="gru", input_size=9, hidden=13, outputs=5, block=4),
        Design(3, 2, 2, 2, splits=3, tail=8, joined=2),
        widths=(3, 7, 12),
        exponents=True,
    ),
    "two products a multiplier, parity": Case(
        dict(cell="lstm", peepholes=True, projection=5, input_size=7, hidden=9, block=2),
        Design(4, 2, 1, 1, splits=2, words=2, packed=18, parity=True, tail=8),
        QuantizeSpec(weight_bits=8, data_bits=9),
        widths=(2, 5, 8),
    ),
}


@pytest.mark.parametrize("name", WIDTHS)
def test_a_width_for_each_matrix(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In banks where every bit counts, so that each width has memories of its own, of several rows
    and a rest in logic.
    """
    monkeypatch.setattr(slices, "block_rams", lambda words, bits, _: words * bits)
    monkeypatch.setattr(banks, "DEPTH", 8)
    monkeypatch.setattr(banks, "TAIL", 3)
    case = WIDTHS[name]
    plan = schedule(integer_model(np.random.default_rng(1), case), case.design)
    assert all(len(cuts) > 1 for cuts in plan.layout.slices.values())
    check(case, seed=1)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    block = draw(st.sampled_from([1, 2, 4, 8]))
    lstm = draw(st.booleans())
    network: dict[str, Any] = {
        "input_size": draw(st.integers(1, 2 * block + 3)),
        "hidden": draw(st.integers(1, 2 * block + 3)),
        "layers": draw(st.integers(1, 2)),
        "outputs": draw(st.integers(0, 5)),
        "block": block,
    }
    if lstm:
        network |= {
            "cell": "lstm",
            "peepholes": draw(st.booleans()),
            "projection": draw(st.integers(0, block + 1)),
        }
    else:
        network |= {"cell": "gru", "reset": draw(st.sampled_from(["after", "before"]))}
    words, streams = draw(st.sampled_from([1, 1, 2, 3])), draw(st.integers(1, 3))
    packed = draw(st.sampled_from([0, 0, *PORTS]))
    pipeline = draw(st.sampled_from(get_args(PipelineName)))
    design = Design(
        words * (2 if packed else draw(st.integers(1, 4 // words))),
        streams,
        draw(st.integers(1, 5)),
        min(block, draw(st.integers(1, 2))),
        splits=words * draw(st.integers(1, 3)),
        words=words,
        overlap=draw(st.integers(1, 3)),
        staggered=draw(st.booleans()),
        deferred=draw(st.booleans()),
        pipeline=pipeline,
        packed=packed,
        joined=1 if packed else draw(st.integers(1, 3)),
        forwarding=pipeline != "direct" and draw(st.booleans()),
        ahead=streams == 1 and draw(st.booleans()),
        parity=draw(st.booleans()),
    )
    weights = st.integers(4, PACKED_WEIGHT_BITS if packed else 14)
    numbers = st.integers(4, PACKED_DATA_BITS if packed else 18)
    data = DataBits(cell=draw(st.none() | st.integers(8, 18)))
    spec = QuantizeSpec(draw(weights), draw(numbers), data=data)
    return Case(network, design, spec, sizes=draw(st.sampled_from([(), (1, block), (1, 2, 4, 8)])))


# no shrinking: every smaller example would be compiled too
@settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(cases(), st.integers(0, 1 << 16), st.sampled_from([0.0, 0.3, 0.8]))
def test_random_shapes(case: Case, seed: int, stall: float) -> None:
    check(case, seed, stall)


@settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(st.integers(0, 1 << 20))
def test_random_networks(seed: int) -> None:
    """Of any cells, any graph; `benchmarks/equivalence.py --language` tries many more."""
    case = random_language_case(np.random.default_rng(seed), Limits(layers=2, size=5))
    check(replace(case, design=narrow(case.design)), seed)


def narrow(design: Design) -> Design:
    """The same with at most two elements a word and two lanes."""
    elements = min(2, design.pes // design.words)
    return replace(design, pes=design.words * elements, lanes=min(2, design.lanes))
