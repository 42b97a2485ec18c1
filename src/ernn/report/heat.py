"""A table of numbers as a heat map."""

from collections.abc import Sequence
from math import radians, sin
from textwrap import wrap

from ernn.report.svg import styled, to_svg

LETTER = 0.085  # inches that a letter is wide
TILT = 20  # degrees of the columns' names


def heat_map(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    label: str,
) -> str:
    """Inline SVG, a cell with each number in it, empty for None. `label`: what the numbers are."""
    import numpy as np
    from matplotlib.figure import Figure

    table = np.array(
        [[np.nan if value is None else value for value in row] for row in values], float
    )
    names, longest = (LETTER * max(map(len, texts)) for texts in (rows, columns))
    width = max(names, longest) + 1.1 * len(columns) + 1.5
    lines = wrap(label, int(0.8 * width / LETTER))
    height = 0.32 * len(rows) + longest * sin(radians(TILT)) + 0.2 * len(lines) + 0.5
    largest = max(float(np.nanmax(np.abs(table))), 0.01)
    with styled():
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(table, cmap="OrRd", vmin=0, vmax=largest, aspect="auto")
        for row, column in np.argwhere(np.isfinite(table)):
            dark = table[row, column] > 0.6 * largest
            axes.text(
                column,
                row,
                f"{table[row, column]:.2f}",
                ha="center",
                va="center",
                color="w" if dark else "k",
            )
        axes.set_xticks(range(len(columns)), columns, rotation=TILT, ha="right")
        axes.set_yticks(range(len(rows)), rows)
        axes.spines[:].set_visible(False)
        figure.colorbar(image, ax=axes, shrink=0.8)
        axes.set_xlabel("\n".join(lines))
        return to_svg(figure, "heat", label)
