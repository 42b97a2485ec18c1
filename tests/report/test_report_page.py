"""The page: whole, self-contained, honest about every digit, and deaf to hostile names."""

import dataclasses
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser

import pytest
from synthetic_run import all_series, figures, utterance

from ernn.errors import UserError
from ernn.report import plots, render, series, write_report
from ernn.report.page import duration, losses, number, speed_limit
from ernn.report.record import KINDS, Measurement, RunRecord

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Checks nesting while parsing; keeps every element with its ancestors
    and every text with its element.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[dict] = []
        self.elements: list[dict] = []
        self.texts: list[tuple[str, list[dict]]] = []
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {[e['tag'] for e in self.open]}"

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in <{tag}>"
        element = {"tag": tag, "attrs": dict(attrs), "badge": False, "given": False}
        self.elements.append(element)
        classes = (element["attrs"].get("class") or "").split()
        element["given"] = "given" in classes
        if "badge" in classes:
            for ancestor in self.open:
                ancestor["badge"] = True
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1]["tag"] == tag, (
            f"</{tag}> closes {self.open[-1:] and self.open[-1]['tag']}"
        )
        self.open.pop()

    def handle_data(self, data):
        self.texts.append((data, list(self.open)))


def words(text: str) -> str:
    shown = [
        t for t, inside in Page(text).texts if not {"style", "svg"} & {e["tag"] for e in inside}
    ]
    return " ".join(" ".join(shown).split())


@pytest.fixture(scope="module")
def full(full_record) -> str:
    return render(full_record)


@pytest.fixture(scope="module")
def empty() -> str:
    return render(RunRecord())


@pytest.mark.parametrize("which", ["full", "empty"])
def test_the_page_is_well_formed_and_needs_nothing_else(which, request):
    text = request.getfixturevalue(which)
    page = Page(text)
    ids = [e["attrs"]["id"] for e in page.elements if "id" in e["attrs"]]
    assert len(ids) == len(set(ids))
    targets = [
        e["attrs"][key]
        for e in page.elements
        for key in ("src", "href", "xlink:href")
        if key in e["attrs"]
    ]
    targets += re.findall(r"url\(\s*[\"']?([^)\"']+)", text)
    assert all(target.startswith("data:") or target[1:] in ids for target in targets)
    assert not re.search(r"https?:|//cdn|@import", text)
    assert not {"script", "link", "iframe", "object"} & {e["tag"] for e in page.elements}


@pytest.mark.parametrize("which", ["full", "empty"])
def test_every_number_shows_its_kind_or_was_given(which, request):
    page = Page(request.getfixturevalue(which))
    for text, inside in page.texts:
        if not re.search(r"\d", text) or {"style", "title"} & {e["tag"] for e in inside}:
            continue
        sourced = any(e["attrs"].get("data-kind") in KINDS and e["badge"] for e in inside)
        assert sourced or any(e["given"] for e in inside), (
            f"{text.strip()!r} does not say where it comes from"
        )


def test_every_figure_of_the_record_is_on_the_page_with_its_tool(full):
    page = Page(full)
    titles = " ".join(e["attrs"].get("title") or "" for e in page.elements)
    shown = words(full)
    for path, measurement in figures().items():
        assert path in shown
        assert number(measurement.value, measurement.unit) in shown
        assert f"{measurement.kind}: {measurement.tool}" in titles


def test_all_figures_are_drawn(full):
    svgs = [e for e in Page(full).elements if e["tag"] == "svg"]
    assert len(svgs) == 5
    assert all(e["attrs"]["aria-label"] and e["attrs"]["viewbox"] for e in svgs)


def test_the_page_does_not_depend_on_when_it_is_made(full_record, full):
    assert render(full_record) == full


def test_what_was_not_run_is_said_and_not_invented(empty):
    shown = words(empty)
    for missing in (
        "error rate",
        "ADMM",
        "sizes",
        "no network",
        "was not evaluated",
        "scheduled",
        "synthesis",
        "place and route",
    ):
        assert missing in shown
    assert shown.count("not run") + shown.count("Not run") >= 15
    assert "this run" not in shown


def once(draw: Callable[..., str]) -> Callable[..., str]:
    drawn: dict[str, str] = {}

    def known(*shown: object) -> str:
        key = repr(shown)
        if key not in drawn:
            drawn[key] = draw(*shown)
        return drawn[key]

    return known


@pytest.fixture(scope="module")
def drawn_once() -> Iterator[None]:
    """Pages that lack one section each have all other figures in common."""
    with pytest.MonkeyPatch.context() as patch:
        for draw in (
            *(plots.convergence, plots.network, plots.precision, plots.schedule),
            *(plots.designs, plots.clocks, plots.utterance),
        ):
            patch.setattr(plots, draw.__name__, once(draw))
        yield


@pytest.mark.usefixtures("drawn_once")
@pytest.mark.parametrize("lacking", all_series(), ids=lambda s: s.NAME)
def test_each_section_alone_may_be_missing(lacking, full_record):
    record = RunRecord()
    series.put(record, lacking)
    assert Page(render(record)).elements
    rest = RunRecord.from_json(full_record.to_json())
    rest._series.pop(lacking.NAME)
    assert Page(render(rest)).elements


def test_a_mismatch_and_an_overfull_device_are_not_hidden(full_record):
    record = RunRecord.from_json(full_record.to_json())
    record.set("verify.mismatches", Measurement(3, "integers", "simulated", "Verilator"))
    record.set("cycles.simulated", Measurement(1500, "cycles", "simulated", "Verilator"))
    proof = next(s for s in all_series() if isinstance(s, series.Proof))
    series.put(record, dataclasses.replace(proof, first_divergence="lstm0.cell, step 4, lane 2"))
    shown = words(render(record))
    assert "Golden model and simulated RTL differ. First: lstm0.cell, step 4, lane 2" in shown
    assert "agree on every integer" not in shown
    assert "differs from the simulation" in shown
    assert "263 of 240: does not fit" in shown


def test_the_error_of_every_function_is_told(full_record):
    record = RunRecord.from_json(full_record.to_json())
    record.set("activations.hard_sigmoid_error", Measurement(0.0021, "1", "measured", "tables"))
    found = re.search(r"piecewise-linear functions: (.*?) \.", words(render(record)))
    assert found is not None
    names = re.findall(r"([a-z ]+?) 0\.\d+", found[1])
    assert [name.removeprefix("measured ") for name in map(str.strip, names)] == [
        *("hard sigmoid", "sigmoid", "tanh")
    ]


def test_power_is_an_estimate_beside_published_figures(full, empty):
    shown = words(full)
    power = shown[shown.index("Power An estimate, and not a measurement") :]
    assert (
        "0.612 W" in power
        and "ESE, XCKU060 41 (V)" in power
        and "static 0.23 W (M) uncalibrated" in power
    )
    assert "power is estimated from area, clock and simulation" in words(empty)


HOSTILE = (
    """<script>alert(1)</script>"'><img src=x onerror=alert(1)> $\\frac{ http://e.example/ & """
    """\t\x01 </svg></style>"""
)


def test_hostile_names_are_text(full_record):
    record = RunRecord.from_json(full_record.to_json())
    for plain in list(record._series.items()):
        record.set_series(plain[0], poisoned(plain[1]))
    note = Measurement(1.0, HOSTILE, "measured", HOSTILE, note=HOSTILE)
    record.set("verify.hostile", note)
    record.set("error_rate.hostile", note)
    text = render(record)
    page = Page(text)
    assert not {"script", "img"} & {e["tag"] for e in page.elements}
    assert not [key for e in page.elements for key in e["attrs"] if key.startswith("on")]
    assert "<script" not in text
    assert "alert(1)" in words(text)


def poisoned(plain):
    """Every text of a series, kinds apart, made hostile; units of bars
    must still name rows, so all alike.
    """
    if isinstance(plain, dict):
        return {key: value if key == "kind" else poisoned(value) for key, value in plain.items()}
    if isinstance(plain, list):
        return [poisoned(item) for item in plain]
    return plain + HOSTILE if isinstance(plain, str) else plain


def test_labels_without_times_are_listed_though_not_drawn(full_record):
    record = RunRecord()
    bare = tuple(series.Token(token.label) for token in utterance().truth)
    shown = dataclasses.replace(utterance(), truth=bare, recognised=bare)
    series.put(
        record, series.Utterances("measured", "golden", "corpus", "40 log-mel", 10.0, (shown,))
    )
    assert "oh oh" in words(render(record))


def test_write_report_reads_the_record_and_writes_the_page(tmp_path, full_record, full):
    record = full_record.save(tmp_path / "record.json")
    assert (
        write_report(record, tmp_path / "out" / "report.html").read_text(encoding="utf-8") == full
    )
    with pytest.raises(UserError, match="no record at"):
        write_report(tmp_path / "nothing.json", tmp_path / "report.html")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["report.html"]


def test_the_limit_is_every_multiplier_useful_in_every_cycle(full_record):
    limit = speed_limit(full_record)
    assert limit is not None
    assert limit.fps.value == pytest.approx(88 * 131.4e6 / 27_712)
    assert limit.reached.value == pytest.approx(84.2, abs=0.05)
    assert limit.fps.kind == "placed"
    assert speed_limit(RunRecord()) is None


def test_losses_are_differences(full_record):
    found = {name: m.value for name, m in losses(full_record)}
    assert found == {"Lost by compression": 0.44, "Lost by integers": 0.04, "Lost in all": 0.48}


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0, "integers", "0"),
        (1_458_600, "", "1,458,600"),
        (351_336.9, "frames/s", "351,337"),
        (3.62, "%", "3.62"),
        (4.1, "%", "4.10"),
        (0.0004, "%", "4.0e-04"),
        (11.3949, "µs", "11.39"),
        (-0.25, "points", "-0.25"),
        (0.00213, "1", "0.00213"),
    ],
)
def test_numbers_read_well(value, unit, shown):
    assert number(value, unit) == shown


def test_durations_read_well():
    assert [duration(t) for t in (3.44, 59.96, 125)] == ["3.4 s", "1 min 00 s", "2 min 05 s"]


def test_importing_the_report_draws_nothing():
    heavy = "{'matplotlib', 'torch', 'amaranth', 'numba'}"
    code = f"import sys, ernn.report, ernn.report.plots; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_letters_of_all_plots_are_of_one_size(full: str) -> None:
    """No plot is drawn larger than the widest ones are on the page."""
    svgs = [e["attrs"] for e in Page(full).elements if e["tag"] == "svg"]
    scales = {
        round(
            float(svg["style"].removeprefix("max-width: ").removesuffix("px"))
            / float(svg["viewbox"].split()[2]),
            1,
        )
        for svg in svgs
    }
    assert scales == {1.4}
