"""Phase II: the best of every design, the front, and what is said where nothing fits."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ernn.errors import UserError
from ernn.estimate.clock import Clock
from ernn.estimate.device import Device, Figure, find_device
from ernn.estimate.memories import mapped
from ernn.estimate.nonnegative_fit import nonnegative
from ernn.estimate.units import Units, banks
from ernn.ir.integer_model import IntegerModel
from ernn.pareto import dominates, pareto
from ernn.quantization.quantize import QuantizeSpec, quantize
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import schedule
from ernn.search.choice import Choice, Request, best, evaluate
from ernn.search.hardware import SearchResult, search
from ernn.search.joining import joined
from ernn.search.space import STREAMS, Goal, Shape, Space
from ernn.search.walk import Effort, Walk
from tests.models import in_blocks_of, random_frames, random_integer_model
from tests.networks import Limits, any_network
from tests.search.phase2 import holds_what_others_find, random_task

SMALL = find_device("LFE5U-25F")
CLOCK = Clock.given(100.0)


@pytest.fixture(scope="module")
def model() -> IntegerModel:
    return random_integer_model(
        np.random.default_rng(3), cell="lstm", input_size=8, hidden=16, block=4
    )


def shape_designs(shape: Shape, goal: Goal) -> list[Design]:
    """All that are tried of a shape, of up to four streams."""
    return [one for streams in STREAMS[goal][:4] for one in shape.designs(streams)]


def with_only(**counts: int) -> Device:
    """An LFE5U-25F with more or less of something."""
    figures = {name: Figure(count, "M", "this test") for name, count in counts.items()}
    return replace(SMALL, name="tiny", **figures)


def tiny(multipliers: int) -> Request:
    """A device with few multipliers and enough of the rest."""
    return Request(with_only(dsp=multipliers), CLOCK)


@pytest.mark.parametrize("goal", ["throughput", "latency"])
def test_the_search_finds_the_best_of_every_design(model: IntegerModel, goal: Goal) -> None:
    request = replace(tiny(9), goal=goal, streams=2 if goal == "throughput" else 1)
    found = search(model, request, budget=None)
    shapes = Space(model, request.device, CLOCK, goal).shapes()
    assert request.streams is not None
    designs = {design for shape in shapes for design in shape.designs(request.streams)}
    every = [evaluate(schedule(model, design), request) for design in designs]
    fitting = [one for one in every if request.fits(one.use)]
    assert found.complete
    wanted = best(fitting, goal)
    assert (found.best.time(goal), found.best.share) <= (wanted.time(goal), wanted.share)
    costs = [(one.time(goal), one.share) for one in found.front]
    assert not any(
        dominates((one.time(goal), one.share), mine) for one in fitting for mine in costs
    )


def test_few_bits_have_two_products_a_multiplier() -> None:
    request, found = tiny(24), {}
    for data_bits in (9, 10):
        rng, spec = np.random.default_rng(3), QuantizeSpec(weight_bits=8, data_bits=data_bits)
        model = random_integer_model(rng, spec, cell="lstm", input_size=24, hidden=32, block=4)
        found[data_bits] = search(model, request, budget=10).best
    assert found[9].design.packed and not found[10].design.packed
    assert found[9].fps > 1.3 * found[10].fps


@pytest.mark.parametrize("bits", [{}, {"weight_bits": 8, "data_bits": 8}])
@pytest.mark.parametrize("goal", ["throughput", "latency"])
def test_no_design_is_faster_than_its_shape_promises(goal: Goal, bits: dict[str, int]) -> None:
    rng, spec = np.random.default_rng(3), QuantizeSpec(**bits)
    model = random_integer_model(rng, spec, cell="lstm", input_size=8, hidden=16, block=4)
    request = replace(tiny(24), goal=goal)
    for shape in Space(model, request.device, CLOCK, goal).shapes()[::13]:
        for design in list(shape_designs(shape, goal))[::3]:
            choice = evaluate(schedule(model, design), request)
            assert choice.time(goal) >= shape.time
            assert choice.use.dsp == round(shape.share * request.device.dsp.value)
            assert choice.share >= shape.share


@pytest.fixture(scope="module")
def tagger() -> IntegerModel:
    """A network that gives its last step's outputs only."""
    sizes = {"input_size": 6, "hidden": 12, "outputs": 48}
    rng = np.random.default_rng(3)
    return random_integer_model(rng, cell="lstm", block=1, last_step=True, **sizes)


def test_a_head_once_a_sequence_is_searched_for_where_it_is_asked_for(tagger: IntegerModel) -> None:
    """No design is faster than its shape promises without the head, and some are faster than any
    that has it with every frame promises.
    """
    request = replace(tiny(9), once=True)
    found = search(tagger, request, budget=20)
    assert {(one.design.once, one.design.streams) for one in found.scheduled} == {(True, 1)}
    shapes = Space(tagger, request.device, CLOCK, "throughput", once=True).shapes()
    for shape in shapes[::5]:
        for design in list(shape.designs(1))[::7]:
            choice = evaluate(schedule(tagger, replace(design, once=True)), request)
            assert choice.time("throughput") >= shape.time
    usual = search(tagger, replace(tiny(9), streams=1), budget=20).best
    assert found.best.cycles_per_frame < 0.9 * usual.cycles_per_frame


def test_a_head_once_is_refused_where_there_is_none(
    model: IntegerModel, tagger: IntegerModel
) -> None:
    with pytest.raises(UserError, match="leaves out outputs, and this network gives every frame's"):
        search(model, replace(tiny(9), once=True))
    with pytest.raises(UserError, match="has a lone stream"):
        replace(tiny(9), once=True, streams=2)


@pytest.mark.parametrize("seed", range(6))
def test_a_promise_is_kept_where_layers_do_not_wait_for_each_other(seed: int) -> None:
    """Of random graphs: a latency is bounded by what waits, not by every stage."""
    network = any_network(seed, 4, Limits(layers=4, size=16))
    if seed % 2:
        network = in_blocks_of(np.random.default_rng(seed), network, (1, 2, 4))
    model = quantize(network, [random_frames(np.random.default_rng(seed), network)])
    request = replace(tiny(24), goal="latency")
    for shape in Space(model, request.device, CLOCK, "latency").shapes()[::5]:
        for design in list(shape_designs(shape, "latency"))[::3]:
            assert evaluate(schedule(model, design), request).time("latency") >= shape.time


def test_what_is_given_is_kept_and_what_fits_fits(model: IntegerModel) -> None:
    request = Request(SMALL, CLOCK, streams=3, pes=2)
    found = search(model, request, budget=10)
    assert {one.design.streams for one in found.scheduled} == {3}
    assert {one.design.pes for one in found.scheduled} == {2}
    assert all(request.fits(one.use) for one in (found.best, *found.front))
    assert found.best.cycles == schedule(model, found.best.design).interval


def test_a_smaller_budget_says_that_it_ended_the_search(model: IntegerModel) -> None:
    assert not search(model, Request(SMALL, CLOCK), budget=3).complete


@pytest.mark.parametrize(("seed", "budget"), [(0, 20), (47, 20)])
def test_no_goal_and_no_number_of_streams_has_a_faster_design(seed: int, budget: int) -> None:
    """On devices that hardly hold the network, too; `benchmarks/phase2.py --laws` has 200."""
    holds_what_others_find(*random_task(seed), streams=(1, 2), budget=budget)


def test_an_engine_of_one_element_is_not_what_comes_of_a_full_memory() -> None:
    """Of 56 schedules none fitted, and what the search began with was chosen: 45,360 cycles."""
    rng = np.random.default_rng(0)
    model = random_integer_model(rng, cell="gru", input_size=6, hidden=120, block=1)
    found = search(model, Request(SMALL, Clock.assumed(SMALL)), budget=10).best
    assert found.design.streams <= 2 and found.cycles_per_frame <= 1860 and found.multipliers <= 28


def test_dense_weights_fill_their_block_rams() -> None:
    """315 to 2,016 words of 12 bits were a third to two in three of a bank's block RAMs; three
    elements together read 36 bits a cycle, all that a block RAM gives.
    """
    rng, device = np.random.default_rng(0), find_device("LFE5U-85F")
    model = random_integer_model(rng, cell="lstm", input_size=6, hidden=120, block=1, outputs=50)
    found = search(model, Request(device, Clock.assumed(device)), budget=5).best
    weights, _ = Units(schedule(model, found.design)).filled(device.family)
    assert found.design.joined == 3 and weights >= 0.9


def test_wide_words_and_banks_of_logic_do_not_join() -> None:
    rng = np.random.default_rng(0)
    wide = random_integer_model(rng, cell="gru", input_size=8, hidden=16, block=8)
    dense = random_integer_model(rng, cell="gru", input_size=6, hidden=20, block=1)
    assert joined(wide, Design(4), 2000, "ecp5")[0].joined == 1
    assert joined(dense, Design(12), 127, "ecp5")[0].joined == 1
    assert joined(dense, Design(12), 315, "ecp5")[0].joined == 3


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(2, 18), st.integers(1, 3000), st.booleans())
def test_joining_never_takes_more(pes: int, bits: int, words: int, parity: bool) -> None:
    """And neither does any other number of elements a bank."""
    spec, rng = QuantizeSpec(weight_bits=bits), np.random.default_rng(0)
    model = random_integer_model(rng, spec, cell="gru", input_size=2, hidden=2, block=1)
    design = Design(pes, parity=parity)

    def kbit(one: Design) -> int:
        sizes = [(count, words, held * bits + parity) for held, count in one.banks.items()]
        found = banks(sizes, one)
        return sum(memory.count * mapped(memory, "ecp5").kbit for memory in found if memory.width)

    chosen, taken = joined(model, design, words, "ecp5")
    ways = [replace(design, joined=count) for count in range(1, min(4, pes) + 1)]
    assert taken == kbit(chosen) == min(map(kbit, ways))


def small_device(**counts: int) -> Request:
    """For one stream, at the clock that is assumed."""
    return Request(with_only(**counts), Clock.assumed(SMALL), streams=1)


@pytest.fixture(scope="module")
def small_banks() -> IntegerModel:
    """A network whose banks are small enough to be made of logic."""
    rng = np.random.default_rng(0)
    return random_integer_model(rng, cell="lstm", input_size=6, hidden=20, block=1)


def test_small_banks_are_in_block_ram_where_it_is_free(small_banks: IntegerModel) -> None:
    """And in logic where they would take more of the device than anything else does."""
    roomy, full = (
        search(small_banks, small_device(block_ram=kbit), budget=8).best for kbit in (1008, 400)
    )
    assert roomy.design == replace(full.design, block_ram=True)
    assert (roomy.cycles, roomy.share) == (full.cycles, full.share)
    assert roomy.use.lut < 0.8 * full.use.lut


def test_small_banks_are_in_block_ram_where_look_up_tables_are_short(
    small_banks: IntegerModel,
) -> None:
    """With banks of logic 4,000 look-up tables hold no engine of more than 14 multipliers."""
    request = small_device(lut=4000)
    found = search(small_banks, request, budget=8).best
    logic = replace(found.design, block_ram=False)
    assert found.cycles <= 180 and found.multipliers >= 20
    assert not request.fits(evaluate(schedule(small_banks, logic), request).use)


def test_a_better_neighbour_with_small_banks_in_block_ram_is_climbed_to(
    small_banks: IntegerModel,
) -> None:
    """From an engine whose banks are logic, to one for whose banks there is no logic."""
    walk = Walk(small_banks, replace(small_device(lut=4000), goal="latency"), "latency", (), {})
    at: Choice | None = walk._schedule(Design(12, 1, 16, 1), Effort.of(None))
    assert at is not None and not at.design.block_ram
    effort = Effort.of(30)
    while at is not None and not at.design.block_ram:
        at = walk._better(at, effort)
    assert at is not None


def test_one_stream_more_is_what_is_tried_first_for_throughput(model: IntegerModel) -> None:
    """A budget ended before it: seven streams were chosen where eleven are a tenth faster."""
    walk = Walk(model, tiny(24), "throughput", (), {})
    start = walk._schedule(Design(2, 1, 16, 1), Effort.of(None))
    assert start is not None
    found = walk._better(start, Effort.of(1))
    assert found is not None and found.design == replace(start.design, streams=2)


def test_a_memory_that_is_nearly_full_is_used_well() -> None:
    """0.9 million weights that take 10.6 of 11.2 Mbit: an engine of 90 elements, not of 72."""
    rng, sizes = np.random.default_rng(0), {"input_size": 768, "hidden": 768}
    model = random_integer_model(rng, cell="gru", layers=2, block=8, **sizes)
    device = find_device("ZU7EV")
    found = search(model, Request(device, Clock.assumed(device)), budget=4).best
    assert found.cycles_per_frame <= 1280


def test_an_impossible_device_is_refused_with_what_is_short_and_what_would_fit() -> None:
    large = random_integer_model(
        np.random.default_rng(0), cell="lstm", input_size=16, hidden=128, block=1
    )
    with pytest.raises(UserError) as refused:
        search(large, Request(with_only(block_ram=252), CLOCK))
    message = str(refused.value)
    assert message.startswith("tiny cannot hold this network in blocks of 1: an engine of")
    assert "1,008 kbit of block RAM, 756 more than the 252 there are" in message
    assert "it would fit in blocks of " in message


def test_what_is_said_to_fit_fits() -> None:
    """The number of bits, and the device; to as short a search, a bit more does not."""

    def found(bits: int) -> SearchResult:
        rng, sizes = np.random.default_rng(0), {"input_size": 6, "hidden": 48}
        spec = QuantizeSpec(weight_bits=bits)
        model = random_integer_model(rng, spec, cell="gru", block=1, **sizes)
        return search(model, request, budget=5)

    request = Request(with_only(block_ram=198), Clock.assumed(SMALL))
    with pytest.raises(UserError, match="with weights of 9 bits") as refused:
        found(10)
    assert "on LFE5U-25F" in str(refused.value)
    assert request.fits(found(9).best.use)


def test_too_few_multipliers_name_the_number(model: IntegerModel) -> None:
    with pytest.raises(UserError, match=r"takes 7 multipliers, 4 more than the 3 there are"):
        search(model, tiny(3))


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"goal": "speed"}, "throughput or latency"),
        ({"margin": 1.0}, "from 0 to less than 1"),
        ({"margin": -0.1}, "0"),
    ],
)
def test_a_wrong_request_is_refused(wrong: dict, rule: str) -> None:
    with pytest.raises(UserError, match=rule):
        Request(SMALL, CLOCK, **wrong)


# --- laws of the front

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
COSTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=30)


@SLOW
@given(COSTS)
def test_nothing_dominates_the_front_and_it_covers_everything(costs: list[tuple[int, int]]) -> None:
    front = pareto(costs, lambda one: one)
    assert set(front) <= set(costs) and len(set(front)) == len(front)
    assert not any(dominates(other, one) for one in front for other in costs)
    assert all(one in front or any(dominates(other, one) for other in front) for one in costs)


@SLOW
@given(COSTS, st.randoms())
def test_the_front_is_its_own_front_in_any_order(costs: list[tuple[int, int]], random) -> None:
    front = pareto(costs, lambda one: one)
    assert pareto(front, lambda one: one) == front
    random.shuffle(costs)
    assert pareto(costs, lambda one: one) == front


@SLOW
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 12))
def test_least_squares_without_negatives_meets_its_conditions(
    seed: int, columns: int, count: int
) -> None:
    rng = np.random.default_rng(seed)
    rows, wanted = rng.normal(size=(count, columns)), rng.normal(size=count)
    x = nonnegative(rows, wanted)
    gradient = rows.T @ (wanted - rows @ x)
    assert (x >= 0).all()
    assert (gradient[x == 0] <= 1e-6).all() and np.abs(gradient[x > 0]).max(initial=0) <= 1e-6


def test_a_design_has_as_many_multipliers_as_its_schedule_counts(model: IntegerModel) -> None:
    choice = evaluate(schedule(model, Design(2, 2, splits=2, words=2)), Request(SMALL, CLOCK))
    assert choice.multipliers == choice.use.dsp
