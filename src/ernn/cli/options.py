"""Options that several commands share."""

from math import isfinite
from pathlib import Path
from typing import Annotated

import typer


def finite(value: float | list[float] | None) -> float | list[float] | None:
    """Refuses NaN, and infinity, which a range without an end admits."""
    given = value if isinstance(value, list) else [] if value is None else [value]
    if wrong := [one for one in given if not isfinite(one)]:
        raise typer.BadParameter(f"{wrong[0]} is no number that can be used.")
    return value


Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Seed = Annotated[
    int, typer.Option(min=0, max=2**32 - 1, help="Every random choice follows from it.")
]
Root = Annotated[
    Path | None,
    typer.Option(help="The folder that holds the corpus, for those read from your disk."),
]
Moved = Annotated[
    Path | None,
    typer.Option(
        "--root", help="Where the run's corpus lies now, if it has moved.", show_default=False
    ),
]
BitsOf = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=BITS",
        help="Bits of input, hidden, cell, gates or activations alone, or of the weights of a "
        "layer (l0) or a matrix (l0.gates.x). Repeat it.",
    ),
]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Exit status 1 where the integers are not good enough."),
]
PredictedClock = Annotated[
    float | None,
    typer.Option(
        min=1,
        max=1000,
        help="Clock to predict speed with, in MHz.",
        show_default="assumed for each engine",
    ),
]
RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", help="The run directory, as `ernn train --out` made it.")
]
SignedBlocks = Annotated[
    bool,
    typer.Option(
        "--signed/--plain",
        help="Whether columns of blocks have signs, for as many weights and fewer errors.",
    ),
]
RecipeFile = Annotated[
    Path | None,
    typer.Option(
        "--recipe", help="A TOML file that changes the corpus's recipe.", show_default=False
    ),
]
