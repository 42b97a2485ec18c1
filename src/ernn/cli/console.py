"""What a command shows: progress on standard error, results (table or JSON) on standard output."""

import contextlib
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ernn.errors import PrecisionWarning
from ernn.pipeline.run import Outcome, Run
from ernn.report.record import UNITS, Measurement

INTERRUPTED = 130
COLUMNS = ("figure", "value", "unit", "kind", "by")
ROOMY = 120


@contextlib.contextmanager
def working() -> Iterator[None]:
    """Libraries' messages during a step go to standard error: standard output is for results.

    An interrupt ends the command with its own exit status, also where a library turns
    it into another (Lightning: 1).
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (KeyboardInterrupt, SystemExit) as end:
        if not isinstance(end, KeyboardInterrupt) and not isinstance(
            end.__context__, KeyboardInterrupt
        ):
            raise
        say("ernn: interrupted; what was finished is kept, the same command goes on from there")
        raise SystemExit(INTERRUPTED) from None


def say(text: str) -> None:
    """A line for people, on standard error; what a file brought along cannot move its cursor."""
    shown = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
    print(shown, file=sys.stderr, flush=True)


def warn(concern: str, strict: bool) -> None:
    """A line on what is not good enough, if anything is; where that is `strict`, the end."""
    if concern:
        say(f"ernn: warning: {concern}")
        if strict:
            raise SystemExit(1)


@contextlib.contextmanager
def warnings_in_lines() -> Iterator[None]:
    """What is said of precision is a line as any other, each time; other warnings stay."""
    with warnings.catch_warnings():
        shown = warnings.showwarning

        def show_line(message: Warning | str, category: type[Warning], *others: Any) -> None:
            if issubclass(category, PrecisionWarning):
                say(f"ernn: warning: {message}")
            else:
                shown(message, category, *others)

        warnings.simplefilter("always", PrecisionWarning)
        warnings.showwarning = show_line
        yield


def emit_json(value: Any) -> None:
    """`value` as JSON on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def figure(measurement: Measurement) -> dict[str, Any]:
    """A measurement as JSON holds it."""
    return {name: value for name, value in asdict(measurement).items() if value is not None}


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON holds it."""
    return {
        "step": outcome.step,
        "run": str(outcome.folder),
        "skipped": outcome.skipped,
        "seconds": outcome.seconds,
        "figures": {path: figure(m) for path, m in outcome.figures},
    }


def show(outcome: Outcome, as_json: bool) -> None:
    """A step's outcome."""
    if as_json:
        emit_json(outcome_json(outcome))
        return
    state = "unchanged since the last time" if outcome.skipped else f"{outcome.seconds:.1f} s"
    figures(f"{outcome.step}: {state}", outcome.figures)


def figures(title: str, found: Sequence[tuple[str, Measurement]]) -> None:
    """A table of figures; which program they are by, where there is room to read it."""
    from rich.console import Console

    columns = COLUMNS if Console().width >= ROOMY else COLUMNS[:-1]
    rows = [row[: len(columns)] for row in figure_rows(found)]
    table(title, columns, rows, whole=4)


def figure_rows(figures: Sequence[tuple[str, Measurement]]) -> list[tuple[str, ...]]:
    """Rows of a table of figures."""
    return [(path, readable(m), m.unit, m.kind, m.tool) for path, m in figures]


def readable(measurement: Measurement) -> str:
    """A value to four digits (thousands whole); of an error rate, how much was tested."""
    value = measurement.value
    text = f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:,.4g}"
    return f"{text} ({measurement.tokens:,} tested)" if measurement.tokens else text


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], whole: int = 0
) -> None:
    """A table on standard output below its title; the first `whole` columns never wrap."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(title, markup=False, highlight=False)
    if not rows:
        return
    shown = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns, 1):
        shown.add_column(column, overflow="fold", no_wrap=number <= whole)
    for row in rows:
        shown.add_row(*row)
    console.print(shown, markup=False)


def numbers(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table of numbers that do not wrap: wider than the terminal, each row becomes a column."""
    from rich.console import Console

    room = Console().width
    if (
        sum(
            _width([heading, *cells])
            for heading, cells in zip(columns, zip(*rows, strict=True), strict=True)
        )
        <= room
    ):
        table(title, columns, rows, whole=len(columns))
        return
    headings = _width(columns)
    left = list(rows)
    while left:
        fitting = max(
            1, sum(headings + sum(map(_width, left[: n + 1])) <= room for n in range(len(left)))
        )
        beside, left = left[:fitting], left[fitting:]
        standing = [(columns[line], *(row[line] for row in beside)) for line in range(len(columns))]
        table(title, [""] * (fitting + 1), standing, whole=fitting + 1)
        title = " "


def _width(cells: Sequence[str]) -> int:
    """Of a column of these cells, with the gap after it."""
    return max(map(len, cells)) + 2


def step(work: Callable[[], Outcome], as_json: bool) -> None:
    """Do a step and show what came of it."""
    with working():
        outcome = work()
    show(outcome, as_json)


def brief(outcome: Outcome) -> str:
    """A step's outcome in a line."""
    took = "unchanged" if outcome.skipped else f"{outcome.seconds:.0f} s"
    shown = "; ".join(
        f"{path} {readable(m)} {m.unit}".rstrip() for path, m in outcome.figures if path in UNITS
    )
    return f"      {took}{': ' if shown else ''}{shown}"


def show_run(run: Run, outcomes: Sequence[Outcome], page: Path, as_json: bool) -> None:
    """All figures that a complete run has, and where its page is."""
    if as_json:
        steps = [outcome_json(outcome) for outcome in outcomes]
        emit_json(
            {
                "run": str(run.folder),
                "report": str(page),
                "missing": run.record.missing(),
                "steps": steps,
            }
        )
        return
    figures = [(path, m) for path in UNITS if (m := run.record.find(path)) is not None]
    rows = [row[:-1] for row in figure_rows(figures)]
    table(f"{run.folder}", COLUMNS[:-1], rows, whole=4)
    table(f"report: {page}", (), ())
