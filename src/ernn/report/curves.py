"""Curves of several networks side by side, a panel for each thing that is varied."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ernn.report.plots import MARKERS, PALETTE
from ernn.report.svg import styled, to_svg

LINES = ("-", "--", ":")
COLUMNS = 3
EVEN = 20
"""Levels whose largest is more times the smallest are drawn on a logarithmic axis."""


@dataclass(frozen=True)
class Curve:
    """(x, y) pairs by rising x; the one at x = 0 is where nothing is varied."""

    name: str
    points: tuple[tuple[float, float], ...]


def curves(panels: Mapping[str, Sequence[Curve]], label: str) -> str:
    """Inline SVG. panels: curves by the words at their axis; label: what is drawn upwards."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(curve.name for some in panels.values() for curve in some))
    rows = -(-len(panels) // COLUMNS)
    with styled():
        figure = Figure(
            figsize=(3.5 * min(COLUMNS, len(panels)), 2.9 * rows + 0.5), layout="constrained"
        )
        for number, (words, some) in enumerate(panels.items(), 1):
            axes = figure.add_subplot(rows, min(COLUMNS, len(panels)), number)
            for curve in some:
                index = names.index(curve.name)
                look: dict[str, Any] = {
                    "color": PALETTE[index % len(PALETTE)],
                    "marker": MARKERS[index % len(MARKERS)],
                }
                look["ls"] = LINES[index % len(LINES)]  # curves may lie on each other
                axes.plot(*zip(*curve.points, strict=True), label=curve.name, ms=4, lw=1.2, **look)
            levels = sorted({x for curve in some for x, _ in curve.points if x > 0})
            if levels and levels[-1] > EVEN * levels[0]:
                axes.set_xscale("symlog", linthresh=levels[0])
                axes.set_xticks([0.0, *levels], [f"{level:g}" for level in (0.0, *levels)])
                axes.minorticks_off()
            axes.set_xlabel(words)
            axes.set_ylim(bottom=0)
            axes.grid()
        figure.supylabel(label, fontsize=9)
        legends = [axes.get_legend_handles_labels() for axes in figure.axes]
        marks = {name: mark for found in legends for mark, name in zip(*found, strict=True)}
        figure.legend(marks.values(), marks.keys(), loc="outside lower center", ncols=4)
        return to_svg(figure, "curves", f"{label}, over {'; '.join(panels)}")
