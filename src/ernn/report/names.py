"""Names beside the points of a plot, moved apart where one would lie on another."""

from collections.abc import Sequence
from typing import Any

from ernn.report.svg import SOFT

FAR = 4.0
"""Points of print that a name may be moved before a line leads to what it names."""


def write(
    axes: Any,
    points: Sequence[tuple[float, float, str, str]],
    size: float = 7.5,
    away: float = 7.0,
) -> None:
    """Names of points (x, y, name, "left" or "right" of it), when the rest of the plot is drawn.

    One that would touch another, or a point, is moved down. size: of the letters, away: from the
    point, both in points of print.
    """
    from matplotlib.transforms import Bbox

    axes.figure.draw_without_rendering()  # which settles where points come to lie
    dots = 72 / axes.figure.dpi
    taken = [
        Bbox((place - 3 / dots, place + 3 / dots))
        for place in axes.transData.transform([point[:2] for point in points])
    ]
    for x, y, name, side in sorted(points, key=lambda point: -point[1]):
        off = -away if side == "left" else away
        look = {"textcoords": "offset points", "fontsize": size, "va": "center"}
        text = axes.annotate(name, (x, y), (off, 0), ha="right" if off < 0 else "left", **look)
        text.set_in_layout(False)
        start = box = text.get_window_extent()
        while hit := next((one for one in taken if one.overlaps(box)), None):
            box = box.translated(0, hit.y0 - box.y1 - 0.5)
        taken.append(box)
        down = (box.y0 - start.y0) * dots
        text.xyann = (off, down)
        if -down > FAR:
            line = {"arrowstyle": "-", "color": SOFT, "lw": 0.5, "shrinkA": 0, "shrinkB": 2}
            axes.annotate("", (x, y), (off, down), textcoords="offset points", arrowprops=line)
