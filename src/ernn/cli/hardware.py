"""Commands of the path's second half: from integers to a placed engine and its report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ernn.cli import console
from ernn.cli.options import Json, Moved, PredictedClock, RunFolder, Seed, Strict, finite
from ernn.errors import UserError

if TYPE_CHECKING:
    from ernn.pipeline.run import Outcome
    from ernn.report.series import Designs
    from ernn.search.choice import Request

PANEL = "From integers to a proven, placed engine"

DeviceName = Annotated[str, typer.Option("--device", help="The FPGA; `ernn devices` lists them.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    for command in (design, build, verify, synth, place, export, bitstream, report):
        app.command(rich_help_panel=PANEL)(command)


def design(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A run directory, or a model.safetensors file.")
    ],
    device: DeviceName = "LFE5U-25F",
    goal: Annotated[
        str, typer.Option("--for", help="throughput, or latency (of one stream).")
    ] = "throughput",
    streams: Annotated[
        int | None,
        typer.Option(min=1, max=16, help="Independent sequences the engine interleaves."),
    ] = None,
    pes: Annotated[
        int | None, typer.Option(min=1, max=512, help="Processing elements side by side.")
    ] = None,
    clock: PredictedClock = None,
    margin: Annotated[
        float,
        typer.Option(
            min=0,
            max=0.9,
            help="Share of LUTs and flip-flops left free; both are estimates.",
        ),
    ] = 0.2,
    parity: Annotated[
        bool,
        typer.Option(
            "--parity",
            help="A parity bit for every word of weights, and a port that tells of upsets.",
        ),
    ] = False,
    once: Annotated[
        bool,
        typer.Option(
            "--once",
            help="Run the head of a network that gives its last step only once a sequence; "
            "packets of the input then end with sequences.",
        ),
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw time against the share of the device, as SVG.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Phase II: choose an engine for a device, and predict its cycles (exactly) and its area.

    What is not given is chosen: elements, groups, lines, lanes, chunks, streams. A
    run goes on with the best design.
    """
    from ernn.pipeline import choosing

    request = choosing.request(device, goal, streams, pes, clock, margin, parity, once)
    with console.working():
        outcome, found = _designed(model, request)
    if plot is not None:
        choosing.draw(found, plot)
    if as_json:
        described = {} if outcome is None else console.outcome_json(outcome)
        console.emit_json(described | {"designs": choosing.as_json(found)})
        return
    if outcome is not None:
        console.show(outcome, as_json=False)
    console.numbers(choosing.title(found), choosing.COLUMNS, choosing.rows(found))


def _designed(model: Path, request: "Request") -> "tuple[Outcome | None, Designs]":
    """What was found for a file, or for a run, which it is kept in."""
    from ernn.pipeline import choosing
    from ernn.pipeline.run import Run

    if model.is_file():
        return None, choosing.of_file(model, request)
    if model.suffix and not model.exists():
        raise UserError(
            f"{model} is not there: give a model.safetensors of a run, or a run directory"
        )
    run = Run.existing(model)
    from ernn.pipeline import hardware  # a run may be built next: this one wants its tools

    return hardware.design(run, request), choosing.of_run(run)


def build(run: RunFolder, as_json: Json = False) -> None:
    """Write the engine as Verilog, with its memories, into RUN/rtl."""
    from ernn.pipeline import hardware
    from ernn.pipeline.run import Run

    console.step(lambda: hardware.build(Run.existing(run)), as_json)


def verify(
    run: RunFolder,
    root: Moved = None,
    frames: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="At least so many frames of the test split.",
            show_default="2000, or all there are",
        ),
    ] = None,
    stall: Annotated[
        float,
        typer.Option(min=0, max=0.9, help="Probability that a handshake pauses."),
    ] = 0.2,
    seed: Seed = 0,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Simulate the Verilog on real frames: every integer must equal the golden model's.

    Exit status 1 if one does not. States at the ends of their formats are a warning.
    """
    from ernn.pipeline import hardware
    from ernn.pipeline.run import Run

    found = Run.existing(run, root)
    console.step(lambda: hardware.verify(found, frames, stall, seed), as_json)
    wrong = hardware.disagreement(found)
    if wrong:
        console.say(f"ernn: {wrong}")
        raise typer.Exit(1)
    console.warn(hardware.saturated_states(found), strict)


def synth(
    run: RunFolder,
    also: Annotated[
        list[str] | None,
        typer.Option(
            help="A further device to count for; `ernn devices` lists them; may be repeated."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Count LUTs, flip-flops, multipliers and memories by Yosys, for this and other devices."""
    from ernn.pipeline import placing
    from ernn.pipeline.run import Run

    found = Run.existing(run)
    with console.working():
        outcome = placing.synth(found, tuple(also or ()))
    counts = placing.counts(found)
    if as_json:
        console.emit_json(console.outcome_json(outcome) | {"areas": counts})
        return
    console.show(outcome, as_json=False)
    for device, rows in counts.items():
        cells = [(name, f"{row['used']:,}", f"{row['available']:,}") for name, row in rows.items()]
        console.table(f"{device} (estimated)", ("kind", "used", "there are"), cells, whole=3)


def place(
    run: RunFolder,
    seeds: Annotated[
        int,
        typer.Option(
            min=1, max=32, help="Placements, each of another seed; the median clock counts."
        ),
    ] = 3,
    grade: Annotated[
        int | None,
        typer.Option(
            help="The device's speed grade (ECP5: 6, 7 or 8); the slowest if not given.",
            show_default=False,
        ),
    ] = None,
    target_mhz: Annotated[
        float, typer.Option(callback=finite, min=1, help="The clock that nextpnr works towards.")
    ] = 200.0,
    as_json: Json = False,
) -> None:
    """Place and route for ECP5 by nextpnr: the clock, and with it frames per second and latency."""
    from ernn.pipeline import placing
    from ernn.pipeline.run import Run

    chosen = tuple(range(1, seeds + 1))
    console.step(lambda: placing.place(Run.existing(run), chosen, grade, target_mhz), as_json)


def export(
    run: RunFolder,
    part: Annotated[
        str, typer.Option(help="As Vivado names it, with package and speed grade.")
    ] = "xc7z020clg400-1",
    clock_mhz: Annotated[
        float, typer.Option(min=1, max=1000, help="The clock to constrain.")
    ] = 100.0,
    as_c: Annotated[
        bool,
        typer.Option(
            "--c",
            help="Write RUN/c instead: the network in integers as C99 that needs nothing, for "
            "microcontrollers and testbenches.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Write RUN/vivado: Verilog, memories, constraints, and Tcl that builds and packages an IP.

    Vivado is not run.
    """
    from ernn.pipeline.run import Run

    found = Run.existing(run)
    if as_c:
        from ernn.pipeline.in_c import in_c

        written = in_c(found)
    else:
        from ernn.pipeline.exports import vivado

        written = vivado(found, part, clock_mhz)
    if as_json:
        console.emit_json(
            {"step": "export", "run": str(run), "files": [str(path) for path in written]}
        )
    else:
        console.table("\n".join(f"export: {path}" for path in written), (), ())


def bitstream(
    run: RunFolder,
    board: Annotated[str, typer.Option(help="ulx3s-25f, ulx3s-45f or ulx3s-85f.")] = "ulx3s-85f",
    clock_mhz: Annotated[
        float,
        typer.Option(min=10, max=400, help="The engine's clock, made by the PLL."),
    ] = 75.0,
    baud: Annotated[
        int, typer.Option(min=9600, help="Bits a second on the serial line to the host.")
    ] = 3_000_000,
    seed: Annotated[
        int, typer.Option(min=1, help="Seed of place and route; another gives another clock.")
    ] = 1,
    as_json: Json = False,
) -> None:
    """Make RUN/board/ernn.bit for an ECP5 board: the engine on a serial line. Tried on no board."""
    from ernn.pipeline import exports
    from ernn.pipeline.run import Run

    with console.working():
        made, path = exports.board(Run.existing(run), board, clock_mhz, baud, seed)
    figures = {
        "board": made.board,
        "clock_mhz": made.clock_mhz,
        "reached_mhz": round(made.reached_mhz, 1),
        "baud": baud,
    }
    if as_json:
        console.emit_json({"step": "bitstream", "run": str(run), "bitstream": str(path), **figures})
    else:
        rows = [(name, str(value)) for name, value in figures.items()]
        console.table(f"bitstream: {path}", ("what", "value"), rows)


def report(run: RunFolder, as_json: Json = False) -> None:
    """Write RUN/report.html, one page that needs nothing but itself, from RUN/record.json."""
    from ernn.pipeline import summary
    from ernn.pipeline.run import Run

    page = summary.write(Run.existing(run))
    if as_json:
        console.emit_json({"step": "report", "run": str(run), "report": str(page)})
    else:
        console.table(f"report: {page}", (), ())
