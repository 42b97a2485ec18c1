"""The clock that a search assumes: near what was placed, and what pipelines are chosen by."""

from dataclasses import replace

import numpy as np
import pytest

from ernn.errors import UserError
from ernn.estimate.clock import FORWARDING, Clock, Line, fit, placed
from ernn.estimate.device import Figure, devices, find_device
from ernn.ir.integer_model import IntegerModel
from ernn.scheduling.design import Design, PipelineName
from ernn.search.choice import Request
from ernn.search.hardware import search
from tests.models import random_integer_model

SMALL = find_device("LFE5U-25F")


def clock(deep: float, direct: float, forwarding: float = 1.0, error: float = 0.0) -> Clock:
    return Clock({"deep": Line(deep), "direct": Line(direct)}, "a test", forwarding, error)


@pytest.fixture(scope="module")
def model() -> IntegerModel:
    return random_integer_model(
        np.random.default_rng(3), cell="lstm", input_size=4, hidden=8, block=4
    )


def test_a_clock_is_near_every_engine_that_was_placed() -> None:
    """As docs/results/clocks.md states it."""
    errors = [abs(one.by(fit(placed(), one.grade)) / one.mhz - 1) for one in placed()]
    assert sum(errors) / len(errors) < 0.06 and max(errors) < 0.24


def test_a_line_goes_through_two_points() -> None:
    first = placed()[0]
    given = {4: 200.0, 100: 100.0}
    points = [replace(first, multipliers=n, seeds={"1": mhz}) for n, mhz in given.items()]
    plain = [replace(one, grade=6, forwarding=False, pipeline="deep") for one in points]
    line = fit(plain, 6)
    for count, mhz in given.items():
        assert line.mhz(Design(1), count) == pytest.approx(mhz)


@pytest.mark.parametrize("device", devices(), ids=lambda one: one.name)
def test_more_multipliers_and_forwarding_are_never_faster(device) -> None:
    assumed, names = Clock.assumed(device), list[PipelineName](["deep", "direct"])
    for design in [Design(1, pipeline=name) for name in names]:
        found = [assumed.mhz(design, count) for count in range(1, 300, 7)]
        assert found == sorted(found, reverse=True)
    taken = assumed.mhz(Design(1, forwarding=True), 28) / assumed.mhz(Design(1), 28)
    assert taken == pytest.approx(FORWARDING if device.family == "ecp5" else 1)


def test_a_given_clock_is_that_of_every_engine() -> None:
    given = Clock.given(123.4)
    assert given.mhz(Design(1), 1) == given.mhz(Design(1, pipeline="direct"), 150) == 123.4
    assert given.mhz(Design(1, forwarding=True), 1) == 123.4
    with pytest.raises(UserError, match="1 to 1000 MHz"):
        Clock.given(0)


@pytest.mark.parametrize(
    ("deep", "direct", "chosen"), [(100.0, 200.0, "direct"), (200.0, 100.0, "deep")]
)
def test_pipelines_are_chosen_by_time(
    model: IntegerModel, deep: float, direct: float, chosen: PipelineName
) -> None:
    device = replace(SMALL, dsp=Figure(16, "M", "this test"))
    for streams in (1, 2):
        request = Request(device, clock(deep, direct), streams=streams)
        assert search(model, request, budget=12).best.design.pipeline == chosen


@pytest.mark.parametrize(("error", "chosen"), [(0.0, "direct"), (0.2, "deep")])
def test_deep_pipelines_are_taken_where_times_differ_by_less_than_the_error(
    model: IntegerModel, error: float, chosen: PipelineName
) -> None:
    device = replace(SMALL, dsp=Figure(16, "M", "this test"))
    found = search(model, Request(device, clock(100, 120, error=error), streams=2), budget=12).best
    assert found.design.pipeline == chosen
    assert found.fps == pytest.approx(found.clock_mhz * 1e6 / found.cycles_per_frame)


def test_of_a_small_array_on_ecp5_deep_pipelines_count_more_of_a_large_one_direct_ones() -> None:
    assumed = Clock.assumed(SMALL)
    small, large = (
        [assumed.counted(Design(1, pipeline=one), count) for one in ("deep", "direct")]
        for count in (26, 154)
    )
    assert small[0] > small[1] and large[0] < large[1]
    assert assumed.error == pytest.approx(fit(placed(), 8).error)


@pytest.mark.parametrize("price", [0.3, 1.0])
def test_forwarding_is_chosen_where_it_saves_time_and_not_cycles(
    model: IntegerModel, price: float
) -> None:
    request = Request(SMALL, clock(200.0, 50.0, price), "latency", streams=1)
    assert search(model, request, budget=12).best.design.forwarding == (price == 1)
