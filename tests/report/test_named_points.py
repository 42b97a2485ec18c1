"""Names of points of a plot can be read: none lies on another, or on a point."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from ernn.report import names


@pytest.mark.parametrize("side", ["left", "right"])
def test_names_lie_apart(side: str) -> None:
    rng = np.random.default_rng(0)
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    xs, ys = rng.uniform(1, 1.2, 12), rng.uniform(1, 1.5, 12)
    axes.plot(xs, ys, "o")
    axes.set(xlim=(0, 3), ylim=(0, 3))
    points = [(x, y, f"name {n}", side) for n, (x, y) in enumerate(zip(xs, ys, strict=True))]
    names.write(axes, points)
    written = [one for one in axes.texts if isinstance(one, Annotation) and one.get_text()]
    assert sorted(one.get_text() for one in written) == sorted(name for _, _, name, _ in points)
    boxes = [one.get_window_extent() for one in written]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert not any(
        one.contains(*at)
        for one in boxes
        for at in axes.transData.transform([*zip(xs, ys, strict=True)])
    )
