"""Laws of banks, tapes, layout and schedule, checked on random networks without simulating them."""

from collections.abc import Iterator
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from ernn.errors import UserError
from ernn.estimate.device import find_device
from ernn.flow.synthesise import synthesise
from ernn.flow.verilog import to_verilog
from ernn.ir.integer_parts import Signal
from ernn.ir.network import Network
from ernn.quantization.quantize import QuantizeSpec, quantize
from ernn.rtl.engine import Engine
from ernn.scheduling.design import Design
from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.schedule import Schedule, schedule
from ernn.scheduling.tape import Row, Tape
from ernn.scheduling.vector_program import Constant
from ernn.scheduling.weight_banks import Part, Pass, element_words, pack, unpack
from tests.equivalence.cases import integer_model, random_case
from tests.models import (
    random_frames,
    random_gru,
    random_integer_model,
    random_linear,
    random_lstm,
    structure_of,
)

SEEDS = st.integers(0, 1 << 20)
SOME = settings(max_examples=12, deadline=None, derandomize=True)


def random_plan(seed: int) -> Schedule:
    rng = np.random.default_rng(seed)
    case = random_case(rng)
    try:
        model = integer_model(rng, case)
    except UserError:  # formats so far apart that a sum would need more than 62 bits
        reject()
    return schedule(model, case.design)


# --- memories


@given(st.integers(1, 32), st.integers(1, 24), st.integers(0, 5), SEEDS)
def test_words_pack_and_unpack(lanes: int, width: int, count: int, seed: int) -> None:
    words = np.random.default_rng(seed).integers(
        -(1 << (width - 1)), 1 << (width - 1), (count, lanes)
    )
    packed = pack(words, width)
    assert all(0 <= word < 1 << (width * lanes) for word in packed)
    assert np.array_equal(unpack(packed, width, lanes), words)


@SOME
@given(SEEDS)
def test_every_weight_lies_in_one_bank_once(seed: int) -> None:
    """Read back by the columns that a pass names; what else a bank holds is zero."""
    layout = random_plan(seed).layout
    passes = [one for stage in layout.passes for one in stage]
    groups, elements = range(layout.design.splits), range(layout.design.pes)
    banks = {(g, pe): element_words(passes, g, pe) for g in groups for pe in elements}
    assert {len(bank) for bank in banks.values()} == {sum(one.length for one in passes)}
    assert all(one.count <= layout.design.pes for one in passes)
    seen: dict[str, np.ndarray] = {}
    for one in passes:
        for number, part in enumerate(one.parts):
            skip = sum(other.count for other in one.parts[:number])
            for index in range(part.count):
                for g in groups:
                    bank = banks[g, skip + index][one.weights : one.weights + one.length]
                    note(seen, one, part, part.first + index, g, bank)
    for product in layout.products:
        for number, operand in enumerate(product.operands):
            assert np.array_equal(seen[f"{product.name}{number}"], operand.matrix.weights)


def test_a_pass_takes_no_more_rows_than_it_has_elements() -> None:
    """Either product's last rows would fit beside those of the gates, but not both."""
    network = dict(cell="gru", input_size=4, hidden=8, block=1)
    plan = schedule(
        random_integer_model(np.random.default_rng(0), **network), Design(6)
    )  # 16, 8 and 8 rows
    assert [[part.count for part in one.parts] for one in plan.layout.passes[0]] == [
        [6],
        [6],
        [6],
        [6],
        [4, 2],
        [2],
    ]


def note(
    seen: dict[str, np.ndarray], one: Pass, part: Part, index: int, group: int, bank: np.ndarray
) -> None:
    """One row's words in one bank, by product and operand; every word once."""
    gate, row = part.rows.locate(index)
    assert not bank[len(one.columns[group]) :].any()
    signals = [operand.signal for operand in part.product.operands]
    for (operand, column), word in zip(one.columns[group], bank, strict=False):
        signal = one.product.operands[operand].signal
        if signal not in signals or row >= part.product.block_rows:
            assert not word.any()
            continue
        number = signals.index(signal)
        weights = part.product.operands[number].matrix.weights
        found = seen.setdefault(f"{part.product.name}{number}", np.full(weights.shape, 1 << 40))
        assert found[gate, row, column, 0] == 1 << 40
        found[gate, row, column] = word


@SOME
@given(SEEDS)
def test_groups_share_the_columns_of_a_product(seed: int) -> None:
    """Of one group as of many: the longest has no more than its share of all, and one a signal that
    begins with it.
    """
    layout = random_plan(seed).layout
    for one in (one for stage in layout.passes for one in stage):
        columns = sorted(column for group in one.columns for column in group)
        operands = enumerate(one.product.operands)
        assert columns == [
            (number, c) for number, o in operands for c in range(o.matrix.weights.shape[2])
        ]
        most = (
            ceil(one.product.block_columns / layout.design.splits) + len(one.product.operands) - 1
        )
        assert one.length <= most


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 300), st.just(3)), min_size=1, max_size=8)
)
def test_a_tape_unpacks_to_its_rows(values: list[tuple[int, int, int]]) -> None:
    tape = Tape(tuple({"a": a, "b": b, "c": c} for a, b, c in values))
    assert [unpacked(tape, word) for word in tape.words] == list(tape.rows)
    assert tape.constants["c"] == 3


def unpacked(tape: Tape, word: int) -> dict[str, int]:
    row = dict(tape.constants)
    for name, width in tape.widths.items():
        row[name] = word & ((1 << width) - 1)
        word >>= width
    return row


@SOME
@given(SEEDS)
def test_regions_of_a_memory_never_overlap(seed: int) -> None:
    layout = random_plan(seed).layout
    streams = range(layout.design.streams)
    spectra = [
        (
            layout.spectrum(signal.name, stream),
            last_place(layout, signal) // layout.design.splits + 1,
        )
        for signal in layout.signals
        for stream in streams
    ]
    gates = [
        (layout.gates(product, stream), layout.gate_words(product))
        for product in layout.products
        for stream in streams
    ]
    assert_apart(spectra, layout.spectrum_words)
    assert_apart(gates, layout.gates_total)
    assert_apart(value_regions(layout), layout.value_beats)


def last_place(layout: MemoryMap, signal: Signal) -> int:
    """Of the words that the last line of a signal writes."""
    return layout.lines(signal.length) * layout.design.words - 1 + layout.shift(signal.name)


@SOME
@given(SEEDS)
def test_every_constant_is_where_its_step_looks(seed: int) -> None:
    layout = random_plan(seed).layout
    for step in layout.steps:
        for term in step.terms:
            peephole = term.b if isinstance(term.b, Constant) else None
            base, beats = (
                layout.constant(term.bias, peephole),
                layout.lines(step.length) * layout.beats,
            )
            stored = layout.constants[1][base : base + beats]
            shape = (-1, layout.beats, 2, layout.design.words, layout.lanes)
            found = (
                np.array(stored).reshape(shape).transpose(2, 0, 3, 1, 4)
                if stored
                else np.zeros((2, 0))
            )
            for column, constant in ((0, term.bias), (1, peephole)):
                if constant is not None:
                    flat = found[column].ravel()
                    assert np.array_equal(flat[: step.length], constant.values)
                    assert not flat[step.length :].any()


def value_regions(layout: MemoryMap) -> list[tuple[int, int]]:
    kept = {step.keep.name: step.keep for step in layout.steps if step.keep is not None}
    regions = []
    for value in kept.values():
        whole = value.state or value.carried
        lines = (
            layout.lines(value.length)
            if whole
            else min(layout.lines(value.length), layout.design.chunk)
        )
        places = [(stream, 0) for stream in range(layout.design.streams)]
        for stream, slot in (
            places if whole else [(0, slot) for slot in range(layout.design.overlap)]
        ):
            regions.append((layout.value(value, stream, 0, slot), lines * layout.beats))
    return regions


def assert_apart(regions: list[tuple[int, int]], size: int) -> None:
    """Regions (first, length) that do not touch and fill the memory."""
    ordered = sorted(regions)
    assert all(first + length <= following for (first, length), (following, _) in pairwise(ordered))
    assert sum(length for _, length in regions) <= size
    assert not ordered or sum(ordered[-1]) <= size


# --- the schedule, read back from its tapes


def play(tape: Tape, start: int) -> Iterator[tuple[int, Row, int]]:
    """(cycle, row, how often its group has been played) of every active cycle, as the players go
    through a tape.
    """
    cycle, group = start, []
    for row in tape.rows:
        group.append(row)
        if row.get("last", 1):
            cycle += group[0]["gap"]
            for index in range(row["count"]):
                for one in group:
                    yield cycle, one, index
                    cycle += 1
            group = []


def leaving(plan: Schedule) -> Iterator[tuple[int, list[Row]]]:
    """(issue of the last column, tags of its parts) of every pass."""
    tags: list[Row] = []
    for cycle, row, index in play(plan.array, 0):
        if index == row["count"] - 1:
            if row.get("tag", row["drain"]):
                tags.append(row)
            if row["drain"]:
                assert [tag.get("more", 0) for tag in tags] == [1] * (len(tags) - 1) + [0]
                yield cycle, tags
                tags = []


@SOME
@given(SEEDS)
def test_one_result_leaves_the_array_at_a_time(seed: int) -> None:
    plan = random_plan(seed)
    spans = [(cycle, cycle + sum(tag["rows"] for tag in tags)) for cycle, tags in leaving(plan)]
    spans += [(first + plan.interval, last + plan.interval) for first, last in spans]
    assert all(last <= first for (_, last), (first, _) in pairwise(spans)), (
        "in a round, and from one to the next"
    )


@SOME
@given(SEEDS)
def test_no_gate_is_read_too_early_or_overwritten_too_soon(seed: int) -> None:
    plan = random_plan(seed)
    block, first_write, last_write = plan.layout.model.block, {}, {}
    for cycle, tags in leaving(plan):
        written = cycle + plan.timing.product
        for row in tags:
            for number in range(row["rows"]):
                line = (row["row"] + number * (1 if row["dense"] else block)) // block
                first_write.setdefault(line, written)
                last_write[line] = written
                written += 1
    for cycle, row, index in play(plan.vector, plan.vector_start):
        if row["add_gate"]:
            line = row["gate"] + index // plan.layout.beats * row["gate_stride"]
            assert last_write[line] <= cycle < first_write[line] + plan.interval - 1, (
                "nor while it is written"
            )


@SOME
@given(SEEDS)
def test_no_value_is_read_before_its_last_write_is_there(seed: int) -> None:
    """Two rounds in a row, so that the recurrence is among the reads."""
    plan, ready = random_plan(seed), {}
    for start in (0, plan.interval):
        for cycle, row, index in play(plan.vector, plan.vector_start + start):
            reads = [row["a"]] if row["multiply"] or row["add_value"] else []
            reads += [row["b"]] if row["multiply"] and not row["peephole"] else []
            assert all(ready.get(address + index, 0) <= cycle for address in reads)
            if row["keep"]:
                ready[row["value"] + index] = cycle + plan.timing.pipeline.vector


@SOME
@given(SEEDS)
def test_no_spectrum_is_read_too_early_or_overwritten_too_soon(seed: int) -> None:
    """A round writes one of two copies: read in this round, or as the frame before's in the
    next.
    """
    plan = random_plan(seed)
    layout, words = plan.layout, plan.layout.design.words
    written = {}
    for cycle, row, index in play(plan.vector, plan.vector_start):
        if row["send"]:
            slot = row["spectrum"] + index // layout.beats
            time = cycle + plan.timing.spectrum + row.get("late", 0) * plan.interval
            for place in range(slot * words, (slot + 1) * words):
                written[place % layout.design.splits, place // layout.design.splits] = time
    for cycle, row, index in play(plan.array, 0):
        for bank in range(layout.design.splits):
            write = written.get((bank, row[f"spectrum{bank or ''}"] + index))
            if write is not None and not is_blank(plan, row, bank):
                read = cycle + (row[f"previous{bank or ''}"] + row.get("late", 0)) * plan.interval
                assert write <= read < write + 2 * plan.interval - 1, "nor while it is written"


def is_blank(plan: Schedule, row: Row, bank: int) -> bool:
    """Whether a group has no column there."""
    one = next(
        one
        for stage in plan.layout.passes
        for one in stage
        if one.weights <= row["weights"] < one.weights + one.length
    )
    return row["weights"] - one.weights >= len(one.columns[bank])


@SOME
@given(SEEDS)
def test_units_finish_a_round_before_they_begin_the_next(seed: int) -> None:
    plan = random_plan(seed)
    for tape, start in ((plan.array, 0), (plan.vector, plan.vector_start)):
        cycles = [cycle for cycle, _, _ in play(tape, start)]
        assert cycles == sorted(set(cycles)), "one row a cycle"
        assert cycles[-1] - start < plan.interval, "a player that still plays takes no start"
    assert plan.interval == max(plan.bounds.values())


@SOME
@given(SEEDS)
def test_utilisation_is_a_share(seed: int) -> None:
    plan = random_plan(seed)
    assert 0 < plan.array_utilisation <= 1
    assert 0 < plan.utilisation <= 1
    assert plan.latency > plan.length > 0


@pytest.mark.parametrize("block", [1, 4, 16])
def test_useful_multiplications_are_the_networks_own(block: int) -> None:
    """Those of products as the network's structures count them; those of steps by hand."""
    rng = np.random.default_rng(block)
    lstm = random_lstm(rng, 7, 20, structure_of(block), projection=9, peepholes=True)
    network = Network(
        (lstm, random_gru(rng, 9, 12, structure_of(block)), random_linear(rng, 12, 5))
    )
    plan = schedule(quantize(network, [random_frames(rng, network)]), Design(2, 3))
    counts = (
        m.structure.multiplications(m.value.shape)
        for layer in network.layers
        for m in layer.matrices
    )
    assert plan.useful_array == sum(counts)
    lstm_steps = 20 * (
        3 + 2 + 1 + 5
    )  # peepholes, c, m; i, f, g, o and the cell's tanh are looked up
    assert plan.useful_vector == lstm_steps + 12 * (1 + 2 + 3)  # r * u, both products of h; r, z, n
    cycles = plan.interval / 3
    assert plan.array_multipliers == 2 * {1: 1, 4: 5, 16: 23}[block]
    assert plan.array_utilisation == pytest.approx(
        plan.useful_array / (plan.array_multipliers * cycles)
    )
    useful = plan.useful_array + plan.useful_vector
    assert plan.utilisation == pytest.approx(useful / (plan.multipliers * cycles))


@SOME
@given(SEEDS)
def test_no_sum_is_wider_than_its_register(seed: int) -> None:
    """The largest that formats allow, every operand at its end: random numbers come nowhere near
    it.
    """
    plan = random_plan(seed)
    layout, shifts = plan.layout, plan.shifts
    width = layout.model.input.format.width
    each = 1 << (
        width - 1 + layout.model.weight_bits - 1 + (layout.model.block > 2)
    )  # of a complex bin one is a sum
    columns = max(product.block_columns for product in layout.products)
    assert columns * each < 1 << (layout.accumulator_bits - 1)
    for step in layout.steps:
        largest = 0
        for term in step.terms:
            largest += (
                0
                if term.product_frac is None
                else 1 << (2 * (width - 1) + shifts.product_shift(step, term))
            )
            largest += (
                0 if term.addend is None else 1 << (width - 1 + shifts.addend_shift(step, term))
            )
            largest += 0 if term.bias is None else 1 << (width - 1 + shifts.bias_shift(step, term))
        assert largest < 1 << (plan.sum_bits - 1)


def test_a_whole_network_of_blocks_keeps_the_array_busy() -> None:
    """Enough streams, sizes that fit: the array never waits, so its utilisation is what its passes
    need.
    """
    network = dict(cell="gru", input_size=64, hidden=64, block=8)
    plan = schedule(
        random_integer_model(np.random.default_rng(0), **network), Design(pes=1, streams=8)
    )
    assert plan.interval == plan.bounds["processing elements"]
    assert plan.array_utilisation == 1


# --- what the tools count


def test_multipliers_are_those_that_yosys_finds() -> None:
    network = dict(cell="gru", input_size=4, hidden=4, block=4)
    spec = QuantizeSpec(weight_bits=6, data_bits=8, segment_bits=4, guard=0)
    plan = schedule(
        random_integer_model(np.random.default_rng(0), spec, **network), Design(pes=2, lanes=2)
    )
    area = synthesise(to_verilog(Engine(plan)), find_device("LFE5U-25F"))
    assert area.cells["MULT18X18D"] == plan.multipliers == 2 * 5 + 2 * 2


# --- what is refused


def test_bidirectional_is_refused() -> None:
    network = dict(cell="lstm", input_size=4, hidden=4, block=1, bidirectional=True)
    model = random_integer_model(np.random.default_rng(0), **network)
    with pytest.raises(
        UserError,
        match=r"^l0 is bidirectional: hardware sees a frame before the next one exists and",
    ):
        schedule(model, Design(1))


@pytest.mark.parametrize(("cell", "state"), [("lstm", "initial_output"), ("gru", "initial_output")])
def test_initial_states_are_refused(cell: str, state: str) -> None:
    network = dict(cell=cell, input_size=4, hidden=4, block=1, states=True)
    model = random_integer_model(np.random.default_rng(0), **network)
    with pytest.raises(
        UserError, match=f"^l0 has a non-zero {state}: hardware starts a sequence from zero state$"
    ):
        schedule(model, Design(1))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"pes": 0}, r"a design's pes must be 1\.\.512, not 0"),
        ({"pes": 513}, r"a design's pes must be 1\.\.512, not 513"),
        ({"pes": 1, "streams": 17}, r"a design's streams must be 1\.\.16, not 17"),
        ({"pes": 1, "chunk": 0}, r"a design's chunk must be 1\.\.256, not 0"),
        ({"pes": 1, "lanes": 64}, r"a design's lanes must be 0\.\.32, not 64"),
        (
            {"pes": 1, "lanes": 3},
            "a design's lanes must be a power of two, or 0 for a whole word, not 3",
        ),
        ({"pes": 1, "splits": 65}, r"a design's splits must be 1\.\.64, not 65"),
        ({"pes": 4, "words": 17}, r"a design's words must be 1\.\.16, not 17"),
        ({"pes": 4, "overlap": 0}, r"a design's overlap must be 1\.\.16, not 0"),
        ({"pes": 4, "words": 3, "splits": 3}, r"a design's words \(3\) must divide its pes \(4\)"),
        (
            {"pes": 4, "words": 2, "splits": 3},
            r"a design's words \(2\) must divide its splits \(3\)",
        ),
        ({"pes": 4, "staggered": True}, "a staggered design needs at least 2 streams, not 1"),
    ],
)
def test_a_design_is_checked(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}$"):
        Design(**choices)
