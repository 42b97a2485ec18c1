"""The run record: what goes in comes out, and nothing malformed goes in."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ernn.errors import UserError
from ernn.report.record import KINDS, UNITS, Measurement, RunRecord

finite = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**12), 10**12)
count = st.none() | st.integers(1, 10**6)
pair = st.none() | st.tuples(finite, finite).map(lambda p: (min(p), max(p)))
text = st.text(min_size=1, max_size=12)
measurements = st.builds(
    Measurement,
    finite,
    st.text(max_size=5),
    st.sampled_from(KINDS),
    text,
    count,
    pair,
    count,
    pair,
    st.none() | text,
)
paths = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(".".join)


def example(value: float = 1.5, unit: str = "s") -> Measurement:
    return Measurement(value, unit, "measured", "a clock")


@settings(deadline=None)
@given(st.dictionaries(paths, measurements, max_size=5))
def test_a_record_survives_json_and_equal_content_is_equal_text(figures):
    record, reversed_record = RunRecord(), RunRecord()
    kept = {
        p: m
        for p, m in figures.items()
        if not any(q.startswith(f"{p}.") or p.startswith(f"{q}.") for q in figures)
    }
    for path, measurement in kept.items():
        record.set(path, measurement)
    for path, measurement in reversed(kept.items()):
        reversed_record.set(path, measurement)
    assert dict(RunRecord.from_json(record.to_json()).measurements()) == kept
    assert (
        record.to_json()
        == reversed_record.to_json()
        == RunRecord.from_json(record.to_json()).to_json()
    )


def test_the_file_has_leaves_that_other_programs_can_read(tmp_path):
    record = RunRecord()
    record.set(
        "error_rate.dense",
        Measurement(np.float64(3.5), "%", "measured", "ernn evaluate", tokens=np.int64(900)),
    )
    record.set_series("curve", {"values": [1, 2.5]})
    plain = json.loads(record.save(tmp_path / "record.json").read_text(encoding="utf-8"))
    leaf = {"value": 3.5, "unit": "%", "kind": "measured", "tool": "ernn evaluate", "tokens": 900}
    assert plain == {"error_rate": {"dense": leaf}, "series": {"curve": {"values": [1, 2.5]}}}
    assert RunRecord.load(tmp_path / "record.json").get("error_rate.dense").tokens == 900


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"value": float("nan")}, "finite"),
        ({"value": "3"}, "finite"),
        ({"value": True}, "finite"),
        (
            {"kind": "guessed"},
            "kind must be one of measured, simulated, placed, estimated, published, not 'guessed'",
        ),
        ({"tool": ""}, "names the tool"),
        ({"tokens": 0}, "tokens must be positive, not 0"),
        ({"interval": (2.0, 1.0)}, r"interval must be \(low, high\)"),
    ],
)
def test_a_measurement_without_its_source_or_value_is_refused(change, says):
    with pytest.raises(UserError, match=says):
        Measurement(**({"value": 1.0, "unit": "%", "kind": "measured", "tool": "t"} | change))


@pytest.mark.parametrize("path", ["", "a..b", "series.x", "series", "a.value", "value"])
def test_paths_that_json_could_not_tell_apart_are_refused(path):
    with pytest.raises(UserError, match="cannot hold a measurement"):
        RunRecord().set(path, example())


def test_a_group_is_not_a_figure():
    record = RunRecord()
    record.set("a.b", example())
    with pytest.raises(UserError, match=r"a and a\.b cannot both hold"):
        record.set("a", example())
    with pytest.raises(UserError, match=r"a\.b\.c and a\.b cannot both hold"):
        record.set("a.b.c", example())


def test_well_known_figures_have_one_unit():
    with pytest.raises(UserError, match="utilisation is recorded in '%', not '1'"):
        RunRecord().set("utilisation", example(0.8, "1"))


def test_missing_names_what_a_complete_run_lacks():
    record = RunRecord()
    assert record.missing() == list(UNITS)
    record.set("fps", example(10.0, "frames/s"))
    assert "fps" not in record.missing()


def test_an_absent_figure_is_named_with_what_there_is():
    record = RunRecord()
    record.set("a", example())
    with pytest.raises(UserError, match="holds no 'b'; it holds a"):
        record.get("b")
    assert record.find("b") is None


@pytest.mark.parametrize(
    "text",
    ["nonsense", "[]", '{"a": 3}', '{"a": {"value": 1}}', '{"series": {}, "a": {"b": null}}'],
)
def test_a_file_that_is_no_record_is_refused(text):
    with pytest.raises(UserError, match="record"):
        RunRecord.from_json(text)


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match="ernn demo"):
        RunRecord.load(tmp_path / "none.json")


def test_a_series_holds_plain_data_only():
    with pytest.raises(UserError, match="numbers, text and arrays"):
        RunRecord().set_series("x", {"a": object()})
