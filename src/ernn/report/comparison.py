"""Compression methods at budgets of storage, side by side: table, plot, and an HTML page of both.

Everything is computed before: here are only means, spreads, and clock over cycles.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from markupsafe import Markup

from ernn.files import write_atomic
from ernn.pareto import pareto
from ernn.report import names
from ernn.report.page import environment, number
from ernn.report.plots import MARKERS, PALETTE, numbered
from ernn.report.series import Item
from ernn.report.svg import INK, SOFT, standalone, styled, to_svg

COLUMNS = (
    *("method", "family", "error", "least to most", "seeds"),
    *("bytes", "multiplications", "cycles", "frames/s", "CPU seconds"),
)

ABOUT = (
    "≈: golden alone runs it, and its multiplications, passes and latencies were counted for such "
    "an engine"
)


@dataclass(frozen=True)
class Row:
    """A method at a budget. errors: rates in per cent, one a seed. bits: of the recurrent layers.

    cycles: predicted for a frame, or `estimated` where golden alone runs it; None: software only.
    mhz: the clock assumed. seconds: mean of the processor's in training, None where not kept.
    """

    name: str
    family: str
    times: float
    errors: tuple[float, ...]
    bits: int
    multiplications: int
    cycles: float | None = None
    mhz: float | None = None
    seconds: float | None = None
    estimated: bool = False

    @property
    def error(self) -> float:
        return mean(self.errors)

    @property
    def bytes(self) -> float:
        return self.bits / 8

    @property
    def fps(self) -> float | None:
        return None if self.cycles is None or self.mhz is None else self.mhz * 1e6 / self.cycles


@dataclass(frozen=True)
class Comparison:
    """clock: what the clock rests on. budget: how methods were treated, a sentence each.

    failed: trainings that came to no end, and why. missing: how many results are not there yet.
    """

    title: str
    corpus: str
    tokens: int
    device: str
    streams: int
    clock: str
    dense: Row
    rows: tuple[Row, ...]
    budget: tuple[str, ...]
    asked: tuple[Item, ...]
    command: str
    failed: tuple[Item, ...] = ()
    missing: int = 0

    @property
    def groups(self) -> list[tuple[float, list[Row]]]:
        """Rows by budget, the least error first."""
        times = sorted({row.times for row in self.rows})
        return [
            (one, sorted((r for r in self.rows if r.times == one), key=lambda r: r.error))
            for one in times
        ]

    @property
    def families(self) -> list[str]:
        return sorted({row.family for row in self.rows})


def front(rows: Sequence[Row]) -> list[Row]:
    """Those that no other beats in storage and in mean error, smallest first."""
    return pareto(rows, lambda row: (row.bits, row.error))


def spread(errors: Sequence[float]) -> str:
    """Mean and deviation; of a single seed its own, of none nothing."""
    if not errors:
        return ""
    return f"{mean(errors):.2f} ± {stdev(errors):.2f}" if len(errors) > 1 else f"{errors[0]:.2f}"


def cells(row: Row) -> tuple[str, ...]:
    """A row in words, in the sequence of `COLUMNS`."""
    return (
        row.name,
        row.family,
        spread(row.errors),
        f"{min(row.errors):.2f} to {max(row.errors):.2f}" if len(row.errors) > 1 else "",
        str(len(row.errors)),
        f"{row.bytes:,.0f}",
        f"{row.multiplications:,}",
        "software"
        if row.cycles is None
        else f"{'≈ ' if row.estimated else ''}{number(row.cycles)}",
        "" if row.fps is None else f"{row.fps:,.0f}",
        "" if row.seconds is None else f"{row.seconds:,.0f}",
    )


def legends(comparison: Comparison) -> dict[str, tuple[str, str]]:
    """Of each column that holds figures: their kind, and how they were obtained."""
    at = f"{comparison.device}, {comparison.streams} streams"
    predicted = f"predicted for a frame on {at}, weights of 12 bits"
    cycles = f"{predicted}; exact for the best design found. {ABOUT}"
    return {
        "error": (
            "measured",
            f"per cent, {comparison.tokens:,} tested: mean ± deviation",
        ),
        "least to most": ("measured", "per cent, over the seeds"),
        "seeds": ("measured", "trainings, each from another dense network"),
        "bytes": ("measured", "exact: recurrent weights with positions, padding and scales"),
        "multiplications": ("measured", "exact: real ones in one frame, transforms counted"),
        "cycles": ("estimated", cycles),
        "frames/s": (
            "estimated",
            f"clock ÷ cycles, of all streams together; the clock: {comparison.clock}",
        ),
        "CPU seconds": (
            "measured",
            "of the processor in training, mean; the dense network's not counted",
        ),
    }


def clocks(rows: Sequence[Row]) -> str:
    """The clocks that frames a second were reckoned with."""
    found = sorted(row.mhz for row in rows if row.mhz is not None)
    if not found:
        return "none of these runs on the engine"
    return (
        f"{found[0]:.0f} MHz" if found[0] == found[-1] else f"{found[0]:.0f} to {found[-1]:.0f} MHz"
    )


_MARKS = re.compile(r"([\\`*_\[\]<|~&])")


def plain(text: str) -> str:
    """Text that Markdown shows as it is, in one line."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))


def markdown(comparison: Comparison, drawn: str) -> str:
    """The table as a page of Markdown. drawn: the picture's file."""
    c, kinds = comparison, legends(comparison)
    lines = [f"# {plain(c.title)}", "", f"    {' '.join(c.command.split())}", ""]
    lines += [*(f"- {line}" for line in c.budget), ""]
    lines += [f"- {name}: {how} ({kind})." for name, (kind, how) in kinds.items()]
    lines += [f"- The clock is {clocks((c.dense, *c.rows))}, by the engine.", ""]
    lines += [f"The dense network: {spread(c.dense.errors)} % in {c.dense.bytes:,.0f} bytes.", ""]
    best = front(c.rows)
    lines += [f"![error rate over bytes]({drawn})", ""] if c.rows else []
    for times, rows in c.groups:
        lines += [
            f"## {times:g} times fewer bits",
            "",
            f"| {' | '.join(COLUMNS)} |",
            "|" + "---|" * len(COLUMNS),
        ]
        for row in rows:
            name, *others = map(plain, cells(row))
            lines.append(f"| {f'**{name}**' if row in best else name} | {' | '.join(others)} |")
        lines.append("")
    if c.rows:
        lines.append(
            "Bold: none at any budget has fewer errors in as few bytes. `software`: the engine "
            "does not run it there."
        )
    lines += [f"- Failed: {plain(item.name)} ({plain(item.value)})" for item in c.failed]
    lines += [f"- {c.missing} results are not there yet."] if c.missing else []
    return "\n".join([*lines, ""])


def picture(comparison: Comparison) -> str:
    """Mean error over storage, spread over seeds, coloured by family; the front is joined."""
    from matplotlib.figure import Figure

    with styled():
        figure = Figure(figsize=(10.4, 5.6), layout="constrained")
        axes = figure.subplots()
        for index, family in enumerate(comparison.families):
            rows = [row for row in comparison.rows if row.family == family]
            look = {
                "color": PALETTE[index % len(PALETTE)],
                "marker": MARKERS[index % len(MARKERS)],
                "label": family,
            }
            axes.errorbar(
                [row.bytes for row in rows],
                [row.error for row in rows],
                _whiskers(rows),
                **{**look, "ls": "none", "ms": 5, "elinewidth": 0.9, "alpha": 0.85},
            )
        _join(axes, front(comparison.rows))
        dense = comparison.dense
        axes.axhline(
            dense.error, color=SOFT, lw=1, ls=":", label=f"dense, {dense.bytes:,.0f} bytes"
        )
        axes.set(xlabel="bytes of the recurrent layers' weights", ylabel="error rate, %")
        if len({dense.error, *(error for row in comparison.rows for error in row.errors)}) == 1:
            # All errors are equal, so there is nothing to choose a range by.
            axes.set_ylim(0.5 * dense.error or -1, 2 * dense.error or 1)
        _logarithmic(axes, comparison.rows)
        axes.grid()
        figure.legend(loc="outside lower center", ncols=5)
        best = front(comparison.rows)
        if best:
            names.write(axes, [(row.bytes, row.error, row.name, "left") for row in best])
        return to_svg(figure, "compare", "Error rate over bytes, by family of methods")


def _whiskers(rows: Sequence[Row]) -> list[list[float]]:
    below = [row.error - min(row.errors) for row in rows]
    return [below, [max(row.errors) - row.error for row in rows]]


def _logarithmic(axes: Any, rows: Sequence[Row]) -> None:
    """Both axes; that of errors straight where one is 0."""
    axes.set_xscale("log")
    if positive := all(min(row.errors) > 0 for row in rows):
        axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis) if positive else (axes.xaxis,):
        low, high = axis.get_view_interval()
        numbered(axis, named="23456789" if high < 8 * low else "235")


def _join(axes: Any, rows: Sequence[Row]) -> None:
    axes.plot(
        [row.bytes for row in rows],
        [row.error for row in rows],
        drawstyle="steps-post",
        color=INK,
        lw=1,
        alpha=0.6,
        label="no method is better",
    )
    if rows:
        axes.set_xlim(left=0.6 * rows[0].bytes)  # room for the first name


def page(comparison: Comparison) -> str:
    """One HTML page that needs nothing but itself."""
    template = environment().get_template("comparison.html")
    return template.render(
        c=comparison,
        kinds=legends(comparison),
        columns=COLUMNS,
        cells=cells,
        spread=spread,
        clocks=clocks((comparison.dense, *comparison.rows)),
        best=front(comparison.rows),
        drawn=Markup(picture(comparison)) if comparison.rows else None,
    )


def write(folder: Path, name: str, comparison: Comparison) -> Iterator[Path]:
    """NAME.md, NAME.svg and NAME.html in `folder`."""
    yield write_atomic(folder / f"{name}.md", markdown(comparison, f"{name}.svg"))
    if comparison.rows:
        yield write_atomic(folder / f"{name}.svg", standalone(picture(comparison)))
    yield write_atomic(folder / f"{name}.html", page(comparison))
