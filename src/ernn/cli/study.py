"""Commands that look into a run's network: what each part bears, and what a device would spare."""

from typing import Annotated

import typer

from ernn.cli import console
from ernn.cli.options import Json, Moved, RunFolder, Seed, finite
from ernn.cli.search import PANEL


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    for command in (sensitivity, robustness, deltas):
        app.command(rich_help_panel=PANEL)(command)


def sensitivity(
    run: RunFolder,
    root: Moved = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            help="A structure to try: a block size, or as a recipe writes it; may be given again.",
            show_default="4, 8, 16",
        ),
    ] = None,
    gates: Annotated[
        bool, typer.Option("--gates", help="Compress each gate alone, not whole matrices.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compress each matrix of the dense network alone, without retraining, and show
    how the validation error rises.
    """
    from ernn.pipeline import sensitivity
    from ernn.pipeline.run import Run

    with console.working():
        structures = [sensitivity.structure_of(text) for text in to or ["4", "8", "16"]]
        found = sensitivity.measure(Run.existing(run, root), structures, gates)
    if as_json:
        console.emit_json(found.to_dict())
        return
    rows = [
        (
            line.part,
            str(line.structure),
            f"{line.error:.2f}",
            f"{line.error - found.dense:+.2f}",
            f"{line.stored:,}",
        )
        for line in sorted(found.lines, key=lambda line: line.error)
    ]
    title = (
        "Validation error in %, one part compressed at a time; "
        f"{found.dense:.2f} with none (measured)"
    )
    console.table(title, ("part", "structure", "error", "more", "numbers stored"), rows)
    if found.left_out:
        names = ", ".join(found.left_out)
        console.say(
            f"left out, as none fits their size: {names} (--to '{{block = 8, pad = true}}' pads)"
        )
    console.say(f"heat map: {found.picture}")


def robustness(
    run: RunFolder,
    root: Moved = None,
    utterances: Annotated[int, typer.Option(min=1, help="Validation utterances to hear.")] = 100,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Strain the run's networks: errors under noise, attacks (FGSM, PGD) and flipped bits."""
    from ernn.pipeline import robustness
    from ernn.pipeline.run import Run

    with console.working():
        found = robustness.measure(Run.existing(run, root), utterances, seed)
    if as_json:
        console.emit_json(found)
        return
    names = dict.fromkeys(line["network"] for line in found["lines"])
    errors = {
        (line["network"], line["strain"], line["level"]): f"{line['error']:.2f}"
        for line in found["lines"]
    }
    levels = dict.fromkeys((line["strain"], line["level"]) for line in found["lines"])
    rows = [
        (strain, f"{level:g}", *(errors.get((name, strain, level), "") for name in names))
        for strain, level in levels
    ]
    title = f"Error in % on {found['utterances']} validation utterances (measured)"
    console.table(title, ("strain", "level", *names), rows, whole=2)
    console.say(f"curves: {found['picture']}")


def deltas(
    run: RunFolder,
    root: Moved = None,
    threshold: Annotated[
        list[float] | None,
        typer.Option(
            callback=finite,
            min=0.0,
            help="Smallest change of a value that is passed on; may be given again.",
        ),
    ] = None,
    utterances: Annotated[int, typer.Option(min=1, help="Validation utterances to run.")] = 50,
    as_json: Json = False,
) -> None:
    """Run integers as a delta network: errors, multiplications left, cycles, by threshold."""
    from ernn.pipeline import temporal
    from ernn.pipeline.run import Run

    with console.working():
        found = temporal.measure(
            Run.existing(run, root), threshold or list(temporal.THRESHOLDS), utterances
        )
    if as_json:
        console.emit_json(found)
        return
    heads = (
        "threshold",
        "error %",
        "columns %",
        "multiplications %",
        "cycles, balanced",
        "cycles, as words lie",
    )
    rows = [
        (
            f"{line['threshold']:g}",
            *(f"{line[name]:.2f}" for name in ("error", "columns", "multiplications")),
            *(
                "-" if line[name] is None else f"{line[name]:,.0f}"
                for name in ("cycles", "cycles_as_they_lie")
            ),
        )
        for line in found["lines"]
    ]
    console.table(f"Deltas on {found['utterances']} validation utterances", heads, rows)
    console.table(found["note"], (), ())
