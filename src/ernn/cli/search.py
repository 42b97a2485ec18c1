"""Commands that search: the network for a task and a device."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ernn.cli import console
from ernn.cli.options import Json, PredictedClock, RecipeFile, Root, Seed, SignedBlocks, finite
from ernn.search.choosers.by import By

PANEL = "Search for a network"

Corpus = Annotated[
    str, typer.Argument(metavar="CORPUS", help="Corpus to train on; `ernn corpus` lists them.")
]
RECIPE = "the recipe's if not given"


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    for command in (explore, search, recommend, compare):
        app.command(rich_help_panel=PANEL)(command)


def explore(
    corpus: Corpus,
    root: Root = None,
    device: Annotated[str, typer.Option(help="The FPGA; `ernn devices` lists them.")] = "LFE5U-85F",
    limit: Annotated[
        str, typer.Option(help='Errors allowed: "dense + 0.5" points, or a rate: "12.5".')
    ] = "dense + 0.5",
    out: Annotated[Path, typer.Option(help="The folder of the search.")] = Path("out/explore"),
    hidden: Annotated[
        int | None, typer.Option(min=1, help=f"Units of each layer; {RECIPE}.")
    ] = None,
    layers: Annotated[
        int | None, typer.Option(min=1, max=16, help=f"Recurrent layers; {RECIPE}.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help=f"Epochs of a dense training; {RECIPE}.")
    ] = None,
    towards: Annotated[int | None, typer.Option(min=1, help=f"Epochs of ADMM; {RECIPE}.")] = None,
    inside: Annotated[
        int | None, typer.Option(min=1, help=f"Epochs inside the set; {RECIPE}.")
    ] = None,
    trainings: Annotated[
        int, typer.Option(min=2, help="At most so many trainings, dense ones included.")
    ] = 6,
    mixed_blocks: Annotated[
        bool, typer.Option("--mixed-blocks", help="Try larger blocks on input matrices.")
    ] = False,
    signed: SignedBlocks = True,
    weight_bits: Annotated[
        int, typer.Option(min=4, max=18, help="Bits of a weight on the chip.")
    ] = 12,
    streams: Annotated[
        int, typer.Option(min=1, max=16, help="Sequences the predicted engine interleaves.")
    ] = 2,
    recipe_file: RecipeFile = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Phase I: the smallest network that keeps the accuracy and fits the device.
    Exit status 1 if there is none.

    Every decision is logged with its numbers in OUT/decisions.txt. A stopped search goes on.
    """
    from ernn.estimate.device import find_device
    from ernn.pipeline import phase1
    from ernn.quantization.quantize import QuantizeSpec
    from ernn.search.limit import Limit

    bits = QuantizeSpec(weight_bits=weight_bits)
    asked = phase1.Phase1Request(
        find_device(device),
        Limit.parse(limit),
        hidden,
        layers,
        epochs,
        towards,
        inside,
        trainings,
        mixed_blocks,
        streams,
        bits,
        seed,
        recipe_file,
        signed,
    )
    console.say(f"corpus {corpus}, {device}, {limit}, seed {seed}")
    with console.working():
        found = phase1.explore(out, corpus, root, asked)
    if as_json:
        console.emit_json(found)
    else:
        rows = [(one["step"], one["decision"]) for one in found["decisions"]]
        console.table(f"{found['trainings']} trainings", ("step", "decision"), rows, whole=1)
        if found["found"]:
            console.table(f"go on with: ernn quantize {out / phase1.RUN}", (), ())
    if found["found"] is None:
        raise typer.Exit(1)


class Sampler(StrEnum):
    nsga2 = "nsga2"
    tpe = "tpe"


def search(
    corpus: Corpus,
    root: Root = None,
    device: Annotated[str, typer.Option(help="The FPGA; `ernn devices` lists them.")] = "LFE5U-85F",
    out: Annotated[
        Path, typer.Option(help="The folder of the search, the same on every machine.")
    ] = Path("out/search"),
    trials: Annotated[
        int, typer.Option(min=1, help="Networks to try, those of an earlier start counted.")
    ] = 20,
    sampler: Annotated[
        Sampler, typer.Option(help="How Optuna proposes the next network.")
    ] = Sampler.nsga2,
    cells: Annotated[
        str, typer.Option(help="Kinds of recurrent layer to choose from.")
    ] = "lstm,gru",
    hidden: Annotated[str, typer.Option(help="Units of each layer.")] = "64,128,192,256",
    layers: Annotated[str, typer.Option(help="Recurrent layers.")] = "1,2",
    blocks: Annotated[str, typer.Option(help="Block sizes.")] = "2,4,8,16",
    weight_bits: Annotated[str, typer.Option(help="Bits of a weight on the chip.")] = "8,12,16",
    epochs: Annotated[
        int | None, typer.Option(min=1, help=f"Epochs of a dense training; {RECIPE}.")
    ] = None,
    towards: Annotated[int | None, typer.Option(min=1, help=f"Epochs of ADMM; {RECIPE}.")] = None,
    inside: Annotated[
        int | None, typer.Option(min=1, help=f"Epochs inside the set; {RECIPE}.")
    ] = None,
    streams: Annotated[
        int, typer.Option(min=1, max=16, help="Sequences the predicted engine interleaves.")
    ] = 2,
    workers: Annotated[int, typer.Option(min=1, help="Trials at a time, each on one core.")] = 1,
    ray_address: Annotated[
        str | None, typer.Option(help="A Ray cluster; this machine if not given.")
    ] = None,
    recipe_file: RecipeFile = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Optuna over cell, size, layers, block size and bits: errors against storage and cycles.

    Writes OUT/search.json and OUT/pareto.svg. A stopped search goes on; a
    trial whose worker died is redone.
    """
    from ernn.pipeline import pareto
    from ernn.pipeline.trials import TrialJob
    from ernn.search.study import Space

    space = Space.parse(cells, hidden, layers, blocks, weight_bits)
    job = TrialJob(
        out.resolve(),
        corpus,
        root,
        device,
        streams,
        seed,
        epochs,
        towards,
        inside,
        recipe=recipe_file,
    )
    console.say(f"corpus {corpus}, {device}, {sampler.value}, seed {seed}")
    with console.working():
        found = pareto.run(job, space, trials, sampler.value, workers, ray_address)
    if as_json:
        console.emit_json(found)
        return
    columns = (
        "number",
        "cell",
        "layers",
        "hidden",
        "block",
        "weight_bits",
        "error",
        "kbit",
        "cycles",
    )
    best = [
        trial
        for number in found["pareto"]
        for trial in found["trials"]
        if trial["number"] == number
    ]
    rows = [
        [f"{one[name]:.4g}" if isinstance(one[name], float) else str(one[name]) for name in columns]
        for one in best
    ]
    console.table(f"{len(found['trials'])} trials, {len(rows)} that no other beats", columns, rows)
    console.table(f"picture: {out / pareto.PICTURE}", (), ())


def recommend(
    target: Annotated[
        str,
        typer.Argument(metavar="RUN_OR_CORPUS", help="A run directory, or a corpus to train on."),
    ],
    root: Root = None,
    out: Annotated[Path, typer.Option(help="For a corpus: the run directory to make.")] = Path(
        "out/recommend"
    ),
    budget: Annotated[
        str | None, typer.Option(help="Bytes of the weight matrices: 40kB, 1.5MiB.")
    ] = None,
    cycles: Annotated[
        float | None,
        typer.Option(callback=finite, min=1, help="Predicted cycles a frame on --device."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="The FPGA to fit; LFE5U-85F for --cycles.", show_default=False),
    ] = None,
    by: Annotated[
        By, typer.Option(help="How choices are proposed (docs/how-to/explore.md).")
    ] = By.greedy,
    trials: Annotated[int, typer.Option(min=1, help="Short trainings of the search.")] = 48,
    trial_epochs: Annotated[int, typer.Option(min=1, help="Epochs of each short training.")] = 1,
    blocks: Annotated[
        str, typer.Option(help="Block sizes to choose from; 1 is dense.")
    ] = "1,2,4,8,16,32",
    signed: SignedBlocks = True,
    bits: Annotated[
        str, typer.Option(help="Bits of a weight to choose from, without a device.")
    ] = "12,8,6,5,4,3",
    widths: Annotated[
        str,
        typer.Option(
            help="Shares of each recurrent layer's units to choose from, such as 1,0.75,0.5."
        ),
    ] = "1",
    to: Annotated[
        list[str] | None,
        typer.Option(
            help="Another structure to choose from, as a recipe writes it; may be repeated."
        ),
    ] = None,
    weight_bits: Annotated[
        int, typer.Option(min=4, max=16, help="Bits of a weight on the device.")
    ] = 12,
    streams: Annotated[
        int, typer.Option(min=1, max=16, help="Sequences the predicted engine interleaves.")
    ] = 2,
    towards: Annotated[
        int | None, typer.Option(min=1, help=f"Epochs of ADMM at the end; {RECIPE}.")
    ] = None,
    inside: Annotated[
        int | None, typer.Option(min=1, help=f"Epochs inside the set at the end; {RECIPE}.")
    ] = None,
    recipe_file: RecipeFile = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Choose structure and bits of every matrix (and widths of layers) within a budget, and
    compare with one block size for all.

    Decisions are in RUN/recommend/decisions.txt. A search that was stopped goes on where it was.
    """
    from ernn.estimate.device import find_device
    from ernn.pipeline import recommend, sensitivity
    from ernn.pipeline.budget import Budget
    from ernn.pipeline.run import STATE, Run
    from ernn.quantization.quantize import QuantizeSpec
    from ernn.search.written import numbers, parse_bytes, shares

    with console.working():
        chip = find_device(device or "LFE5U-85F") if device or cycles else None
        asked = recommend.RecommendationRequest(
            Budget(parse_bytes(budget) if budget else None, cycles, chip),
            by,
            trials,
            trial_epochs,
            numbers(blocks),
            tuple(sensitivity.structure_of(text) for text in to or []),
            numbers(bits),
            shares(widths),
            QuantizeSpec(weight_bits=weight_bits),
            streams,
            towards,
            inside,
            seed,
            recipe_file,
            signed,
        )
        console.say(f"{target}, by {by.value}, seed {seed}")
        if (Path(target) / STATE).exists():
            found = recommend.of_run(Run.existing(target, root), asked)
        else:
            found = recommend.of_corpus(out, target, root, asked)
    if as_json:
        console.emit_json(found)
        return
    console.table("Chosen", ("part", "choice"), list(found["choice"].items()))
    columns = ("network", "test error %", "validation error %", "bytes", found["unit"])
    console.table(
        f"Within {found['budget']:,.0f} {found['unit']} (measured)", columns, recommend.rows(found)
    )
    then = (
        f"go on with: ernn quantize {found['run']}"
        if chip
        else f"plan and weights are in {found['run']}"
    )
    console.table(then, (), ())


def compare(
    target: Annotated[
        str,
        typer.Argument(metavar="RUN_OR_CORPUS", help="A run directory, or a corpus to train on."),
    ],
    root: Root = None,
    times: Annotated[
        str,
        typer.Option(help="Budgets: how many times fewer bits than the dense recurrent layers."),
    ] = "4,8,16,32",
    seeds: Annotated[
        int, typer.Option(min=1, help="Dense networks to start from, one a seed.")
    ] = 3,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="A method by name (a wrong one lists all); may be repeated.",
            show_default="all of them",
        ),
    ] = None,
    hidden: Annotated[
        int | None, typer.Option(min=1, help=f"Units of each layer; {RECIPE}.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help=f"Epochs of a dense training; {RECIPE}.")
    ] = None,
    towards: Annotated[int | None, typer.Option(min=1, help=f"Epochs of ADMM; {RECIPE}.")] = None,
    inside: Annotated[
        int | None, typer.Option(min=1, help=f"Epochs inside the set; {RECIPE}.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="The FPGA of the cycles; `ernn devices` lists them.")
    ] = "LFE5U-85F",
    streams: Annotated[
        int, typer.Option(min=1, max=16, help="Sequences the predicted engine interleaves.")
    ] = 2,
    clock: PredictedClock = None,
    work: Annotated[
        Path | None,
        typer.Option(
            help="Folder of results and checkpoints, to go on from.",
            show_default="out/compare, or RUN/compare",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the page, table and picture.", show_default="as --work"),
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="Trainings side by side, each a process of one thread.")
    ] = 1,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Train nothing: a page of the results that are there.")
    ] = False,
    recipe_file: RecipeFile = None,
    as_json: Json = False,
) -> None:
    """Every compression method on your network, at equal storage and training, on one page.

    Each result is a file: a stopped comparison goes on with the same command.
    Exit status 1 if something is left.
    """
    from dataclasses import asdict

    from ernn.pipeline import compare

    with console.working():
        asked = compare.ComparisonRequest(
            target,
            root,
            recipe_file,
            hidden,
            (epochs, towards, inside),
            compare.budgets(times),
            seeds,
            tuple(only or ()),
            work,
            device,
            streams,
            clock,
        )
        console.say(
            f"{target}, {times} times fewer bits, seeds of {seeds} dense networks, {jobs} at a time"
        )
        found = compare.compare(asked, jobs, as_is=as_is)
        written = compare.report(asked, found, out)
    if as_json:
        console.emit_json({**asdict(found), "written": [str(path) for path in written]})
    else:
        console.table(f"{found.title}, error in % (measured)", *compare.table(found), whole=2)
        for path in written:
            console.say(str(path))
    for item in found.failed:
        console.say(f"failed: {item.name} ({item.value})")
    if found.missing:
        console.say(f"{found.missing} results are not there yet; the same command goes on")
    if (found.missing or found.failed) and not as_is:
        raise typer.Exit(1)
