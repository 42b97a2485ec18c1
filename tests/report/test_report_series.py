"""Series keep their types through the record, and the figures computed from them
agree with plainer computations.
"""

import kaldialign
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_run import all_series, schedule

from ernn.errors import UserError
from ernn.report import series as s
from ernn.report.align import align, aligned
from ernn.report.page import busy
from ernn.report.plots import coalesced
from ernn.report.record import RunRecord

labels = st.lists(st.sampled_from("abcd"), max_size=9)
bars = st.lists(
    st.builds(
        lambda unit, start, length, stream: s.ScheduleBar(unit, start, start + length, "x", stream),
        st.sampled_from(("MAC array", "FFT")),
        st.integers(-20, 40),
        st.integers(1, 15),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize("series", all_series(), ids=lambda series: series.NAME)
def test_a_series_survives_the_record(series):
    record = RunRecord()
    s.put(record, series)
    assert s.take(RunRecord.from_json(record.to_json()), type(series)) == series
    assert s.take(RunRecord(), type(series)) is None


@pytest.mark.parametrize(
    ("plain", "says"),
    [
        ([], "series.clocks must be an object"),
        ({"kind": "placed", "tool": "t"}, "series.clocks is incomplete"),
        (
            {"kind": "placed", "tool": "t", "device": "d", "runs": [{"seed": "1", "mhz": 2}]},
            r"runs\[0\].seed has the wrong",
        ),
        (
            {"kind": "placed", "tool": "t", "device": "d", "runs": [], "extra": 1},
            "has no field 'extra'",
        ),
        (
            {"kind": "hoped", "tool": "t", "device": "d", "runs": []},
            r"kind must be one of 'measured'",
        ),
    ],
)
def test_a_series_of_another_shape_is_refused_and_named(plain, says):
    record = RunRecord()
    record.set_series("clocks", plain)
    with pytest.raises(UserError, match=says):
        s.take(record, s.Clocks)


def test_bars_and_frames_are_checked_where_they_are_made():
    with pytest.raises(UserError, match="must end after it starts"):
        s.ScheduleBar("FFT", 5, 5, "x")
    with pytest.raises(UserError, match="units that `units` does not name: FFT"):
        s.Schedule("simulated", "t", ("MAC array",), (s.ScheduleBar("FFT", 0, 1, "x"),), 0, 1)
    with pytest.raises(UserError, match="every frame needs as many coefficients"):
        s.Utterance("u", ((1.0,), (1.0, 2.0)), (), ())


@settings(deadline=None)
@given(labels, labels)
def test_alignment_has_the_edit_distance_of_a_library(truth, found):
    pairs = align(truth, found)
    assert [p.truth for p in pairs if p.truth is not None] == list(range(len(truth)))
    assert [p.recognised for p in pairs if p.recognised is not None] == list(range(len(found)))
    edits = sum(
        p.truth is None or p.recognised is None or truth[p.truth] != found[p.recognised]
        for p in pairs
    )
    assert edits == kaldialign.edit_distance(truth, found)["total"]


def test_a_deletion_and_an_insertion_are_not_shown_as_substitutions():
    pairs = [(p.truth, p.recognised) for p in align("abc", "bcd")]
    assert pairs == [(0, None), (1, 0), (2, 1), (None, 2)]


def test_of_two_equal_neighbours_the_one_not_heard_is_lost():
    truth = (s.Token("4", 0, 10), s.Token("4", 10, 20), s.Token("1", 20, 30))
    late, early = s.Token("4", 15, 15), s.Token("4", 5, 6)
    for heard, lost in ((late, 0), (early, 1)):
        item = s.Utterance("u", ((0.0,),) * 30, truth, (heard, s.Token("1", 25, 26)))
        assert [p.truth for p in aligned(item) if p.recognised is None] == [lost]


@settings(deadline=None)
@given(bars)
def test_busy_share_counts_cycles(items):
    timeline = s.Schedule("simulated", "t", ("MAC array", "FFT"), tuple(items), 0, 25)
    for unit, share in busy(timeline).items():
        cycles = sum(any(b.unit == unit and b.start <= c < b.end for b in items) for c in range(25))
        assert share == pytest.approx(100 * cycles / 25)


@settings(deadline=None)
@given(bars)
def test_joined_bars_cover_the_same_cycles(items):
    def cover(some):
        return {(b.unit, b.stream, cycle) for b in some for cycle in range(b.start, b.end)}

    joined = coalesced(items)
    assert cover(joined) == cover(items)
    assert len(joined) <= len(items)
    assert coalesced(joined) == joined


def test_bars_of_different_labels_stay_apart():
    assert coalesced(schedule().bars) == sorted(schedule().bars, key=lambda b: (b.start, b.unit))
