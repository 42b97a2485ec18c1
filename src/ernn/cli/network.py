"""Commands of the path's first half: from a corpus to a network in integers."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ernn.cli import console
from ernn.cli.options import BitsOf, Json, Moved, RecipeFile, Root, RunFolder, Seed, Strict, finite
from ernn.errors import UserError
from ernn.ir.precision import LIMIT

PANEL = "From speech to integers"


class Cell(StrEnum):
    lstm = "lstm"
    gru = "gru"
    cifg = "cifg"
    mgu = "mgu"
    ligru = "ligru"
    sru = "sru"
    qrnn = "qrnn"
    indrnn = "indrnn"
    rnn = "rnn"


class Reset(StrEnum):
    after = "after"
    before = "before"


class Solver(StrEnum):
    admm = "admm"
    one_shot = "one-shot"
    direct = "direct"
    gradual = "gradual"


RECIPE = "the recipe's if not given"

Epochs = Annotated[int | None, typer.Option(min=1, help=f"Epochs; {RECIPE}.")]
NewRun = Annotated[Path, typer.Option("--out", metavar="RUN", help="The run directory to make.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    for command in (train, compress, quantize, evaluate):
        app.command(rich_help_panel=PANEL)(command)


class Task(StrEnum):
    classify = "classify"
    label = "label"
    detect = "detect"
    regress = "regress"
    transcribe = "transcribe"


class Read(StrEnum):
    last = "last"
    mean = "mean"


class Weights(StrEnum):
    equal = "equal"
    balanced = "balanced"


def train(
    out: NewRun,
    corpus: Annotated[
        str, typer.Option(help="Corpus to train on; `ernn corpus` lists them.")
    ] = "digits",
    root: Root = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Your own sequences instead: an .npz, a .parquet, or a folder with manifest.csv."
        ),
    ] = None,
    task: Annotated[
        Task | None,
        typer.Option(
            help="With --data: a class a sequence (classify) or frame (label), yes or no (detect), "
            "numbers (regress), a string of labels (transcribe).",
            show_default="as the targets look",
        ),
    ] = None,
    window: Annotated[
        int | None, typer.Option(min=1, help="With --data: frames that recordings are cut into.")
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(min=1, help="From window to window.", show_default="the window"),
    ] = None,
    read: Annotated[
        Read | None,
        typer.Option(help="With --data: which outputs answer for a sequence.", show_default="last"),
    ] = None,
    weights: Annotated[
        Weights | None,
        typer.Option(help="With --data: of classes in training.", show_default="equal"),
    ] = None,
    cell: Annotated[
        Cell | None, typer.Option(help=f"Kind of the recurrent layers; {RECIPE}.")
    ] = None,
    hidden: Annotated[
        int | None, typer.Option(min=1, help=f"Units of each layer; {RECIPE}.")
    ] = None,
    layers: Annotated[
        int | None, typer.Option(min=1, max=16, help=f"Recurrent layers; {RECIPE}.")
    ] = None,
    projection: Annotated[
        int | None, typer.Option(min=1, help="LSTM only: outputs of a layer after a projection.")
    ] = None,
    peepholes: Annotated[
        bool, typer.Option("--peepholes", help="LSTM only: gates see the cell state.")
    ] = False,
    reset: Annotated[
        Reset, typer.Option(help="A GRU's reset gate: after (torch) or before (E-RNN).")
    ] = Reset.after,
    epochs: Epochs = None,
    recipe_file: RecipeFile = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Train a dense network; count its errors on the test split. Begins a run folder."""
    from ernn.data.manifest import Manifest
    from ernn.data.open import OWN
    from ernn.pipeline.begin import Wanted, begin

    own = data is not None or corpus == OWN
    if not own and (task or window or stride or read or weights):
        raise UserError("--task, --window, --stride, --read and --weights are of --data alone")
    name, root = (OWN, data or root) if own else (corpus, root)
    console.say(f"{data or corpus}, seed {seed}")
    with console.working():
        given = Manifest(_value(task), None, _value(weights), _value(read), window, stride)
        shape = (_value(cell), hidden, layers, projection, peepholes, reset.value)
        wanted = Wanted(*shape, epochs, recipe_file, seed)
        outcome = begin(out, name, root, wanted, given if own else None)
    console.show(outcome, as_json)


def _value(choice: StrEnum | None) -> Any:
    return None if choice is None else choice.value


def compress(
    run: RunFolder,
    root: Moved = None,
    block: Annotated[
        int | None, typer.Option(help=f"Block size: 1, 2, 4, 8, 16, 32 or 64; {RECIPE}.")
    ] = None,
    output_block: Annotated[
        int | None,
        typer.Option(help="Block size of the output layer; 1, dense, if only --block is given."),
    ] = None,
    signed: Annotated[
        bool | None,
        typer.Option(
            "--signed/--plain",
            help="With --block: whether columns have signs, for as many weights and fewer errors; "
            "they do if not given.",
        ),
    ] = None,
    density: Annotated[
        float | None,
        typer.Option(callback=finite, help="Prune instead: share of weights to keep, such as 0.1."),
    ] = None,
    pes: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="With --density: for so many processing elements, each the same share (ESE).",
        ),
    ] = None,
    bank: Annotated[
        int | None,
        typer.Option(
            min=1, help="With --density: the same share of each so many neighbours in a row."
        ),
    ] = None,
    solver: Annotated[
        Solver,
        typer.Option(
            help="How training reaches the structure: ADMM, projection at once, from the start, or "
            "little by little."
        ),
    ] = Solver.admm,
    towards: Annotated[
        int | None, typer.Option(min=1, help=f"Epochs of ADMM, or gradual; {RECIPE}.")
    ] = None,
    inside: Annotated[
        int | None,
        typer.Option(
            min=1, help=f"Epochs inside the set; {RECIPE}, from the start those of all its stages."
        ),
    ] = None,
    recipe_file: RecipeFile = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Make weights block-circulant or pruned; retrain inside the set; count errors and weights."""
    from ernn.pipeline import choices, network, sequences
    from ernn.pipeline.defaults import recipe_for
    from ernn.pipeline.run import Run

    console.say(f"seed {seed}")
    asked = choices.plan(block, output_block, density, pes, bank, signed)
    with console.working():
        found = Run.existing(run, root)
        recipe = recipe_for(sequences.prepared(found).corpus, recipe_file).with_seed(seed)
        way = choices.solver(solver.value, recipe, towards, inside)
        outcome = network.compress(found, asked or recipe.plan, way)
    console.show(outcome, as_json)


def quantize(
    run: RunFolder,
    root: Moved = None,
    weight_bits: Annotated[int, typer.Option(min=2, max=18, help="Bits a weight, at most.")] = 12,
    data_bits: Annotated[int, typer.Option(min=4, max=18, help="Bits of everything else.")] = 16,
    bits_of: BitsOf = None,
    headroom: Annotated[
        float,
        typer.Option(
            callback=finite, min=1, max=16, help="Factor on every range that was observed."
        ),
    ] = 1.25,
    error: Annotated[
        float | None,
        typer.Option(
            callback=finite,
            min=0,
            help="Instead of bits: the fewest with which outputs are off by 0.01, say (1 %).",
            show_default=False,
        ),
    ] = None,
    utterances: Annotated[
        int, typer.Option(min=1, help="Training utterances that formats are chosen from.")
    ] = 200,
    limit: Annotated[
        float,
        typer.Option(
            callback=finite, min=0, help="Error of the outputs, rms over rms, that is too much."
        ),
    ] = LIMIT,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Turn the network into integers; measure how far they are from the floats.

    Formats are those trained with, or from observed ranges; the error is on validation frames.
    """
    from ernn.pipeline import choices, network
    from ernn.pipeline.kept import concern
    from ernn.pipeline.run import Run
    from ernn.quantization.quantize import QuantizeSpec

    data, weights = choices.bits_of(bits_of or [])
    spec = QuantizeSpec(weight_bits, data_bits, headroom=headroom, data=data, weights=weights)
    found = Run.existing(run, root)
    console.step(lambda: network.quantize_network(found, spec, utterances, limit, error), as_json)
    console.warn(concern(found), strict)


def evaluate(
    run: RunFolder,
    root: Moved = None,
    shown: Annotated[int, typer.Option(min=1, max=3, help="Utterances shown in the report.")] = 2,
    as_json: Json = False,
) -> None:
    """Run the golden model on the whole test split, in integers only, and count its errors."""
    from ernn.pipeline import network
    from ernn.pipeline.run import Run

    console.step(lambda: network.evaluate(Run.existing(run, root), shown), as_json)
