"""The report's figures, each a function from a series to an inline
SVG; matplotlib is imported late.
"""

import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any

from ernn.report.align import aligned
from ernn.report.series import (
    Clocks,
    Convergence,
    DesignRow,
    Designs,
    LayerPicture,
    MatrixBits,
    NetworkPicture,
    Precision,
    Schedule,
    ScheduleBar,
    Token,
    Utterance,
)
from ernn.report.svg import INK, PAPER, RULE, SOFT, styled, to_svg

# After Paul Tol's "bright", darkened so that white text on it, and it on light or dark paper, can
# be read.
PALETTE = ("#4477aa", "#d94f63", "#228833", "#a67c00", "#2f8fb3", "#aa3377", "#777777", "#c9662a")
MARKERS = "osD^vPX*"
WRONG = "#d1495b"
WIDE, HALF = 10.4, 5.0  # inches


def _axes(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _colour(index: int) -> str:
    return PALETTE[index % len(PALETTE)]


def convergence(series: Convergence) -> str:
    """‖W−Z‖/‖W‖ of every matrix over ADMM updates."""
    positive = [v for m in series.matrices for v in m.values if v > 0]
    floor = min(positive, default=1.0) / 2
    with styled():
        figure, axes = _axes(HALF, 3.1 + 0.16 * math.ceil(len(series.matrices) / 2))
        for index, matrix in enumerate(series.matrices):
            values = [max(v, floor) for v in matrix.values]
            dashes = "-" if index < len(PALETTE) else "--"
            axes.plot(
                range(1, 1 + len(values)),
                values,
                dashes,
                color=_colour(index),
                lw=1.6,
                marker=".",
                label=matrix.name,
            )
        axes.set(xlabel="ADMM update", ylabel="‖W − Z‖ / ‖W‖")
        _ratios(axes, positive, lambda value: f"{value:.4g}")
        axes.set_xlim(0.5, 0.5 + max((len(m.values) for m in series.matrices), default=1))
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(axis="y")
        if series.matrices:
            figure.legend(loc="outside lower left", ncols=2)
        return to_svg(
            figure, "convergence", "Distance of each matrix to its structure over ADMM updates"
        )


def numbered(
    axis: Any, write: Callable[[float], str] = lambda value: f"{value:,.9g}", named: str = "25"
) -> None:
    """Numbers without an exponent; between the powers of a logarithmic axis, of these digits."""
    axis.set_major_formatter(lambda value, _: write(value))
    if axis.get_scale() == "log":
        axis.set_minor_formatter(lambda value, _: write(value) if f"{value:e}"[0] in named else "")


def _ratios(axes: Any, values: Sequence[float], write: Callable[[float], str]) -> None:
    """A logarithmic axis for values over a wide range; over less it would have no numbers."""
    if max(values, default=1.0) > 4 * min(values, default=1.0):
        axes.set_yscale("log")
    numbered(axes.yaxis, write)


def precision(series: Precision) -> str:
    """The worst edge's error over time, in per cent of its rms."""
    with styled():
        figure, axes = _axes(HALF, 2.2)
        percent = [100 * error for error in series.over_time]
        axes.plot(percent, color=PALETTE[1], lw=1.4)
        axes.set(
            xlabel="stretch of time", ylabel="error, % rms", ylim=(0, 1.08 * max(percent) or 1)
        )
        axes.grid(axis="y")
        return to_svg(figure, "precision", f"Error of {series.worst} over time")


def designs(series: Designs) -> str:
    """Frames per second, or latency, against the largest share of the device; the front joined."""
    throughput = series.goal == "throughput"

    def point(row: DesignRow) -> tuple[float, float]:
        return 100 * row.share, row.fps if throughput else row.latency_us

    front = sorted(point(row) for row in series.rows if row.front)
    best = next(row for row in series.rows if row.best)
    with styled():
        figure, axes = _axes(HALF, 3.4)
        others = [point(row) for row in series.rows if not row.front]
        if others:
            axes.plot(*zip(*others, strict=True), "o", ms=4, color=RULE, label="other designs")
        axes.plot(*zip(*front, strict=True), "o-", ms=5, lw=1.2, color=PALETTE[0], label="front")
        axes.plot(
            *point(best),
            "o",
            ms=9,
            mfc="none",
            mew=2,
            color=PALETTE[2],
            label=f"best: {_design(best)}",
        )
        axes.set_xlim(0, max(100.0, 105 * max(row.share for row in series.rows)))
        axes.set(
            xlabel=f"largest share of {series.device} taken, %",
            ylabel="frames/s" if throughput else "latency, µs",
        )
        _ratios(axes, [point(row)[1] for row in series.rows], _plain)
        axes.grid()
        figure.legend(loc="outside lower left", ncols=2)
        return to_svg(
            figure, "designs", f"{series.goal} of designs against what they take of {series.device}"
        )


def _plain(value: float) -> str:
    """All its digits, never an exponent."""
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _design(row: DesignRow) -> str:
    groups = f" × {row.splits}" if row.splits > 1 else ""
    streams = f"{row.streams} stream{'s' * (row.streams > 1)}"
    return f"{row.pes}{groups} elements, {row.multipliers} multipliers, {streams}"


def clocks(series: Clocks) -> str:
    """One dot per seed, the best named, and the median where a seed has reached it."""
    reached = [run.mhz for run in series.runs]
    middle, best = median(reached), max(reached)
    with styled():
        figure, axes = _axes(HALF, 1.0 + 0.27 * len(reached))
        rows = range(len(reached))
        axes.hlines(rows, 0, reached, color=RULE, lw=1)
        for row, run in zip(rows, series.runs, strict=True):
            axes.plot(
                run.mhz, row, "o", ms=6.5, color=PALETTE[2] if run.mhz == best else PALETTE[0]
            )
            role = " best" if run.mhz == best else " median" if run.mhz == middle else ""
            axes.annotate(
                f"{run.mhz:.1f}{role}",
                (run.mhz, row),
                (7, 0),
                textcoords="offset points",
                va="center",
            )
        if series.constraint_mhz is not None:
            axes.axvline(
                series.constraint_mhz, color=SOFT, lw=1, ls=":", label="asked of the placer"
            )
            figure.legend(loc="outside lower right")
        axes.set_yticks(rows, [f"seed {run.seed}" for run in series.runs])
        axes.set(xlabel="MHz", xlim=(0, 1.28 * best), ylim=(len(reached) - 0.4, -0.6))
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        return to_svg(figure, "clocks", "Clock reached by each place-and-route seed")


def utterance(item: Utterance, frame_ms: float | None, feature: str, name: str) -> str:
    """Features over time; below them the truth and what was recognised, on the same time axis."""
    from matplotlib.figure import Figure

    seconds = 1.0 if frame_ms is None else frame_ms / 1000
    unit = "frames" if frame_ms is None else "seconds"
    with styled():
        figure = Figure(figsize=(WIDE, 3.9), layout="constrained")
        picture, lanes = figure.subplots(2, 1, sharex=True, height_ratios=(2.6, 1))
        _features(picture, item, seconds, feature)
        correct_truth, correct_found = _correct(item)
        _lane(lanes, 1, item.truth, seconds, correct_truth, PALETTE[0])
        _lane(lanes, 0, item.recognised, seconds, correct_found, PALETTE[2])
        lanes.set_yticks((1, 0), ("truth", "recognised"))
        lanes.set(xlabel=unit, ylim=(-0.6, 1.6), xlim=(0, len(item.features) * seconds))
        lanes.spines["left"].set_visible(False)
        lanes.tick_params(axis="y", length=0)
        return to_svg(
            figure, name, f"Utterance {item.id}: features, truth and recognised labels over time"
        )


def _features(axes: Any, item: Utterance, seconds: float, feature: str) -> None:
    import numpy as np

    values = np.asarray(item.features, dtype=float).T
    low, high = np.percentile(values, (2, 98))
    extent = (0, values.shape[1] * seconds, 0, values.shape[0])
    axes.imshow(
        values, aspect="auto", origin="lower", cmap="magma", vmin=low, vmax=high, extent=extent
    )
    axes.set_ylabel(textwrap.fill(feature, 24), fontsize=8)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(axis="x", length=0, labelbottom=False)


def _correct(item: Utterance) -> tuple[set[int], set[int]]:
    truth, found = [t.label for t in item.truth], [t.label for t in item.recognised]
    equal = [
        (p.truth, p.recognised)
        for p in aligned(item)
        if p.truth is not None
        and p.recognised is not None
        and truth[p.truth] == found[p.recognised]
    ]
    return {i for i, _ in equal}, {j for _, j in equal}


def _lane(
    axes: Any, row: int, tokens: Sequence[Token], seconds: float, correct: set[int], colour: str
) -> None:
    size = 9 if len(tokens) <= 30 else 7
    for index, token in enumerate(tokens):
        if token.start is None:
            continue
        end = token.start + 1 if token.end is None else max(token.end, token.start + 1)
        left, width = token.start * seconds, (end - token.start) * seconds
        right = index in correct
        face = colour if right else WRONG
        axes.broken_barh(
            [(left, width)],
            (row - 0.4, 0.8),
            facecolors=face,
            alpha=0.28,
            edgecolors=face,
            ls="-" if right else "--",
        )
        weight = "normal" if right else "bold"
        axes.text(
            left + width / 2,
            row,
            token.label,
            ha="center",
            va="center",
            weight=weight,
            fontsize=size,
        )


def schedule(series: Schedule) -> str:
    """Who is busy when: a row per unit, a colour per stream (per label if there is one stream)."""
    bars = coalesced(series.bars)
    streams = sorted({bar.stream for bar in bars})
    keys: list[Any] = (
        streams if len(streams) > 1 else list(dict.fromkeys(bar.label for bar in bars))
    )
    start, end = min(bar.start for bar in bars), max(bar.end for bar in bars)
    with styled():
        figure, axes = _axes(WIDE, 1.25 + 0.46 * len(series.units))
        for bar in bars:
            key = keys.index(bar.stream if len(streams) > 1 else bar.label)
            _bar(axes, bar, series.units.index(bar.unit), _colour(key), end - start)
        _mark_round(axes, series)
        axes.set_yticks(range(len(series.units)), series.units)
        axes.set(xlabel="cycles", xlim=(start, end), ylim=(len(series.units) - 0.45, -1.0))
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        names = [f"stream {key}" for key in keys] if len(streams) > 1 else keys
        _key(figure, names)
        return to_svg(figure, "schedule", "Which unit of the engine is busy in which cycles")


def _bar(axes: Any, bar: ScheduleBar, row: int, colour: str, span: int) -> None:
    width = bar.end - bar.start
    axes.broken_barh(
        [(bar.start, width)], (row - 0.34, 0.68), facecolors=colour, edgecolors=PAPER, lw=0.6
    )
    room = width / span * 150  # characters of this size across the figure
    text = next((t for t in (bar.label, bar.label.split(" ")[0]) if len(t) < room), "")
    axes.text(
        bar.start + width / 2, row, text, ha="center", va="center", fontsize=7.5, color="#ffffff"
    )


def _mark_round(axes: Any, series: Schedule) -> None:
    left, right = series.round_start, series.round_end
    axes.axvspan(left, right, color=RULE, alpha=0.35, lw=0, zorder=0)
    axes.annotate(
        "", (left, -0.58), (right, -0.58), arrowprops={"arrowstyle": "<->", "color": INK, "lw": 1}
    )
    text = f"one round: {right - left:,} cycles"
    axes.text((left + right) / 2, -0.66, text, ha="center", va="bottom", weight="bold")


def _key(figure: Any, names: Iterable[str]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=_colour(index), label=name) for index, name in enumerate(names)]
    if len(handles) > 1:
        figure.legend(handles=handles, loc="outside upper right", ncols=min(8, len(handles)))


def coalesced(bars: Sequence[ScheduleBar]) -> list[ScheduleBar]:
    """Bars of one unit, label and stream that touch or overlap, as one bar."""
    merged: list[ScheduleBar] = []
    for bar in sorted(bars, key=lambda b: (b.unit, b.stream, b.label, b.start)):
        last = merged[-1] if merged else None
        if (
            last
            and (last.unit, last.stream, last.label) == (bar.unit, bar.stream, bar.label)
            and bar.start <= last.end
        ):
            merged[-1] = ScheduleBar(
                bar.unit, last.start, max(last.end, bar.end), bar.label, bar.stream
            )
        else:
            merged.append(bar)
    return sorted(merged, key=lambda b: (b.start, b.unit))


def network(series: NetworkPicture) -> str:
    """A column per layer, its matrices below each other, a field per gate; one scale, in points."""
    layers = [layer for layer in series.layers if layer.matrices]
    page = WIDE * 72
    gap, narrowest = min(64, 0.35 * page / (len(layers) + 1)), min(78, 0.3 * page / len(layers))
    outputs = [max(m.gates * m.rows for m in layer.matrices) for layer in layers]
    inputs = [sum(m.columns for m in layer.matrices) for layer in layers]
    scale = min(_scale(outputs, narrowest, page - gap * (len(layers) + 1)), HIGHEST / max(inputs))
    widths = [max(narrowest, scale * size) for size in outputs]
    height = 52 + max(sum(m.columns * scale + CAPTION for m in layer.matrices) for layer in layers)
    with styled():
        figure = _blank(max(sum(widths) + gap * (len(layers) + 1), LEAST), height)
        left = gap
        _arrow(figure.axes[0], left - gap, left, height - 18, str(layers[0].inputs))
        for number, (layer, width) in enumerate(zip(layers, widths, strict=True)):
            _layer(figure.axes[0], layer, left, width, height, scale, _colour(number))
            _arrow(
                figure.axes[0], left + width, left + width + gap, height - 18, str(layer.outputs)
            )
            left += width + gap
        return to_svg(
            figure,
            "network",
            "The network's weight matrices to scale, and how much of each is stored",
        )


# Points: above each matrix, for its name and size; the most that a layer's matrices may be high
# together.
CAPTION, HIGHEST = 30, 230
LEAST = 200  # wide: room for the words of a narrow network


def _scale(sizes: Sequence[int], narrowest: float, room: float) -> float:
    """The largest scale at which columns of these sizes, `narrowest` or wider, fit `room`."""
    low, high = 0.0, room / max(sizes)
    for _ in range(30):
        middle = (low + high) / 2
        fits = sum(max(narrowest, middle * size) for size in sizes) <= room
        low, high = (middle, high) if fits else (low, middle)
    return low


def _blank(width: float, height: float) -> Any:
    """A figure whose one, invisible pair of axes is in points from the lower left corner."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    return figure


def _arrow(axes: Any, left: float, right: float, y: float, text: str) -> None:
    axes.annotate(
        "",
        (right - 6, y),
        (left + 6, y),
        arrowprops={"arrowstyle": "-|>", "color": SOFT, "lw": 1.2},
    )
    axes.text((left + right) / 2, y + 5, text, ha="center", va="bottom", color=SOFT)


def _layer(
    axes: Any,
    layer: LayerPicture,
    left: float,
    width: float,
    height: float,
    scale: float,
    colour: str,
) -> None:
    from matplotlib.patches import FancyBboxPatch

    box = FancyBboxPatch(
        (left + 2, height - 28), width - 4, 20, boxstyle="round,pad=2", fc=colour, lw=0
    )
    axes.add_patch(box)
    text = (
        f"{layer.name}: {layer.type}"
        if width > 5.2 * (len(layer.name) + len(layer.type) + 2)
        else layer.name
    )
    axes.text(
        left + width / 2,
        height - 18,
        text,
        ha="center",
        va="center",
        weight="bold",
        color="#ffffff",
        fontsize=8,
    )
    top = height - 40
    for matrix in layer.matrices:
        top -= CAPTION
        _matrix(axes, matrix, left, top, scale, colour)
        top -= matrix.columns * scale


def _matrix(
    axes: Any, matrix: MatrixBits, left: float, top: float, scale: float, colour: str
) -> None:
    """Columns run downward, gates side by side; a gate's field is filled as far as it is stored."""
    from matplotlib.patches import Rectangle

    field, height = matrix.rows * scale, matrix.columns * scale
    stored = min(1.0, matrix.stored / (matrix.gates * matrix.rows * matrix.columns))
    for gate in range(matrix.gates):
        corner = (left + gate * field, top - height)
        axes.add_patch(Rectangle(corner, field, height, fc=colour, alpha=0.15, lw=0))
        axes.add_patch(Rectangle(corner, field * stored, height, fc=colour, lw=0))
        axes.add_patch(Rectangle(corner, field, height, fill=False, ec=colour, lw=0.8))
    block = "dense" if matrix.block == 1 else f"k = {matrix.block}"
    gates = f"{matrix.gates} gates of " if matrix.gates > 1 else ""
    axes.text(left, top + 14, matrix.name, ha="left", va="bottom", fontsize=8.5)
    axes.text(
        left,
        top + 4,
        f"{gates}{matrix.rows} × {matrix.columns}, {block}",
        ha="left",
        va="bottom",
        fontsize=7,
        color=SOFT,
    )
