"""Laws of memories and tapes, checked on random networks without simulating them."""

from itertools import pairwise
from math import ceil

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ernn.golden.fft import spectrum
from ernn.scheduling.design import Design
from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.schedule import schedule
from ernn.scheduling.tape import Tape
from ernn.scheduling.weight_banks import Part, Pass, element_words, pack, unpack
from tests.equivalence.cases import PLANS, SEEDS, SOME, random_plan
from tests.models import random_integer_model


@given(st.integers(1, 32), st.integers(1, 24), st.integers(0, 5), SEEDS)
def test_words_pack_and_unpack(lanes: int, width: int, count: int, seed: int) -> None:
    words = np.random.default_rng(seed).integers(
        -(1 << (width - 1)), 1 << (width - 1), (count, lanes)
    )
    packed = pack(words, width)
    assert all(0 <= word < 1 << (width * lanes) for word in packed)
    assert np.array_equal(unpack(packed, width, lanes), words)


@SOME
@given(PLANS)
def test_every_weight_lies_in_one_bank_once(seed: int) -> None:
    """Read back by the columns that a pass names; what else a bank holds is zero."""
    layout = random_plan(seed).layout
    passes = [one for stage in layout.passes for one in stage]
    groups, elements = range(layout.design.splits), range(layout.design.pes)
    banks = {(g, pe): element_words(passes, g, pe) for g in groups for pe in elements}
    assert {len(bank) for bank in banks.values()} == {sum(one.length for one in passes)}
    for cut in {cut for cuts in layout.slices.values() for cut in cuts}:
        mask = (1 << cut.high) - 1
        assert not any((bank[cut.words :] & mask).any() for bank in banks.values())
    assert all(one.count <= layout.design.pes for one in passes)
    seen: dict[str, np.ndarray] = {}
    for one in passes:
        for number, part in enumerate(one.parts):
            skip = sum(other.count for other in one.parts[:number])
            for index in range(part.count):
                for g in groups:
                    bank = banks[g, skip + index][list(one.weights)]
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
    for (operand, column), word in zip(one.columns[group], bank, strict=False):
        key = one.parts[0].rows.keys[operand]
        if key not in part.rows.keys or row >= part.product.block_rows:
            assert not word.any()
            continue
        number = part.rows.keys.index(key)
        weights = part.product.operands[number].matrix.weights
        found = seen.setdefault(f"{part.product.name}{number}", np.full(weights.shape, 1 << 40))
        assert found[gate, row, column, 0] == 1 << 40
        found[gate, row, column] = word


@SOME
@given(PLANS)
def test_groups_share_the_columns_of_a_product(seed: int) -> None:
    """Of one group as of many: the longest has no more than its share of all, and one a signal that
    begins with it; both halves of a pass that begins ahead together.
    """
    layout = random_plan(seed).layout
    for stage in layout.passes:
        for one in {first.parts: first for first in stage}.values():
            halves = [half for half in stage if half.parts == one.parts]
            columns = sorted(c for half in halves for group in half.columns for c in group)
            operands = enumerate(one.product.operands)
            assert columns == [
                (number, c) for number, o in operands for c in range(o.matrix.weights.shape[2])
            ]
            share = ceil(one.product.block_columns / layout.design.splits)
            most = share + len(one.product.operands) - 1 + len(halves) - 1
            assert sum(half.length for half in halves) <= most


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
@given(PLANS)
def test_regions_of_a_memory_never_overlap(seed: int) -> None:
    layout = random_plan(seed).layout
    gates = [
        (layout.gates(product, stream), layout.gate_words(product))
        for product in layout.products
        for stream in range(layout.design.streams)
    ]
    assert_apart(spectrum_regions(layout), layout.spectra.depth)
    assert_apart(gates, layout.gates_total)
    assert_apart(value_regions(layout), layout.values.beats)


def spectrum_regions(layout: MemoryMap) -> list[tuple[int, int]]:
    """(first, length) of every copy of every signal's region, and of initial values."""
    spectra, regions = layout.spectra, []
    for signal in spectra.signals:
        length, ring = words_used(layout, signal.name), spectra.rings[spectra.ring_of[signal.name]]
        assert ring.copies == spectra.copies(signal.name)
        for stream in range(layout.design.streams):
            place = spectra.place(signal.name, stream)
            assert place < ring.base + ring.words
            regions += [(place | copy * ring.words, length) for copy in range(ring.copies)]
    for name, signal in layout.initial.signals.items():
        regions.append((spectra.initial(name), words_used(layout, signal)))
    return regions


def words_used(layout: MemoryMap, signal: str) -> int:
    """Words of a bank up to the last that a line of a signal writes."""
    lines, words = layout.lines(layout.model.signal(signal).length), layout.design.words
    last = lines * words - 1 + layout.spectra.shift(signal)
    return last // layout.design.splits + 1


def value_regions(layout: MemoryMap) -> list[tuple[int, int]]:
    """The same of values."""
    values, design, regions = layout.values, layout.design, []
    for value in values.values:
        lines = layout.lines(value.length)
        if value.copies:
            places = [(values.place(value, s, 0), lines) for s in range(design.streams)]
        else:
            slots = range(design.overlap)
            places = [(values.place(value, 0, 0, n), min(lines, design.chunk)) for n in slots]
        for copy in range(max(1, value.copies)):
            regions += [(p + copy * values.distance, size * layout.beats) for p, size in places]
    named = {
        kept.initial: kept.value.length
        for step in layout.steps
        for term in step.terms
        for kept in term.reads
        if kept.initial
    }
    for name, length in named.items():
        regions.append((values.initial(name, 0), layout.lines(length) * layout.beats))
    return regions


@SOME
@given(PLANS)
def test_initial_values_are_where_they_are_looked_for(seed: int) -> None:
    layout = random_plan(seed).layout
    spectra, splits = layout.spectra, layout.design.splits
    banks = [spectra.contents(bank) for bank in range(splits)]
    for name, signal in layout.initial.signals.items():
        values = layout.initial.values[name]
        model, parts = layout.model, layout.model.parts[signal]
        expected = spectrum(model.forward, model.signal(signal), values, parts)
        for number, word in enumerate(expected, spectra.shift(signal)):
            found = banks[number % splits][spectra.initial(name) + number // splits]
            assert np.array_equal(found, word)
    assert all(len(bank) in (0, spectra.depth) for bank in banks)


@SOME
@given(PLANS)
def test_every_constant_is_where_its_step_looks(seed: int) -> None:
    layout = random_plan(seed).layout
    for step in layout.steps:
        for term in step.terms:
            base = layout.constant(term.bias, term.factor)
            beats = layout.lines(step.length) * layout.beats
            stored = layout.constants[1][base : base + beats]
            shape = (-1, layout.beats, 2, layout.design.words, layout.lanes)
            found = (
                np.array(stored).reshape(shape).transpose(2, 0, 3, 1, 4)
                if stored
                else np.zeros((2, 0))
            )
            for column, constant in ((0, term.bias), (1, term.factor)):
                if constant is not None:
                    flat = found[column].ravel()
                    assert np.array_equal(flat[: step.length], constant.values)
                    assert not flat[step.length :].any()


def assert_apart(regions: list[tuple[int, int]], size: int) -> None:
    """Regions (first, length) that do not touch and fill the memory."""
    ordered = sorted(regions)
    assert all(first + length <= following for (first, length), (following, _) in pairwise(ordered))
    assert sum(length for _, length in regions) <= size
    assert not ordered or sum(ordered[-1]) <= size
