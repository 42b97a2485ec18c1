"""Commands that look: which corpora, devices and tools there are."""

from dataclasses import asdict
from typing import Annotated

import typer

from ernn.cli import console
from ernn.cli.options import Json, Root, Seed

PANEL = "Look around"


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    for command in (corpus, devices, doctor):
        app.command(rich_help_panel=PANEL)(command)


def corpus(
    name: Annotated[
        str | None, typer.Argument(help="A corpus; none lists them all.", show_default=False)
    ] = None,
    root: Root = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """What a corpus holds: utterances, speakers, labels and hours of each split."""
    from ernn.pipeline import corpora

    if name is None:
        every = corpora.listed()
        if as_json:
            console.emit_json(every)
        else:
            console.table(
                "Corpora", tuple(every[0]), [tuple(one.values()) for one in every], whole=1
            )
        return
    with console.working():
        found = corpora.describe(name, root, seed)
    for why in found["unread"]:
        console.say(why)
    if as_json:
        console.emit_json(found)
        return
    console.table(found["description"], (), ())
    rows = [[str(value) for value in split.values()] for split in found["splits"]]
    console.table(f"{found['name']}, seed {seed}", tuple(found["splits"][0]), rows)
    console.table(
        f"{len(found['labels'])} labels ({found['unit']}s): {' '.join(found['labels'])}", (), ()
    )


def devices(as_json: Json = False) -> None:
    """The FPGAs known: what each holds, how sure that is, and whether open tools can place it."""
    from ernn.estimate.device import devices

    found = devices()
    if as_json:
        console.emit_json([asdict(device) for device in found])
        return
    counts = ("lut", "ff", "dsp", "block_ram", "ultra_ram")
    rows = [
        (
            d.name,
            *(str(getattr(d, name)) for name in counts),
            "placed" if d.can_be_placed else "area only",
        )
        for d in found
    ]
    heads = ("device", "LUT", "FF", "DSP", "block RAM kbit", "UltraRAM kbit", "open tools")
    console.table("Devices", heads, rows, whole=1)
    console.table(
        "V: read in a named source; M: recalled; M✓: recalled and consistent with a V figure.",
        (),
        (),
    )


def doctor(as_json: Json = False) -> None:
    """Every extra and every tool of the flow: its version, or what to install.

    Exit status 1 if a tool is missing.
    """
    from ernn.cli import extras
    from ernn.flow.tools import doctor

    parts, tools = list(extras.found()), doctor()
    if as_json:
        console.emit_json(
            {"extras": [asdict(part) for part in parts], "tools": [asdict(tool) for tool in tools]}
        )
    else:
        rows = [
            (part.name, "missing" if part.missing else "there", part.purpose, part.said)
            for part in parts
        ]
        heads = ("what it is for", "which, or what to install")
        console.table("Extras", ("extra", "", *heads), rows, whole=2)
        rows = [
            (t.name, t.version if t.ok else "missing", t.purpose, t.path if t.ok else t.install)
            for t in tools
        ]
        heads = ("tool", "version", "what it does", "where, or what to install")
        console.table("Tools", heads, rows, whole=1)
    if "train" in (part.name for part in parts if part.missing):
        console.say(extras.CPU)
    if not all(tool.ok for tool in tools):
        raise typer.Exit(1)
