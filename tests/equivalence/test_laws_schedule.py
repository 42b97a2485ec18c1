"""Laws of the schedule, read back from its tapes on random networks, without simulating them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernn.flow.verilog import to_verilog
from ernn.flow.yosys import run_yosys
from ernn.ir.edges import data_bits, operand_bits
from ernn.ir.integer_parts import Product
from ernn.ir.network import Network
from ernn.quantization.quantize import QuantizeSpec, quantize
from ernn.rtl.engine import Engine
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import Schedule, schedule
from ernn.scheduling.tape import Row, Tape
from ernn.scheduling.timing import KEPT
from ernn.scheduling.vector_program import Kept, Step, Term
from ernn.scheduling.weight_banks import Pass
from tests.equivalence.cases import PLANS, SOME, random_plan
from tests.models import (
    random_frames,
    random_gru,
    random_integer_model,
    random_linear,
    random_lstm,
    structure_of,
)

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
@given(PLANS)
def test_one_result_leaves_the_array_at_a_time(seed: int) -> None:
    plan = random_plan(seed)
    spans = [(cycle, cycle + sum(tag["rows"] for tag in tags)) for cycle, tags in leaving(plan)]
    spans += [(first + plan.interval, last + plan.interval) for first, last in spans]
    assert all(last <= first for (_, last), (first, _) in pairwise(spans)), (
        "in a round, and from one to the next"
    )


@SOME
@given(PLANS)
def test_no_gate_is_read_too_early_or_overwritten_too_soon(seed: int) -> None:
    plan = random_plan(seed)
    block, first_write, last_write = plan.layout.model.block, {}, {}
    for cycle, tags in leaving(plan):
        written = cycle + plan.timing.product
        for row in tags:
            for number in range(row["rows"]):
                line = (row["row"] + number * plan.layout.kept[row["kept"]]) // block
                first_write.setdefault(line, written)
                last_write[line] = written
                written += 1
    for cycle, row, index in play(plan.vector, plan.vector_start):
        if row["add_line"] and not row["add_input"]:
            line = row["line"] + index // plan.layout.beats * row["line_stride"]
            if soon := row.get("line_soon", 0):
                assert last_write[line] == cycle + soon, "taken on its way"
            else:
                assert last_write[line] <= cycle, "nor while it is written"
            assert cycle < first_write[line] + plan.interval - 1


Written = dict[tuple[int, int], list[tuple[int, str, int]]]
"""By bank and address: when a reader may issue, what is there then, and of which frame."""


@SOME
@given(PLANS)
def test_every_value_read_is_the_one_that_is_meant(seed: int) -> None:
    """Rounds enough that every copy is written again; frames before the first are not there."""
    plan = random_plan(seed)
    written, reads, terms = Written(), [], terms_of(plan)
    distance = plan.layout.values.distance
    for cycle, row, index, number in rounds(plan, plan.vector, plan.vector_start):
        frame, (step, term) = number - row.get("late", 0), terms[id(row)]
        for name, kept in (("a", read_as_a(term)), ("b", term.b)):
            if isinstance(kept, Kept):
                meant = frame - row[f"{name}_before"]
                place = row[name] + index + row[f"{name}_twice"] * meant % 2 * distance
                soon, aside = row.get(f"{name}_soon", 0), row[f"{name}_aside"]
                reads.append((cycle, soon, (aside, place), (kept.value.name, meant)))
        if row["keep"] and step.keep is not None:
            place = row["value"] + index + row["value_twice"] * frame % 2 * distance
            ready = result(plan, cycle, row) + plan.timing.pipeline.far
            aside = int(bool(row.get("then")))
            written.setdefault((aside, place), []).append((ready, step.keep.name, frame))
        if row.get("then") and step.then is not None and step.then.keep is not None:
            ready = cycle + plan.timing.pipeline.vector + plan.timing.pipeline.far
            place = 0, row["then_value"] + index
            written.setdefault(place, []).append((ready, step.then.keep.name, frame))
    for cycle, soon, place, (value, meant) in reads:
        if meant >= 0 and soon:
            assert (cycle + soon, value, meant) in written[place], "taken on its way"
        elif meant >= 0:
            assert last_written(written, place, cycle) == (value, meant)


def read_as_a(term: Term) -> object:
    """What a row reads at `a`: a factor, or an addend."""
    return term.addend if isinstance(term.addend, Kept) else term.a


def result(plan: Schedule, cycle: int, row: Row) -> int:
    """When what a row of the vector tape gives is there; aside where a table makes more of it."""
    pipeline, tabled = plan.timing.pipeline, row["tabled"] and not row.get("then")
    return cycle + (pipeline.vector if tabled else pipeline.values)


@SOME
@given(PLANS, st.integers(0, 40))
def test_of_results_never_two_come_at_a_time(seed: int, later: int) -> None:
    """Within a round, or of a round and the next, however much later than it may that begins.
    What needs a table comes through the tables; of a line all beats come one after the other."""
    plan = random_plan(seed)
    beats, rows = plan.layout.beats, plan.vector.rows
    for last, (step, _, _) in plan.edges.items():
        row = rows[last if last >= 0 else -1 - last]
        assert row["tabled"] or plan.layout.model.table(step.activation) is None
    played = [
        (cycle, row, index)
        for start in (0, plan.interval + later)
        for cycle, row, index in play(plan.vector, plan.vector_start + start)
        if row["last"]
    ]
    pipeline = plan.timing.pipeline
    results = sorted(
        (cycle + (pipeline.vector if row["tabled"] else pipeline.values), (id(row), i // beats))
        for cycle, row, i in played
    )
    assert len({time for time, _ in results}) == len(results)
    lines = list(groupby(line for _, line in results))
    assert beats == 1 or len(lines) == len(results) / beats


def test_layers_of_a_lone_stream_run_beside_each_other() -> None:
    """Each on a frame of its own: three take hardly more than one."""
    rng, sizes = np.random.default_rng(0), {"cell": "lstm", "input_size": 8, "hidden": 16}
    model = random_integer_model(rng, layers=3, block=4, **sizes)
    alone = random_integer_model(rng, layers=1, block=4, **sizes)
    design = Design(4, 1, 2, splits=2, words=2, overlap=4)
    plan = schedule(model, replace(design, staggered=True))
    assert plan.rounds_late == 2
    assert plan.interval <= 1.5 * schedule(alone, design).interval
    assert plan.interval <= schedule(model, design).interval / 2


def terms_of(plan: Schedule) -> dict[int, tuple[Step, Term]]:
    """What each row of the vector tape is about, by its identity."""
    found, rows = {}, plan.vector.rows
    for last, (step, _, _) in plan.edges.items():
        if last < 0:  # what is made at once with another
            continue
        first = last + 1 - len(step.terms)
        found |= {id(rows[first + n]): (step, term) for n, term in enumerate(step.terms)}
    return found


def rounds(plan: Schedule, tape: Tape, start: int) -> Iterator[tuple[int, Row, int, int]]:
    """(cycle, row, how often its group has been played, round) of some rounds in a row."""
    most = max(ring.copies for ring in plan.layout.spectra.rings)
    for number in range(most + plan.rounds_late + 2):
        for cycle, row, index in play(tape, start + number * plan.interval):
            yield cycle, row, index, number


def last_written(written: Written, place: tuple[int, int], cycle: int) -> tuple[str, int]:
    """What an item issued then reads; nothing is written just while it does."""
    times = written.get(place, [])
    assert not any(cycle < ready < cycle + 2 for ready, _, _ in times), "while it is written"
    return max((one for one in times if one[0] <= cycle), key=lambda one: one[0])[1:]


@SOME
@given(PLANS)
def test_every_spectrum_read_is_the_one_that_is_meant(seed: int) -> None:
    plan = random_plan(seed)
    layout, spectra, words = plan.layout, plan.layout.spectra, plan.layout.design.words
    written, terms = Written(), terms_of(plan)
    for cycle, row, index, number in rounds(plan, plan.vector, plan.vector_start):
        if row["send"]:
            frame, signal = number - row.get("late", 0), str(terms[id(row)][0].signal)
            slot = row["spectrum"] + index // layout.beats
            for place in range(slot * words, (slot + 1) * words):
                ring = spectra.rings[row["ring"]]
                address = place // layout.design.splits | frame % ring.copies * ring.words
                key = place % layout.design.splits, address
                ready = result(plan, cycle, row) + plan.timing.forward
                written.setdefault(key, []).append((ready, signal, frame))
    for cycle, row, index, number in rounds(plan, plan.array, 0):
        frame = number - row.get("late", 0)
        for bank, signal in enumerate(signals_of(plan, row)):
            name = str(bank or "")
            meant = frame - row[f"delay{name}"]
            if signal not in (None, layout.model.input.name) and meant >= 0:
                ring = spectra.rings[row[f"ring{name}"]]
                place = row[f"spectrum{name}"] + index | meant % ring.copies * ring.words
                assert last_written(written, (bank, place), cycle) == (signal, meant)


def pass_of(plan: Schedule, row: Row) -> Pass:
    """The pass that a row of the array's tape is of."""
    passes = (one for stage in plan.layout.passes for one in stage)
    return next(one for one in passes if row["weights"] in one.weights)


@SOME
@given(PLANS)
def test_sums_begun_ahead_are_gone_on_with(seed: int) -> None:
    """By the next part of the same pass, when they are kept, and before others take their
    place."""
    plan, kept = random_plan(seed), dict[int, tuple[int, Pass]]()
    leave = plan.layout.sums_leave
    for cycle, row, index in play(plan.array, 0):
        if row.get("resume") and row["clear"] and not index and not row.get("fresh"):
            kept_at, first = kept.pop(row["sum"])
            assert first.parts == pass_of(plan, row).parts
            assert leave or cycle >= kept_at + KEPT
        if row.get("keep") and index == row["count"] - 1 and row["drain"] == leave:
            assert row["sum"] not in kept
            kept[row["sum"]] = cycle, pass_of(plan, row)
    assert not kept


def signals_of(plan: Schedule, row: Row) -> list[str | None]:
    """What each group reads in a row; None where it has no column."""
    one = pass_of(plan, row)
    at = one.weights.index(row["weights"])
    operands = one.product.operands
    return [operands[own[at][0]].signal if at < len(own) else None for own in one.columns]


@SOME
@given(PLANS)
def test_outputs_leave_in_the_models_order(seed: int) -> None:
    check_outputs(random_plan(seed))


@pytest.mark.parametrize("outputs", [("l0.h", "l1.h"), ("l1.h", "l0.h")])
def test_frames_do_not_mix_where_chunks_of_several_streams_are_under_way(outputs) -> None:
    network = dict(cell="gru", input_size=10, hidden=16, outputs=12, block=4)
    model = random_integer_model(np.random.default_rng(8), **network)
    check_outputs(schedule(replace(model, outputs=outputs), Design(2, 3, 1, 1, overlap=3)))


def check_outputs(plan: Schedule) -> None:
    """Frame by frame, line by line; the last line of a frame is marked; frames do not mix."""
    layout, terms, left = plan.layout, terms_of(plan), list[tuple[tuple[int, int], str, int]]()
    played = rounds(plan, plan.vector, plan.vector_start)
    for _, row, index, number in sorted(played, key=lambda one: result(plan, one[0], one[1])):
        if row["output"] and (index + 1) % layout.beats == 0:
            frame = row["stream"], number - row.get("late", 0)
            final = row["final"] and index == row["count"] - 1
            left.append((frame, terms[id(row)][0].name, int(final)))
    names = [one.name for one in layout.model.results for _ in range(layout.lines(one.length))]
    expected = [(name, int(n == len(names) - 1)) for n, name in enumerate(names)]
    frames = [frame for frame, came in groupby(left, lambda one: one[0]) if frame[1] >= 0]
    assert len(set(frames)) == len(frames)
    for stream in range(layout.design.streams):
        mine = [number for one, number in frames if one == stream]
        assert mine == list(range(len(mine))) and len(mine) > 1
    for frame, came in groupby(left, lambda one: one[0]):
        assert frame[1] < 0 or [(name, final) for _, name, final in came] == expected


@SOME
@given(PLANS)
def test_units_finish_a_round_before_they_begin_the_next(seed: int) -> None:
    plan = random_plan(seed)
    for tape, start in ((plan.array, 0), (plan.vector, plan.vector_start)):
        cycles = [cycle for cycle, _, _ in play(tape, start)]
        assert cycles == sorted(set(cycles)), "one row a cycle"
        assert cycles[-1] - start < plan.interval, "a player that still plays takes no start"
    assert plan.interval == max(plan.bounds.values())


@SOME
@given(PLANS)
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
        (lstm, random_gru(rng, 9, 12, structure_of(-(-block // 4))), random_linear(rng, 12, 5))
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
    assert plan.layout.array_slots == 2 * {1: 1, 4: 5, 16: 23}[block]
    assert plan.array_utilisation == pytest.approx(
        plan.useful_array / (plan.layout.array_slots * cycles)
    )
    useful = plan.useful_array + plan.useful_vector
    assert plan.utilisation == pytest.approx(useful / (plan.multipliers * cycles))


def furthest(product: Product, operand: int) -> tuple[int, int]:
    """Least and greatest sum of a row, of operands of so many bits."""
    weights = np.concatenate([one.matrix.weights for one in product.operands], axis=2)
    ends = np.stack([weights * end for end in (-1 << operand - 1, (1 << operand - 1) - 1)])
    low, high = ends.min(0).sum(2), ends.max(0).sum(2)
    real, imaginary = slice(2, None, 2), slice(3, None, 2)
    # of a bin: re * re - im * im, and re * im + im * re
    least = low[..., real] - high[..., imaginary], low[..., real] + low[..., imaginary]
    most = high[..., real] - low[..., imaginary], high[..., real] + high[..., imaginary]
    return (
        int(np.concatenate([low[..., :2], *least], -1).min()),
        int(np.concatenate([high[..., :2], *most], -1).max()),
    )


@SOME
@given(PLANS)
def test_no_sum_is_wider_than_its_register(seed: int) -> None:
    """The largest that formats and weights allow, every operand at its end: random numbers come
    nowhere near it.
    """
    plan = random_plan(seed)
    layout, shifts = plan.layout, plan.shifts
    width = data_bits(layout.model)
    sums = [furthest(product, operand_bits(layout.model)) for product in layout.products]
    bits = layout.accumulator_bits
    assert max(high for _, high in sums) < 1 << bits - 1 <= -4 * min(low for low, _ in sums)
    assert min(low for low, _ in sums) >= -1 << bits - 1
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
    assert plan.interval == plan.bounds["array's tape"]
    assert plan.array_utilisation == 1


# --- what the tools count


def test_multipliers_are_those_that_yosys_finds(tmp_path: Path) -> None:
    """Once it has chosen multipliers; the rest of a synthesis takes three times as long."""
    network = dict(cell="gru", input_size=4, hidden=4, block=4)
    spec = QuantizeSpec(weight_bits=6, data_bits=8, segment_bits=4, guard=0)
    plan = schedule(
        random_integer_model(np.random.default_rng(0), spec, **network), Design(pes=2, lanes=1)
    )
    verilog = to_verilog(Engine(plan))
    commands = [
        f"read_verilog {verilog.write(tmp_path).name}",
        f"synth_ecp5 -noiopad -no-rw-check -top {verilog.top} -run begin:map_ram",
        "tee -q -o stat.json stat -json",
    ]
    run_yosys(commands, tmp_path, what="Yosys: multipliers", timeout=900)
    cells = json.loads((tmp_path / "stat.json").read_text())["design"]["num_cells_by_type"]
    assert cells["MULT18X18D"] == plan.multipliers == 2 * 5 + 1 * 2


SMALL: dict[str, Any] = dict(chunk=1, overlap=12, deferred=True)


@pytest.mark.parametrize(
    ("design", "plain", "soon"),
    [
        (Design(12, splits=2, words=2, **SMALL), 164, 122),
        (Design(6, splits=4, words=2, pipeline="shallow", **SMALL), 133, 99),
        (Design(20, splits=10, words=10, pipeline="shallow", **SMALL), 70, 49),
    ],
)
def test_a_lone_small_lstm_waits_less(design: Design, plain: int, soon: int) -> None:
    """28 multipliers twice, and 220: cycles a step as they were, and with both choices."""
    network = dict(cell="lstm", input_size=6, hidden=20, block=1)
    model = random_integer_model(np.random.default_rng(0), QuantizeSpec(12), **network)
    assert schedule(model, design).interval == plain
    assert schedule(model, replace(design, forwarding=True, ahead=True)).interval == soon


def test_a_projection_waits_for_its_last_columns_only() -> None:
    """Of four passes of 8 columns: 158 cycles a step where they waited whole."""
    network = dict(cell="lstm", peepholes=True, projection=128, input_size=32, hidden=256, block=8)
    model = random_integer_model(np.random.default_rng(0), QuantizeSpec(12), **network)
    design = Design(8, splits=4, words=4, pipeline="shallow", **SMALL, forwarding=True)
    whole, ahead = (schedule(model, replace(design, ahead=one)) for one in (False, True))
    assert (whole.interval, ahead.interval) == (155, 144)
    *begun, last = (one for one in ahead.layout.passes[1] if one.parts[0].first == 0)
    assert [one.length for one in begun] == [2, 2, 2] and last.length == 2


def test_a_frame_waits_for_its_inputs_sums_where_others_are_made_beforehand() -> None:
    """In the round before, whose last pass is kept before the next one goes on with it."""
    network = dict(cell="lstm", peepholes=True, projection=128, input_size=32, hidden=256, block=8)
    model = random_integer_model(np.random.default_rng(0), QuantizeSpec(12), **network)
    design = Design(8, splits=4, words=4, pipeline="shallow", **SMALL, forwarding=True)
    soon = schedule(model, replace(design, beforehand=True))
    assert schedule(model, design).latency == 170 and soon.latency == 150
    fresh = [row["sum"] for row in soon.array.rows if row["fresh"] and row["clear"]]
    assert fresh == [row["sum"] for row in soon.array.rows if row["keep"]][-len(fresh) :]
