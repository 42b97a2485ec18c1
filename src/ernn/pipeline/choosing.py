"""`ernn design`: a request in words, what was found as plain values, rows and a picture."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from ernn.estimate.area import RESOURCES, shipped
from ernn.estimate.clock import Clock
from ernn.estimate.device import find_device
from ernn.files import write_atomic
from ernn.ir import serialization as codec
from ernn.ir.integer_model import IntegerModel
from ernn.pipeline.run import Run
from ernn.report import series
from ernn.report.record import Measurement, RunRecord
from ernn.report.series import DesignRow, Designs, Item
from ernn.search.choice import MARGIN, Choice, Request
from ernn.search.hardware import SearchResult, search
from ernn.search.space import Goal

UNITS = {"lut": "LUT", "ff": "FF", "dsp": "multipliers", "block_ram": "kbit"}
COLUMNS = (
    *(
        "",
        "elements",
        "groups × words",
        "lanes",
        "streams",
        "cycles a frame",
        "latency, cycles",
        "MHz",
        "pipeline",
    ),
    *("frames/s", "latency µs", "LUT", "FF", "DSP", "block RAM kbit", "of the device"),
)
PROXY = (
    "; no register or addition is packed into DSP48E2 by Yosys: a 7-series device is the better "
    "proxy for LUT and FF"
)


def request(
    device: str,
    goal: str = "throughput",
    streams: int | None = None,
    pes: int | None = None,
    clock: float | None = None,
    margin: float = MARGIN,
    parity: bool = False,
    once: bool = False,
) -> Request:
    """The request that these words make; UserError for an unknown device or goal."""
    found = find_device(device)
    assumed = Clock.assumed(found) if clock is None else Clock.given(clock)
    return Request(found, assumed, cast(Goal, goal), streams, pes, margin, parity, once)


def options(request: Request) -> Mapping[str, Any]:
    """A request as plain values."""
    return asdict(request) | {"device": request.device.name, "points": shipped().rtl}


def of_file(path: Path, request: Request) -> Designs:
    """What a search finds for a saved model."""
    return designs(search(codec.load(path, IntegerModel), request))


def of_run(run: Run) -> Designs:
    """What the run's search found."""
    found = series.take(run.record, Designs)
    assert found is not None
    return found


def designs(found: SearchResult) -> Designs:
    """What was found, for records and pictures: the fitting designs, smallest first."""
    request, fitting = (
        found.request,
        [one for one in found.scheduled if found.request.fits(one.use)],
    )
    rows = [
        _row(one, found)
        for one in sorted(fitting, key=lambda one: (one.share, one.cycles_per_frame))
    ]
    return Designs(
        kind="estimated",
        tool=tool(request),
        device=request.device.name,
        goal=request.goal,
        margin=request.margin,
        clock=request.clock.source,
        complete=found.complete,
        limits=tuple(Item(name, str(request.limit(name))) for name in RESOURCES),
        rows=tuple(rows),
    )


def tool(request: Request) -> str:
    proxy = PROXY if request.device.is_ultrascale else ""
    points = shipped()
    fit = f"area fitted to {len(points.of(request.device.family))} engines of {points.tool}{proxy}"
    return f"ernn.scheduling.schedule; {fit}"


def _row(choice: Choice, found: SearchResult) -> DesignRow:
    design = choice.design
    return DesignRow(
        pes=design.pes,
        splits=design.splits,
        words=design.words,
        lanes=design.lanes,
        streams=design.streams,
        chunk=design.chunk,
        multipliers=choice.multipliers,
        cycles_per_frame=choice.cycles_per_frame,
        latency_cycles=choice.latency,
        utilisation=round(choice.utilisation, 4),
        clock_mhz=round(choice.clock_mhz, 1),
        fps=round(choice.fps, 1),
        latency_us=round(choice.latency_us, 3),
        lut=choice.use.lut,
        ff=choice.use.ff,
        dsp=choice.use.dsp,
        block_ram=choice.use.block_ram,
        share=round(choice.share, 4),
        best=choice is found.best,
        front=any(choice is one for one in found.front),
        pipeline=design.pipeline
        + (", forwarding" if design.forwarding else "")
        + (", head once" if design.once else ""),
    )


def record(run: RunRecord, found: SearchResult) -> None:
    """The best design's predicted area, clock and speed, and the designs around it."""
    best, by = found.best, tool(found.request)
    for name in RESOURCES:
        limit, all_of_it = found.request.limit(name), getattr(found.request.device, name).value
        note = f"{limit:,} may be used of {all_of_it:,}"
        value = getattr(best.use, name)
        run.set(f"chosen.{name}", Measurement(value, UNITS[name], "estimated", by, note=note))
    clock = Measurement(
        best.clock_mhz, "MHz", "estimated", f"assumed: {found.request.clock.source}"
    )
    run.set("chosen.clock_mhz", clock)
    speed = "assumed clock ÷ predicted cycles"
    run.set("chosen.fps", Measurement(round(best.fps, 1), "frames/s", "estimated", speed))
    run.set("chosen.latency_us", Measurement(round(best.latency_us, 3), "µs", "estimated", speed))
    series.put(run, designs(found))


# --- shown


def as_json(found: Designs) -> dict[str, Any]:
    """The best design, the front and every other that fits."""
    values = asdict(found)
    rows = values.pop("rows")
    best = next(row for row in rows if row["best"])
    limits = {item["name"]: int(item["value"]) for item in values.pop("limits")}
    return values | {
        "limits": limits,
        "best": best,
        "front": [row for row in rows if row["front"]],
        "all": rows,
    }


def title(found: Designs) -> str:
    limits = ", ".join(f"{int(item.value):,} {UNITS[item.name]}" for item in found.limits)
    missed = "" if found.complete else "; the budget of schedules ended the search"
    return (
        f"For {found.goal} on {found.device}: the best, and the front{missed}. Within {limits} "
        f"({found.margin:.0%} of LUT and FF left free). Cycles: exact. Clock: assumed "
        f"({found.clock}). Area: estimated."
    )


def rows(found: Designs) -> list[tuple[str, ...]]:
    """The best design and the front."""
    shown = [row for row in found.rows if row.best or row.front]
    return [
        (
            *(
                "best" if row.best else "",
                str(row.pes),
                f"{row.splits} × {row.words}",
                str(row.lanes),
            ),
            *(
                str(row.streams),
                f"{row.cycles_per_frame:,.4g}",
                f"{row.latency_cycles:,}",
                f"{row.clock_mhz:.0f}",
                row.pipeline,
            ),
            *(f"{row.fps:,.0f}", f"{row.latency_us:,.4g}", f"{row.lut:,}", f"{row.ff:,}"),
            *(str(row.dsp), f"{row.block_ram:,}", f"{row.share:.0%}"),
        )
        for row in shown
    ]


def draw(found: Designs, path: Path) -> Path:
    """The picture, as a file that stands alone."""
    from ernn.report import plots

    return write_atomic(path, standalone(plots.designs(found)))


def standalone(svg: str) -> str:
    """An inline picture with the colours of the report's page, and its namespace."""
    colours = {"--ink": "#1f2328", "--soft": "#57606a", "--rule": "#c8ccd0", "--paper": "#ffffff"}
    for name, colour in colours.items():
        svg = svg.replace(f"var({name})", colour)
    return (
        svg
        if "xmlns=" in svg
        else svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    )
