"""The command that does everything."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ernn.cli import console
from ernn.cli.options import Json, Seed
from ernn.errors import require_extras

PANEL = "Everything at once"


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command(rich_help_panel=PANEL)(demo)


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="The run directory.")] = Path(
        "out/demo"
    ),
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Real speech to a placed, proven accelerator and a page about it. A stopped demo goes on."""
    require_extras("train", "hardware")  # before the first step, not after half of them
    # Two threads on so small a network only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from ernn.pipeline import demo, hardware
    from ernn.pipeline.run import Run

    run = Run(out)
    console.say(f"spoken digits to an FPGA, seed {seed}, in {out}")
    with console.working():
        outcomes = []
        for number, step in enumerate(demo.STEPS, 1):
            console.say(f"[{number}/{len(demo.STEPS)}] {step.title}")
            outcomes.append(step.work(run, seed))
            console.say(console.brief(outcomes[-1]))
        page = demo.finish(run)
    console.show_run(run, outcomes, page, as_json)
    wrong = hardware.disagreement(run)
    if wrong:
        console.say(f"ernn: {wrong}")
        raise typer.Exit(1)
