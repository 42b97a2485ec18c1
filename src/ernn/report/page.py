"""A run's record as one HTML page that needs nothing but itself.

What a run did not obtain is said to be not run.  Every figure carries a badge with its kind; the
badge's tooltip names the tool.  Nothing here measures: the page computes only ratios of figures in
the record, and labels them so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ernn.files import write_atomic
from ernn.report import published, series
from ernn.report.align import aligned
from ernn.report.record import Measurement, RunRecord
from ernn.report.series import AreaRow, Schedule, Utterance

PIXELS = 1.352
"""Of the page for a point of a plot: the page has 1012, the widest plots 748.8 points."""
ERROR_NAMES = {
    "dense": "dense",
    "one_shot": "one-shot projection",
    "compressed": "compressed",
    "integer": "integer",
}


def render(record: RunRecord) -> str:
    """The page as HTML text. UserError if a series in the record does not have its stated shape."""
    template = environment().get_template("template.html")
    return template.render(_context(record))


def write_report(record_path: Path | str, html_path: Path | str) -> Path:
    """Render the record at `record_path` into `html_path`, written whole or not at all."""
    return write_atomic(html_path, render(RunRecord.load(record_path)))


def environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "source": source, "duration": duration}
    environment.globals |= {
        "accelerators": published.ACCELERATORS,
        "error_rates": published.ERROR_RATES,
    }
    environment.globals["marks"] = published.MARKS
    return environment


def _context(record: RunRecord) -> dict[str, Any]:
    network = series.take(record, series.NetworkPicture)
    schedule = series.take(record, series.Schedule)
    return {
        "find": record.find,
        "group": record.group,
        "figures": record.measurements(),
        "about": series.take(record, series.About),
        "sizes": series.take(record, series.Sizes),
        "network": network,
        "precision": series.take(record, series.Precision),
        "hosted": series.take(record, series.Hosted),
        "matrices": [
            (f"{layer.name} {m.name}", m) for layer in network.layers for m in layer.matrices
        ]
        if network
        else [],
        "schedule": schedule,
        "designs": series.take(record, series.Designs),
        "busy": busy(schedule) if schedule else {},
        "areas": series.take(record, series.Areas),
        "power": series.take(record, series.Power),
        "fill": fill,
        "proof": series.take(record, series.Proof),
        "timings": series.take(record, series.Timings),
        "convergence": series.take(record, series.Convergence),
        "clocks": series.take(record, series.Clocks),
        "utterances": series.take(record, series.Utterances),
        "decisions": series.take(record, series.Decisions),
        "traces": series.take(record, series.Traces),
        "f1": f1,
        "columns": columns,
        "errors": _errors(record),
        "losses": losses(record),
        "limit": speed_limit(record),
        "drawn": _drawn(record),
    }


def _drawn(record: RunRecord) -> dict[str, Any]:
    """SVG per figure that this record has data for."""
    from ernn.report import answers, plots

    def draw(of: Any, plot: Callable[[Any], str], has_data: Callable[[Any], Any]) -> Markup | None:
        data = series.take(record, of)
        return _sized(plot(data)) if data is not None and has_data(data) else None

    return {
        "convergence": draw(series.Convergence, plots.convergence, lambda s: s.matrices),
        "network": draw(
            series.NetworkPicture,
            plots.network,
            lambda s: any(layer.matrices for layer in s.layers),
        ),
        "precision": draw(series.Precision, plots.precision, lambda s: s.over_time),
        "schedule": draw(series.Schedule, plots.schedule, lambda s: s.bars),
        "designs": draw(series.Designs, plots.designs, lambda s: s.rows),
        "clocks": draw(series.Clocks, plots.clocks, lambda s: s.runs),
        "utterances": _drawn_utterances(record),
        "confusion": draw(series.Decisions, answers.confusion, lambda s: s.confusion),
        "traces": _drawn_traces(record),
    }


def _sized(svg: str) -> Markup:
    """A plot that does not grow beyond its size, so that all have letters of one size."""
    width = float(svg.split('viewBox="0 0 ', 1)[1].split(" ", 1)[0])
    size = f"max-width: {width * PIXELS:.0f}px"
    return Markup(svg.replace("<svg ", f'<svg style="{size}" ', 1))


def _drawn_utterances(record: RunRecord) -> list[Markup]:
    from ernn.report import plots

    shown = series.take(record, series.Utterances)
    if shown is None:
        return []
    items = enumerate(shown.items)
    return [
        _sized(plots.utterance(item, shown.frame_ms, shown.feature, f"utterance{i}"))
        for i, item in items
    ]


def _drawn_traces(record: RunRecord) -> list[Markup]:
    from ernn.report import answers

    shown = series.take(record, series.Traces)
    if shown is None:
        return []
    if shown.scattered:
        return [_sized(answers.clouds(item, "clouds")) for item in shown.items]
    return [
        _sized(answers.traces(item, shown.frame_ms, f"trace{index}"))
        for index, item in enumerate(shown.items)
    ]


def f1(row: series.DecisionRow) -> float:
    """Harmonic mean of precision and recall, in per cent."""
    return 200 * row.hits / max(1, row.said + row.true)


@dataclass(frozen=True)
class ErrorBar:
    """One bar of the error rates, positions in per cent of the width."""

    name: str
    measurement: Measurement
    width: float
    low: float
    high: float


def _errors(record: RunRecord) -> list[ErrorBar]:
    found = record.group("error_rate")
    ordered = [name for name in ERROR_NAMES if name in found] + [
        name for name in found if name not in ERROR_NAMES
    ]
    tops = [max(m.value, m.interval[1] if m.interval else 0) for m in found.values()]
    scale = 100 / (max(tops, default=1) or 1)
    return [_error_bar(ERROR_NAMES.get(name, name), found[name], scale) for name in ordered]


def _error_bar(name: str, measurement: Measurement, scale: float) -> ErrorBar:
    low, high = measurement.interval or (measurement.value, measurement.value)
    return ErrorBar(name, measurement, measurement.value * scale, low * scale, high * scale)


def losses(record: RunRecord) -> list[tuple[str, Measurement]]:
    """Points of error rate lost from one form of the network to the next and, last, in all."""
    steps = (
        ("Lost by compression", "dense", "compressed"),
        ("Lost by integers", "compressed", "integer"),
        ("Lost in all", "dense", "integer"),
    )
    found = record.group("error_rate")
    return [(name, _loss(found, a, b)) for name, a, b in steps if a in found and b in found]


def _loss(found: dict[str, Measurement], before: str, after: str) -> Measurement:
    tool = f"error_rate.{after} − error_rate.{before}, from this record"
    return Measurement(
        round(found[after].value - found[before].value, 6), "points", found[after].kind, tool
    )


@dataclass(frozen=True)
class SpeedLimit:
    """What the multipliers could do at this clock if none ever waited, and how much is done."""

    fps: Measurement
    reached: Measurement


def speed_limit(record: RunRecord) -> SpeedLimit | None:
    """Frames/s when every multiplier is useful in every cycle: multipliers x
    clock / multiplications of a frame.
    """
    paths = ("multipliers", "clock_mhz", "multiplications.frame", "fps")
    multipliers, clock, work, fps = (record.find(path) for path in paths)
    if not (
        multipliers and clock and work and fps and work.value and clock.value and multipliers.value
    ):
        return None
    limit = multipliers.value * clock.value * 1e6 / work.value
    tool = "multipliers × clock ÷ multiplications of a frame, from this record"
    return SpeedLimit(
        Measurement(limit, "frames/s", clock.kind, tool),
        Measurement(100 * fps.value / limit, "%", clock.kind, "frames/s ÷ that limit"),
    )


def busy(schedule: Schedule) -> dict[str, float]:
    """Share of one round, in per cent, in which each unit works; overlapping bars count once."""
    length = schedule.round_end - schedule.round_start
    return {unit: 100 * _covered(schedule, unit) / length for unit in schedule.units}


def _covered(schedule: Schedule, unit: str) -> int:
    total, reached = 0, schedule.round_start
    for bar in sorted((b for b in schedule.bars if b.unit == unit), key=lambda b: b.start):
        end = min(bar.end, schedule.round_end)
        total += max(0, end - max(bar.start, reached))
        reached = max(reached, end)
    return total


def fill(row: AreaRow) -> float:
    """Per cent of a device's resource in use; 0 of 0 is 0."""
    return 100 * row.used / row.available if row.available else 0.0


@dataclass(frozen=True)
class Column:
    """Truth above, recognised below; `fault` is "", "substitution", "deletion" or "insertion"."""

    truth: str
    recognised: str
    fault: str


def columns(item: Utterance) -> list[Column]:
    """The utterance's two label sequences side by side."""
    truth, found = [t.label for t in item.truth], [t.label for t in item.recognised]
    shown = []
    for pair in aligned(item):
        above = "" if pair.truth is None else truth[pair.truth]
        below = "" if pair.recognised is None else found[pair.recognised]
        fault = (
            "insertion"
            if pair.truth is None
            else "deletion"
            if pair.recognised is None
            else "substitution"
        )
        same = pair.truth is not None and pair.recognised is not None and above == below
        shown.append(Column(above, below, "" if same else fault))
    return shown


def number(value: float, unit: str = "") -> str:
    """A figure for reading: grouped whole numbers, per cents to two places, else four digits."""
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{value:,.0f}"
    if unit in ("%", "points"):
        return f"{value:.2f}" if abs(value) >= 0.01 else f"{value:.1e}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def source(measurement: Measurement) -> str:
    """A measurement's tooltip: kind, tool, and what the figure rests on."""
    parts = [
        f"{measurement.kind}: {measurement.tool}",
        f"value {measurement.value} {measurement.unit}".rstrip(),
    ]
    if measurement.tokens:
        parts.append(f"{measurement.tokens} tested")
    if measurement.interval:
        parts.append("95 % interval {:g} to {:g}".format(*measurement.interval))
    if measurement.seeds:
        parts.append(f"{measurement.seeds} seeds")
    if measurement.spread:
        parts.append("from {:g} to {:g}".format(*measurement.spread))
    return "; ".join(parts + ([measurement.note] if measurement.note else []))


def duration(seconds: float) -> str:
    """Seconds as "3.4 s" or "2 min 05 s"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"
