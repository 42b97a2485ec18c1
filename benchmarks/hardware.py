"""The engine at the size of the published accelerators: cycles, utilisation, area and
clock of one layer on one device.

    python benchmarks/hardware.py --layer L16 --device LFE5U-85F --streams 2 --json
    python benchmarks/hardware.py --layer G8 --device LFE5U-85F --streams 1 --pes 13 --lanes 2 \\
        --area --place
    python benchmarks/hardware.py --page

L: an LSTM of 1024 cells with peepholes and a projection to 512.  G: a GRU of 1024 units.  Both read
160 numbers; the figure is the block size.  12-bit weights, 16-bit data, unless --weight-bits and
--data-bits say other (at most 8 and 9 for --packed, two products a multiplier), random weights from
--seed: cycles, area and clock do not depend on them.  --frames frames of random integers go through
golden and the simulated engine, all streams busy, no stalls, and every output integer is compared.

The design is the one that `ernn design` would choose for the device; --pes and the options beside
it fix one instead. --area runs Yosys, --place Yosys and nextpnr: a quarter of an hour a seed on a
quiet core at full size. The flow's cache keeps the netlist and every seed's result: started again,
it goes on from there, and --place-seeds adds more. Without --place the clock is the published
designs' 200 MHz, and marked as assumed. Each run is saved as one JSON file in --out; --page makes
the tables and the plot of all that are there.
"""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ernn.estimate.area import predict
from ernn.estimate.clock import Clock
from ernn.estimate.device import Device, find_device
from ernn.estimate.units import Units
from ernn.files import write_atomic, write_json
from ernn.flow.harness import with_pins
from ernn.flow.place import place
from ernn.flow.simulate import build
from ernn.flow.synthesise import synthesise
from ernn.flow.verilog import Verilog, to_verilog
from ernn.ir.circulant import decode_blocks
from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import Product
from ernn.ir.layers import gru, lstm
from ernn.ir.network import Layer, Matrix, Network
from ernn.ir.structure import BlockCirculant
from ernn.quantization.columns import with_rows
from ernn.quantization.quantize import QuantizeSpec, quantize
from ernn.report import names
from ernn.report.plots import PALETTE, numbered
from ernn.report.published import ACCELERATORS, Accelerator
from ernn.report.svg import PAPER, standalone, styled, to_svg
from ernn.rtl.engine import Engine
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import Schedule, schedule
from ernn.search.choice import Request
from ernn.search.hardware import search
from ernn.verify import measure_cycles, prove

LAYERS = ("L8", "L16", "G8", "G16")
INPUTS, CELLS, PROJECTION = 160, 1024, 512
WEIGHT_BITS, DATA_BITS = 12, 16
PUBLISHED_MHZ = 200.0
PLACE_SECONDS = 6 * 3600
APART = {
    "": "one for all, rows of one size",
    "alike": "one for all",
    "rows": "a row",
    "cells": "a row and a cell",
}
"""What sizes are drawn apart, by `--apart`, and what has formats of its own then: of "alike" rows
as of "rows", and the same weights, rounded to one format."""
CHOICES = tuple(field for field in fields(Design) if field.name != "streams")


def main() -> None:
    arguments = parse()
    if not arguments.page:
        result = measure(arguments)
        write_json(arguments.out / f"{name_of(result)}.json", result)
        print(json.dumps(result, indent=2) if arguments.json else sentence(result))
    write_page(arguments.out)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--layer", choices=LAYERS, default="L16")
    parser.add_argument("--device", default="LFE5U-85F")
    parser.add_argument("--streams", type=int, default=2)
    for field in CHOICES:
        kind = str if field.name == "pipeline" else int
        parser.add_argument(f"--{field.name}", type=kind, help=f"the design's {field.name}")
    parser.add_argument("--weight-bits", type=int, default=WEIGHT_BITS)
    parser.add_argument("--data-bits", type=int, default=DATA_BITS)
    parser.add_argument(
        "--apart", choices=list(APART), default="", help="what has formats of its own"
    )
    parser.add_argument("--frames", type=int, default=200, help="of all streams together")
    parser.add_argument("--seed", type=int, default=0, help="of weights and frames")
    parser.add_argument("--area", action="store_true", help="count cells with Yosys")
    parser.add_argument("--place", action="store_true", help="place and route, ECP5 only")
    parser.add_argument("--grade", type=int, help="speed grade to place for")
    parser.add_argument("--place-seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--target-mhz", type=float, default=200.0)
    parser.add_argument("--out", type=Path, default=Path("docs/results/hardware"))
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument(
        "--page", action="store_true", help="only make the table and the plot again"
    )
    return parser.parse_args()


# --- the layers


def random_model(
    layer: str,
    seed: int,
    weight_bits: int = WEIGHT_BITS,
    data_bits: int = DATA_BITS,
    apart: str = "",
) -> IntegerModel:
    """The layer in integers, with random block-circulant weights; what is `apart` differs in size
    so that formats of its own are chosen for it."""
    rng = np.random.default_rng(seed)
    make, block = _lstm if layer[0] == "L" else _gru, int(layer[1:])
    drawn = make(rng, BlockCirculant(block))
    frames = rng.normal(size=(40, INPUTS))
    if apart:
        drawn = _with_rows_apart(rng, drawn, block)
    if apart == "cells":
        drawn = _with_cells_apart(drawn)
    spec = QuantizeSpec(weight_bits=weight_bits, data_bits=data_bits)
    model = quantize(Network((drawn,)), [frames], spec)
    return _in_one_format(model) if apart == "alike" else model


def _in_one_format(model: IntegerModel) -> IntegerModel:
    """The weights of rows that have fraction bits of their own rounded to those of all."""
    layers = [
        replace(layer, products=tuple(map(_without_exponents, layer.products)))
        for layer in model.layers
    ]
    return replace(model, layers=tuple(layers))


def _without_exponents(product: Product) -> Product:
    if product.exponents is None:
        return product
    less = 2.0 ** -product.exponents[..., None, None]
    operands = []
    for operand in product.operands:
        weights = np.rint(operand.matrix.weights * less).astype(np.int64)
        operands.append(replace(operand, matrix=replace(operand.matrix, weights=weights)))
    return replace(product, operands=tuple(operands), exponents=None)


def _with_rows_apart(rng: np.random.Generator, layer: Layer, block: int) -> Layer:
    """With rows of blocks up to 64 times as small as others."""
    for number, matrices in enumerate(layer.weights):
        smaller = rng.integers(0, 7, size=matrices[0].rows // block).repeat(block)
        layer = with_rows(layer, number, -smaller)
    return layer


def _with_cells_apart(layer: Layer) -> Layer:
    """An LSTM some of whose cells add up what comes: forty times what the others hold."""
    some, bias = np.arange(CELLS) < 8, np.asarray(layer.biases[0])
    always = np.array([14.0, 14.0, 3.0, 0.0])[:, None]  # i and f are open: nothing is forgotten
    vectors = tuple(np.where(some, 0.0, vector) for vector in layer.vectors)
    biases = (np.where(some, always, bias), *layer.biases[1:])
    return replace(layer, biases=biases, vectors=vectors)


def _lstm(rng: np.random.Generator, structure: BlockCirculant) -> Layer:
    return lstm(
        _matrix(rng, 4, CELLS, INPUTS, structure),
        _matrix(rng, 4, CELLS, PROJECTION, structure),
        rng.normal(size=(4, CELLS)) * 0.5,
        peephole=rng.normal(size=(3, CELLS)) * 0.3,
        projection=_matrix(rng, 1, PROJECTION, CELLS, structure),
    )


def _gru(rng: np.random.Generator, structure: BlockCirculant) -> Layer:
    return gru(
        _matrix(rng, 3, CELLS, INPUTS, structure),
        _matrix(rng, 3, CELLS, CELLS, structure),
        rng.normal(size=(3, CELLS)) * 0.5,
        rng.normal(size=(3, CELLS)) * 0.5,
    )


def _matrix(
    rng: np.random.Generator, gates: int, rows: int, columns: int, structure: BlockCirculant
) -> Matrix:
    k = structure.block
    blocks = rng.normal(size=(gates, rows // k, columns // k, k)) / np.sqrt(columns)
    return Matrix(decode_blocks(blocks, rows, columns), structure)


# --- what is measured


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    began = time.monotonic()
    device = find_device(arguments.device)
    model = random_model(
        arguments.layer,
        arguments.seed,
        arguments.weight_bits,
        arguments.data_bits,
        arguments.apart,
    )
    plan = chosen(model, device, arguments)
    verilog = to_verilog(Engine(plan, probes=True))
    simulated = simulate(plan, verilog, arguments.frames, arguments.seed)
    clock = clock_of(verilog, device, arguments)
    fps = clock["value"] * 1e6 / simulated["cycles_simulated"]
    return {
        "layer": arguments.layer,
        "device": device.name,
        "bits": [model.weight_bits, model.input.format.width],
        "apart": arguments.apart,
        "design": asdict(plan.layout.design),
        "streams": plan.layout.design.streams,
        "multipliers": plan.multipliers,
        "cycles_predicted": plan.cycles_per_frame,
        **simulated,
        "utilisation": plan.utilisation * plan.cycles_per_frame / simulated["cycles_simulated"],
        "area": area_of(verilog, device, arguments.place)
        if arguments.area or arguments.place
        else None,
        "clock_mhz": clock,
        "fps": {"value": round(fps), "kind": clock["kind"]},
        "latency_us": {
            "value": simulated["latency_cycles"] / clock["value"],
            "kind": clock["kind"],
        },
        "published": [asdict(row) for row in published(arguments.layer)],
        "command": command(),
        "commit": commit(),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "seconds": round(time.monotonic() - began, 1),
    }


def command() -> str:
    """What was typed, without where the result went."""
    words = sys.argv[1:]
    if "--out" in words:
        place = words.index("--out")
        words = words[:place] + words[place + 2 :]
    return shlex.join(["python", "benchmarks/hardware.py", *words])


def commit() -> str:
    """The commit that was measured; empty outside a repository."""
    asked = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def chosen(model: IntegerModel, device: Device, arguments: argparse.Namespace) -> Schedule:
    """The design asked for, or the one that suits the device."""
    asked = {field: getattr(arguments, field.name) for field in CHOICES}
    given: dict[str, Any] = {
        field.name: bool(value) if field.type is bool else value
        for field, value in asked.items()
        if value is not None
    }
    if "pes" not in given:
        request = Request(device, Clock.assumed(device), streams=arguments.streams)
        return schedule(model, search(model, request).best.design)
    return schedule(model, Design(streams=arguments.streams, **given))


def simulate(plan: Schedule, verilog: Verilog, frames: int, seed: int) -> dict[str, Any]:
    """Cycles a frame in the steady state, latency of a single frame, and
    integers that differ from golden's.
    """
    began = time.monotonic()
    simulator = build(verilog)
    built = time.monotonic()
    model, streams = plan.layout.model, plan.layout.design.streams
    rng = np.random.default_rng(seed)
    low, high = model.input.format.low, model.input.format.high
    lengths = [len(part) for part in np.array_split(np.arange(max(frames, streams)), streams)]
    utterances = [
        rng.integers(low, high, size=(length, model.input.length), endpoint=True)
        for length in lengths
    ]
    proof = prove(simulator, plan, utterances, stall=0.0, seed=seed)
    cycles = measure_cycles(simulator, plan, utterances[0][0])
    return {
        "cycles_simulated": cycles.interval / streams,
        "latency_cycles": cycles.latency,
        "latency_predicted": plan.latency,
        "frames": proof.frames,
        "integers": proof.integers,
        "mismatches": proof.mismatches + proof.missing,
        "violations": list(proof.violations),
        "build_seconds": round(built - began, 1),
        "simulation_seconds": round(time.monotonic() - built, 1),
    }


def area_of(verilog: Verilog, device: Device, placed: bool) -> dict[str, Any]:
    """Cells after synthesis; of a placed engine, those of the netlist that was placed."""
    area = synthesise(
        with_pins(verilog) if placed else verilog, device, timeout=PLACE_SECONDS, placed=placed
    )
    counts = {
        name: getattr(area, name)
        for name in ("lut", "ff", "dsp", "bram_blocks", "bram_kbit", "uram_kbit")
    }
    note = "after synthesis, before placement"
    if placed:
        note += "; with the pins around it: a flip-flop an input bit, two and a LUT an output bit"
    if device.is_ultrascale:
        note += (
            "; Yosys packs neither registers nor additions into DSP48E2: a 7-series device is the "
            "better proxy"
        )
    return {**counts, "kind": "estimated", "tool": area.tool, "note": note, "seconds": area.seconds}


def clock_of(verilog: Verilog, device: Device, arguments: argparse.Namespace) -> dict[str, Any]:
    if not arguments.place:
        return {
            "value": PUBLISHED_MHZ,
            "kind": "estimated",
            "note": "assumed: the clock of the published designs",
        }
    grade, seeds, target = arguments.grade, arguments.place_seeds, arguments.target_mhz
    placed = place(
        verilog, device, grade=grade, seeds=seeds, target_mhz=target, timeout=PLACE_SECONDS
    )
    return {
        "value": placed.median_mhz,
        "kind": "placed",
        "note": "median of the seeds; nextpnr's timing model, no vendor sign-off",
        "best": placed.best_mhz,
        "seeds": {str(run.seed): run.clock_mhz for run in placed.runs},
        "grade": placed.grade,
        "tool": placed.tool,
        "cells": {kind: list(pair) for kind, pair in placed.runs[0].utilisation.items() if pair[0]},
    }


def published(layer: str) -> list[Accelerator]:
    """Rows for the same layer and block size; ESE's pruned LSTM stands beside both LSTMs."""
    size = f"FFT{layer[1:]}"
    kind = "GRU" if layer[0] == "G" else "LSTM"
    rows = [row for row in ACCELERATORS if f"{size}," in row.design]
    rows = [row for row in rows if ("GRU" in row.design) == (kind == "GRU")]
    ese = [row for row in ACCELERATORS if row.design.startswith("ESE")] if kind == "LSTM" else []
    return ese + rows


# --- the page


def name_of(result: dict[str, Any]) -> str:
    """File name: layer, device and streams, the clock's kind where it was placed, and what has
    formats of its own where that was compared."""
    grade = (
        f"-placed{result['clock_mhz']['grade']}" if result["clock_mhz"]["kind"] == "placed" else ""
    )
    weights, numbers = bits_of(result)
    bits = f"-w{weights}d{numbers}" if [weights, numbers] != [WEIGHT_BITS, DATA_BITS] else ""
    area = f"-area{result['apart']}" if has_formats(result) else ""
    return f"{result['layer']}-{result['device']}{bits}-s{result['streams']}{grade}{area}"


def has_formats(result: dict[str, Any]) -> bool:
    """Whether it is one of those that say what formats of their own cost."""
    synthesised = result["area"] is not None and result["clock_mhz"]["kind"] != "placed"
    return synthesised and "apart" in result


def named(result: dict[str, Any]) -> str:
    """The layer, and its bits where they are others than most rows'."""
    weights, numbers = bits_of(result)
    usual = (weights, numbers) == (WEIGHT_BITS, DATA_BITS)
    return result["layer"] + ("" if usual else f", {weights}-bit weights, {numbers}-bit data")


def bits_of(result: dict[str, Any]) -> tuple[int, int]:
    """Of weights and of data."""
    weights, numbers = result.get("bits", (WEIGHT_BITS, DATA_BITS))
    return weights, numbers


def sentence(result: dict[str, Any]) -> str:
    return (
        f"{result['layer']} on {result['device']}: {result['multipliers']} multipliers, "
        f"{result['cycles_simulated']:g} cycles a frame ({result['cycles_predicted']:g} "
        f"predicted), utilisation {result['utilisation']:.1%}, {result['mismatches']} of "
        f"{result['integers']} integers differ"
    )


def write_page(out: Path) -> None:
    """The table and the plot beside the folder of results."""
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(out.glob("*.json"))]
    write_atomic(out.with_suffix(".md"), page(results))
    write_atomic(out.with_suffix(".svg"), plot(results))


def page(results: list[dict[str, Any]]) -> str:
    heads = (
        *(
            "layer",
            "device",
            "streams",
            "PEs × groups",
            "lanes",
            "multipliers",
            "cycles a frame, predicted",
        ),
        *(
            "simulated",
            "by today's program",
            "utilisation",
            "block RAM, kbit",
            "weights, others: full",
            "latency, cycles",
            "integers compared",
            "differ",
            "MHz",
            "frames/s",
            "commit",
        ),
    )
    ours = [_row(heads), _row(["---"] * len(heads))]
    results = sorted(results, key=lambda r: (r["layer"], r["multipliers"], r["streams"]))
    formats = [r for r in results if has_formats(r)]
    results = [r for r in results if r not in formats]
    placed = [r for r in results if r["clock_mhz"]["kind"] == "placed"]
    ours += [_row(_cells(r)) for r in results if r not in placed]
    if formats:
        ours += [_FORMATS, _row(_FORMATS_HEADS), _row(["---"] * len(_FORMATS_HEADS))]
        ours += [_row(_formats(r)) for r in formats]
    if placed:
        ours += [
            _PLACED,
            _row(_PLACED_HEADS),
            _row(["---"] * len(_PLACED_HEADS)),
            *(_row(_placed(r)) for r in placed),
        ]
    theirs = ["| design | bits | latency, µs | frames/s | mark |", "|---|---|---|---|---|"]
    theirs += [
        f"| {row.design} | {row.bits} | {row.latency_us} | {row.frames_per_second} | {row.mark} |"
        for row in ACCELERATORS
        if row.frames_per_second
    ]
    return "\n".join([_ABOVE, *ours, _BETWEEN, *theirs, _BELOW])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(r: dict[str, Any]) -> list[str]:
    design, clock, today = r["design"], r["clock_mhz"], planned(r)
    return [
        *(
            named(r),
            r["device"],
            str(r["streams"]),
            f"{design['pes']} × {design.get('splits', 1)}",
        ),
        *(str(design["lanes"] or "all"), f"{r['multipliers']:,}", f"{r['cycles_predicted']:,g}"),
        *(f"{r['cycles_simulated']:,g}", f"{today.cycles_per_frame:,g}"),
        *(f"{r['utilisation']:.1%}", memory(r["device"], today), filled(r["device"], today)),
        *(f"{r['latency_cycles']:,}", f"{r['integers']:,}", str(r["mismatches"])),
        f"{clock['value']:.0f}" + ("" if clock["kind"] == "placed" else " (assumed)"),
        *(f"{r['fps']['value']:,}", r["commit"]),
    ]


def planned(r: dict[str, Any]) -> Schedule:
    """The design as today's program schedules it."""
    saved = r["design"]
    known = {field.name for field in fields(Design)}
    values: dict[str, Any] = {name: saved[name] for name in saved if name in known}
    for name in ("shallow", "direct"):  # what a pipeline was told by before it had a name
        if saved.get(name):
            values["pipeline"] = name
    design = Design(**values)
    return schedule(_drawn(r["layer"], *bits_of(r)), design)


def memory(name: str, plan: Schedule) -> str:
    """What the engine takes of the device's block RAM, and whether that, or anything else that it
    takes, is more than there is."""
    device = find_device(name)
    use, there = predict(plan, device.family), device.block_ram.value
    fits = max(use.shares(device).values()) <= 1
    return f"{use.block_ram:,} of {there:,}" + ("" if fits else ": **does not fit**")


def filled(name: str, plan: Schedule) -> str:
    """How much of the block RAM of weight banks, and of all else, holds bits; none of what is made
    of logic."""
    shares = Units(plan).filled(find_device(name).family)
    return ", ".join(f"{one:.0%}" if one else "-" for one in shares)


@cache
def _drawn(layer: str, weight_bits: int, data_bits: int) -> IntegerModel:
    return random_model(layer, 0, weight_bits, data_bits)


def _placed(r: dict[str, Any]) -> list[str]:
    design, clock, area = r["design"], r["clock_mhz"], r["area"]
    seeds = ", ".join(
        f"{mhz:.1f}" for _, mhz in sorted(clock["seeds"].items(), key=lambda pair: int(pair[0]))
    )
    return [
        *(named(r), f"{r['device']}, {clock['grade']}", str(r["streams"])),
        *(
            f"{design['pes']} × {design['splits']}, {design['lanes']} lanes",
            f"{r['cycles_simulated']:,g}",
        ),
        *(f"{r['latency_cycles']:,}", f"{clock['value']:.1f}", seeds, f"{r['fps']['value']:,}"),
        *(f"{r['latency_us']['value']:.1f}", f"{area['lut']:,}", f"{area['ff']:,}"),
        *(str(area["bram_blocks"]), str(area["dsp"]), str(r["mismatches"]), r["commit"]),
    ]


def _formats(r: dict[str, Any]) -> list[str]:
    area = r["area"]
    return [
        *(named(r), r["device"], str(r["streams"]), str(r["design"]["chunk"]), APART[r["apart"]]),
        *(f"{r['cycles_simulated']:,g}", f"{r['latency_cycles']:,}"),
        *(f"{area[name]:,}" for name in ("lut", "ff", "bram_blocks", "dsp")),
        *(str(r["mismatches"]), r["commit"]),
    ]


_FORMATS_HEADS = (
    *("layer", "device", "streams", "chunk", "a format for", "cycles a frame", "latency, cycles"),
    *("LUT", "FF", "block RAM", "DSP", "differ", "commit"),
)
_FORMATS = """
What formats of their own cost ([how they are chosen](../explanation/formats.md)): the same design
of the same program, synthesised by Yosys (cells after synthesis, before placement) and simulated,
with weights whose rows are all of one size; with rows up to 64 times smaller, which have fraction
bits of their own (0 to 7 more); and with these weights rounded to one format for all. No cycle, and
2.8 % more look-up tables than with rows of one size. For each of the block's 16 numbers that leave
the array in a cycle it is three choices between shifted and not instead of one; the last is in the
adder that rounds, so that two are left, of 26 look-up tables each: 832. A row's shift is found by
where its result lies, in a block RAM more (`--block_ram 1`, as small banks). Against the same
weights in one format it is 6.4 %, of which 657 look-up tables (2.3 %) are the words of weights that
are in logic, which are smaller where rows of few bits leave bits that hardly change (counted by
synthesising these words alone: 4,258 and 3,601), and 4.2 % are the formats. By the program before
(5dfda25), which counted rows in a tape of their own, it was 3.7 % over rows of one size, and 7.1 %
by that before it (ba8ac86, 31,983 and 34,240 look-up tables), whose shifts were a selector of
eight. Eight cells that hold forty times what the others do have units, and cost a step more
(`--apart cells`, scheduled): 2,432 cycles for 2,190 here, 2,330 for 2,272 with one stream.

    python benchmarks/hardware.py --layer L16 --device LFE5U-85F --streams 2 --pes 6 --lanes 4 \\
        --chunk 16 --overlap 1 --staggered 1 --block_ram 1 --frames 20 --area [--apart rows|alike]
"""
_PLACED_HEADS = (
    *(
        "layer",
        "device, grade",
        "streams",
        "PEs × groups",
        "cycles a frame",
        "latency, cycles",
        "MHz, median",
    ),
    *(
        "by seed 1, 2, ...",
        "frames/s",
        "latency, µs",
        "LUT",
        "FF",
        "block RAM",
        "DSP",
        "differ",
        "commit",
    ),
)
_PLACED = """
Placed and routed by nextpnr with `--place`: the clock is the median of the seeds, by its timing
model at the slow corner of the speed grade; no vendor sign-off. Cycles are simulated; cells are
those of the placed netlist, pins around the engine included. L16 with 8-bit numbers has direct
pipelines, and copies of flip-flops by place (`ernn.flow.sharing`). With deep pipelines and copies
by name it was placed at 93 MHz, where weight banks lacked their output register, and nextpnr
expected 92 MHz before routing once they had it: now 110, which routing made 151. Placement and
routing are two runs of nextpnr, of one seed (27 minutes of a processor). An older netlist's
placement (7b6cf73, 145.7 MHz) was routed for grade 8 at 184.5 MHz, which are 164,700 frames/s. L16
at 12 and 16 bits with one stream was placed at 148.3, 153.2 and 156.2 MHz by an older program
(d17b000: 2,339 cycles, 65,512 frames/s). With two streams it takes fewer cycles and a slower clock:
what lets a line in, which must know its stream, reaches what writes its spectrum in one cycle
(077a3e3, 117.5 MHz). The row of ad5e6b1 has registers on that way; then it is the far end of the
input's queue. They were taken out again: one stream with them was placed at 144.1, 112.0 and 143.2
MHz (which [clocks](clocks.md) has), and without, the row below, at a median 3 % lower, less than
seeds differ by. So L16 at 12 and 16 bits is placed 9 % slower than by that older program.
"""
_ABOVE = """# Hardware: the engine at the published size

L: LSTM of 1024 cells, peepholes, projection 512, input 160. G: GRU of 1024 units, input 160. The
figure is the block size. 12-bit weights (random), 16-bit data. Cycles and latency: simulated with
Verilator, every output integer compared with golden. Latency: a frame's last word in to its last
word out, idle engine. Utilisation: multiplications a frame needs over all multipliers, those of the
vector unit included, times the simulated cycles. Frames/s: from simulated cycles and the clock; a
clock marked "assumed" is the published designs' 200 MHz. Placed clocks have their own table.

Block RAM: what today's program needs for
the design (Yosys's mapping rules), and how much of it holds bits, in weight banks and in all other
memories that are in block RAM; an engine that **does not fit** the device it names is a figure
of cycles and utilisation alone, its frames/s those of a device with the same multipliers and more
memory. By today's program: the same design's cycles a frame, scheduled and not simulated; all other
figures of a row are those of its commit.

    python benchmarks/hardware.py --layer L16 --device LFE5U-85F --streams 2

makes one line (a JSON file in [hardware](hardware)) and this page. The commit is the one measured.
G16 and L16 for LFE5U-85F with one stream, and L16 with two, are what Phase II chooses with no more
said than that. G16 needs no second stream, whose states do not fit: where sums begin ahead of a
frame and eight passes overlap, one stream leaves the array as little idle as two do.
"""
_BETWEEN = """
Published, 200 MHz. Marks: V read in the source, V2 quoted by another paper, M recalled and
unverified, M✓ recalled and reproduces a verified figure by arithmetic.
"""
_BELOW = """
![frames per second against multipliers](hardware.svg)

For the published designs the multipliers are all those of the device: XCKU060 2,760, 7V3 3,600.
"""


def _label(r: dict[str, Any]) -> str:
    placed = f", placed on {r['device']}" if r["clock_mhz"]["kind"] == "placed" else ""
    return f"{named(r)}, {r['streams']} stream{'s' * (r['streams'] > 1)}{placed}"


def _side(r: dict[str, Any]) -> str:
    """Of the point, where its name has room."""
    return "left" if r["multipliers"] > 1000 else "right"


def plot(results: list[dict[str, Any]]) -> str:
    """Frames/s against multipliers, both logarithmic: ours filled, the published ones open."""
    from matplotlib.figure import Figure

    shown = [r for r in results if not has_formats(r)]
    ours = [(r["multipliers"], r["fps"]["value"], _label(r), _side(r)) for r in shown]
    dsp, others = {"XCKU060": 2760, "7V3": 3600}, []
    for row in ACCELERATORS:
        device = row.design.split(", ")[-1]
        if row.frames_per_second and device in dsp:
            fps = int(row.frames_per_second.replace(",", ""))
            others.append((dsp[device], fps, row.design, "left"))
    with styled():
        figure = Figure(figsize=(10.4, 6.2), layout="constrained")
        axes = figure.subplots()
        for points, face, name in ((ours, PALETTE[0], "ours"), (others, PAPER, "published")):
            xs, ys = [one[0] for one in points], [one[1] for one in points]
            axes.plot(xs, ys, "o", ms=7, mfc=face, mec=PALETTE[0], label=name)
        axes.set(xscale="log", yscale="log", xlim=(100, 5000), ylim=(10_000, None))
        axes.set(xlabel="multipliers", ylabel="frames/s")
        for axis in (axes.xaxis, axes.yaxis):
            numbered(axis)
        axes.grid()
        figure.legend(loc="outside upper right", ncols=2)
        names.write(axes, [*ours, *others], size=8.5, away=16)
        return standalone(
            to_svg(figure, "hardware", "Frames a second against multipliers, ours and published")
        )


if __name__ == "__main__":
    main()
