"""The command for a user's own network."""

from pathlib import Path
from typing import Annotated

import typer

from ernn.cli import console
from ernn.cli.options import BitsOf, Json, Strict
from ernn.ir.precision import LIMIT

PANEL = "Your own network"


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("import", rich_help_panel=PANEL)(import_network)


def import_network(
    network: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK",
            help="An ONNX file, or file.py:function of a function that gives a torch module.",
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(help="Typical sequences (time, values), an .npz of arrays or one .npy."),
    ],
    out: Annotated[Path, typer.Option(metavar="RUN", help="The run directory for what streams.")],
    weight_bits: Annotated[int, typer.Option(min=2, max=18, help="Bits of weights.")] = 12,
    data_bits: Annotated[int, typer.Option(min=4, max=18, help="Bits of data.")] = 16,
    bits_of: BitsOf = None,
    time_first: Annotated[
        bool, typer.Option("--time-first", help="The module takes (time, batch, values).")
    ] = False,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Import a network of your own: what streams becomes integers, the rest is named."""
    from ernn.pipeline import choices, importing
    from ernn.pipeline.run import Run
    from ernn.quantization.quantize import QuantizeSpec

    with console.working():
        data_widths, weights = choices.bits_of(bits_of or [])
        spec = QuantizeSpec(weight_bits, data_bits, data=data_widths, weights=weights)
        converted = importing.convert(network, data, spec, not time_first)
        importing.keep(Run(out), network, data, converted)
    found = importing.described(converted)
    if as_json:
        console.emit_json(found)
    else:
        rows = [tuple(map(str, one.values())) for one in found["host"]]
        title = (
            f"{found['share_in_hardware']:.1%} of a frame's multiplications on the accelerator, in "
            f"{len(found['layers'])} layers; float difference {found['float_difference']:.1g}; on "
            f"the host: {len(rows) or 'nothing'}"
        )
        console.table(title, importing.COLUMNS, rows)
        console.say(f"a run is in {out}: ernn design {out} goes on, as ernn report {out} does")
    if converted.integers.error is not None:
        console.warn(converted.integers.error.concern(LIMIT), strict)
