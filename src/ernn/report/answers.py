"""What a network says, drawn: classes taken for others, and numbers beside what is right."""

from typing import Any

from ernn.report.plots import PALETTE, WIDE
from ernn.report.series import Decisions, Trace, Traced
from ernn.report.svg import INK, SOFT, styled, to_svg

CELL = 0.34  # inches of a class in the table of confusions
MOST_NAMED = 24
"""Classes whose counts are written into their cells."""
SHOWN = 6
"""Traces of a sequence that are drawn, and points clouds."""


def confusion(found: Decisions) -> str:
    """A row for each true class, a column for each that was said; shares of the row as colour."""
    import numpy as np
    from matplotlib.figure import Figure

    counts = np.array(found.confusion, float)
    shares = counts / np.maximum(1, counts.sum(1, keepdims=True))
    names, few = [row.name for row in found.rows], len(found.rows) <= MOST_NAMED
    side = CELL * len(names) if few else CELL * MOST_NAMED
    room = 0.085 * max(map(len, names)) + 0.6
    with styled():
        figure = Figure(figsize=(side + room + 0.4, side + room), layout="constrained")
        axes = figure.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="said", ylabel="true")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        for row, column in np.argwhere(counts > 0) if few else ():
            dark = shares[row, column] > 0.5
            text = f"{counts[row, column]:.0f}"
            look = {"ha": "center", "va": "center", "size": 7.5, "color": "w" if dark else "k"}
            axes.text(column, row, text, **look)
        return to_svg(figure, "confusion", "Classes said, by the true class")


def traces(item: Traced, frame_ms: float | None, name: str) -> str:
    """Numbers over time, what is right behind what was said."""
    from matplotlib.figure import Figure

    shown = item.traces[:SHOWN]
    step = 1.0 if frame_ms is None else frame_ms / 1000
    with styled():
        figure = Figure(figsize=(WIDE, 1.1 * len(shown) + 0.8), layout="constrained")
        panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
        for axes, trace in zip(panels, shown, strict=True):
            times = [step * frame for frame in range(len(trace.truth))]
            axes.plot(times, trace.truth, color=SOFT, lw=3, alpha=0.45, label="right")
            axes.plot(times, trace.said, color=PALETTE[0], lw=1.2, label="said")
            axes.set_ylabel(trace.name)
            axes.grid()
        panels[0].legend(loc="upper right", ncols=2)
        panels[-1].set_xlabel("frames" if frame_ms is None else "seconds")
        return to_svg(figure, name, f"{item.id}: numbers said, and what is right, over time")


def clouds(item: Traced, name: str) -> str:
    """What was said over what is right, a point for each sequence."""
    from matplotlib.figure import Figure

    shown = item.traces[:SHOWN]
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    with styled():
        figure = Figure(figsize=(3.2 * columns, 3.0 * rows), layout="constrained")
        for index, trace in enumerate(shown, 1):
            _cloud(figure.add_subplot(rows, columns, index), trace)
        return to_svg(figure, name, f"{item.id}: numbers said over what is right")


def _cloud(axes: Any, trace: Trace) -> None:
    ends = (min(trace.truth), max(trace.truth))
    axes.plot(ends, ends, color=INK, lw=1, alpha=0.5)
    axes.scatter(trace.truth, trace.said, s=9, color=PALETTE[0], alpha=0.6, linewidths=0)
    axes.set(xlabel=f"{trace.name}, right", ylabel="said")
    axes.grid()
