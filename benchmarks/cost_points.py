"""The measured engines behind `ernn design`: Yosys's counts of small and
middle engines, kept in the package.

    python benchmarks/cost_points.py             # measure what is missing
    python benchmarks/cost_points.py --features  # only count bits again (ernn.estimate.logic)
    python benchmarks/cost_points.py --errors    # only print the errors

One synthesis runs after another; a second call goes on where the first was stopped. Each engine is
a random network on a design.  It is synthesised for ECP5 and 7-series, in half a minute each on a
quiet core.  points.json is written after each; it names Yosys's version and a digest of the
circuits measured (the first engine's Verilog, and the pass that packs registers). Where the digest
is another, all are measured again.  At the end: the errors of leaving one configuration out, which
a test asserts.
"""

import argparse
import hashlib
import inspect
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ernn.estimate.area import FITTED, POINTS, Points, left_out
from ernn.estimate.device import Family, find_device
from ernn.estimate.logic import Logic
from ernn.estimate.units import Units
from ernn.files import write_json
from ernn.flow import pack, tools
from ernn.flow.synthesise import synthesise
from ernn.flow.verilog import to_verilog
from ernn.ir.circulant import project
from ernn.ir.integer_model import IntegerModel
from ernn.ir.layers import gru, linear, lstm
from ernn.ir.network import Layer, Matrix, Network
from ernn.ir.structure import BlockCirculant, Dense
from ernn.quantization.quantize import QuantizeSpec, quantize
from ernn.rtl.engine import Engine
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import Schedule, schedule

DEVICES: dict[Family, str] = {"ecp5": "LFE5U-85F", "xc7": "XC7A100T"}
SEED = 0
# Look-up tables that a memory takes; those of shift registers are not counted.
MEMORY_LUTS = {
    "TRELLIS_DPR16X4": 6,
    "RAM32M": 4,
    "RAM64M": 4,
    "RAM32M16": 8,
    "RAM64M8": 8,
}


@dataclass(frozen=True)
class Net:
    """A random network: `cell` layers and, where `outputs`, a dense output layer."""

    cell: str
    inputs: int
    hidden: int
    block: int
    weight_bits: int = 12
    data_bits: int = 16
    projection: int = 0
    peepholes: bool = False
    outputs: int = 0


# Small and middle ones, so that each takes Yosys a minute or two, which together have every unit in
# several widths; and, in ten minutes, one of a published size, or what is fitted says little of it.
ENGINES: tuple[tuple[Net, Design], ...] = (
    (Net("gru", 8, 16, 4), Design(2, 2, 16, 2)),
    (Net("lstm", 8, 16, 1, weight_bits=8, data_bits=10), Design(6, 1, 16, 1)),
    (Net("gru", 16, 32, 8), Design(2, 2, 16, 2)),
    (Net("lstm", 16, 32, 1, outputs=5), Design(2, 1, 16, 1, pipeline="shallow")),
    (Net("gru", 16, 32, 8, weight_bits=8, data_bits=10), Design(3, 1, 16, 4, pipeline="shallow")),
    (Net("lstm", 16, 32, 4), Design(2, 2, 2, 4, 2, 2, 4, True)),
    (Net("gru", 16, 32, 1), Design(8, 2, 16, 1)),
    (Net("lstm", 16, 32, 8), Design(1, 1, 4, 1, overlap=8, deferred=True, pipeline="shallow")),
    (Net("lstm", 32, 64, 2), Design(4, 2, 16, 2)),
    (Net("gru", 32, 64, 16), Design(1, 2, 16, 4)),
    (Net("gru", 64, 96, 4, weight_bits=8, data_bits=12), Design(4, 1, 16, 1, pipeline="shallow")),
    (Net("lstm", 64, 128, 8), Design(2, 3, 8, 1)),
    (Net("lstm", 24, 48, 1, weight_bits=8, data_bits=8), Design(16, 1, 16, 1)),
    (Net("lstm", 32, 64, 8, projection=32, peepholes=True), Design(3, 2, 16, 8)),
    (Net("gru", 32, 64, 8, weight_bits=10, data_bits=12), Design(4, 1, 4, 4, 2)),
    (Net("gru", 32, 64, 8), Design(5, 2, 16, 2)),
    (Net("lstm", 32, 64, 4, weight_bits=16), Design(6, 4, 8, 2)),
    (Net("gru", 32, 64, 16, outputs=10), Design(1, 1, 16, 8, pipeline="shallow")),
    (Net("gru", 32, 64, 8), Design(2, 2, 2, 2, 2, 2, 6, True)),
    (Net("gru", 64, 128, 8, outputs=12), Design(1, 4, 16, 1)),
    (Net("lstm", 64, 64, 16, weight_bits=8, data_bits=12), Design(2, 2, 16, 2)),
    (Net("lstm", 32, 64, 16, peepholes=True, projection=32), Design(2, 2, 16, 4)),
    (Net("lstm", 32, 64, 16, weight_bits=8, data_bits=8), Design(2, 2, 16, 4, packed=18)),
    (Net("gru", 32, 64, 8, weight_bits=8, data_bits=9), Design(6, 1, 16, 4, packed=18)),
    (Net("lstm", 24, 48, 1, weight_bits=8, data_bits=8), Design(16, 1, 16, 1, packed=18)),
    (
        Net("lstm", 160, 1024, 16, projection=512, peepholes=True),
        Design(6, 2, 16, 4, staggered=True),
    ),
)


def wanted() -> Iterator[tuple[Family, Net, Design]]:
    """Every engine on every family."""
    for net, design in ENGINES:
        yield "ecp5", net, design
        yield "xc7", net, design


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--features", action="store_true", help="count the bits of the points there again"
    )
    parser.add_argument(
        "--errors", action="store_true", help="print the errors of the points there"
    )
    arguments = parser.parse_args()
    if arguments.features:
        content = json.loads(POINTS.read_text(encoding="utf-8"))
        kept = [
            one | counted(scheduled(Net(**one["network"]), Design(**one["design"])), one["family"])
            for one in content["points"]
        ]
        write_json(POINTS, content | {"points": kept})
    elif not arguments.errors:
        measure()
    print_errors()


def measure() -> None:
    """What is missing; the file is whole after each."""
    content = json.loads(POINTS.read_text(encoding="utf-8"))
    now = {"tool": tools.yosys().identity, "rtl": circuits()}
    points = content["points"] if {name: content[name] for name in now} == now else []
    for family, net, design in wanted():
        if any(
            (one["family"], one["network"], one["design"]) == (family, asdict(net), asdict(design))
            for one in points
        ):
            continue
        began = time.monotonic()
        points.append(point(family, net, design))
        write_json(POINTS, now | {"points": points})
        print(
            f"{len(points):3} {family:5} {time.monotonic() - began:4.0f} s {net} {design}",
            file=sys.stderr,
        )


def circuits() -> str:
    """Digest of what is measured: the first engine's circuit, and how flip-flops are packed."""
    net, design = ENGINES[0]
    verilog = to_verilog(Engine(scheduled(net, design), probes=True))
    return hashlib.sha256((verilog.text_digest + inspect.getsource(pack)).encode()).hexdigest()[:16]


def point(family: Family, net: Net, design: Design) -> dict[str, Any]:
    plan = scheduled(net, design)
    area = synthesise(to_verilog(Engine(plan, probes=True)), find_device(DEVICES[family]))
    return {
        "family": family,
        "network": asdict(net),
        "design": asdict(design),
        **counted(plan, family),
        "lutram": sum(area.cells.get(kind, 0) * luts for kind, luts in MEMORY_LUTS.items()),
        "lut": area.lut,
        "ff": area.ff,
        "dsp": area.dsp,
        "block_ram": area.bram_kbit,
    }


def counted(plan: Schedule, family: Family) -> dict[str, Mapping[str, float]]:
    """Bits by unit."""
    logic = Logic(Units(plan), family)
    return {"adders": logic.adders(), "registers": logic.registers()}


def scheduled(net: Net, design: Design) -> Schedule:
    return schedule(model(net), design)


def model(net: Net) -> IntegerModel:
    """The network in integers, its weights random."""
    rng = np.random.default_rng(SEED)
    spec = QuantizeSpec(weight_bits=net.weight_bits, data_bits=net.data_bits)
    layers: list[Layer] = [_layer(rng, net)]
    if net.outputs:
        width = net.projection or net.hidden
        layers.append(linear(_matrix(rng, 1, net.outputs, width, 1), rng.normal(size=net.outputs)))
    return quantize(Network(tuple(layers)), [rng.normal(size=(30, net.inputs))], spec)


def _layer(rng: np.random.Generator, net: Net) -> Layer:
    width, gates = net.projection or net.hidden, 4 if net.cell == "lstm" else 3
    input = _matrix(rng, gates, net.hidden, net.inputs, net.block)
    recurrent = _matrix(rng, gates, net.hidden, width, net.block)
    bias = rng.normal(size=(gates, net.hidden)) * 0.5
    if net.cell == "gru":
        return gru(input, recurrent, bias, rng.normal(size=(3, net.hidden)) * 0.5)
    peepholes = rng.normal(size=(3, net.hidden)) * 0.3 if net.peepholes else None
    projection = _matrix(rng, 1, net.projection, net.hidden, net.block) if net.projection else None
    return lstm(input, recurrent, bias, peephole=peepholes, projection=projection)


def _matrix(rng: np.random.Generator, gates: int, rows: int, columns: int, block: int) -> Matrix:
    structure = Dense() if block == 1 else BlockCirculant(block)
    value = project(rng.normal(size=(gates, rows, columns)), structure)
    return Matrix(value / max(1e-9, value.std()) / np.sqrt(columns), structure)


def print_errors() -> None:
    """Largest and mean error of each point predicted from the others, by family."""
    shipped = Points.load()
    for family in DEVICES:
        points = [point for point in shipped.points if point.family == family]
        if len({(str(p.network), str(p.design)) for p in points}) < 2:
            continue
        for what in FITTED:
            errors = left_out(points, what)
            worst, mean = max(errors, key=abs), float(np.mean(np.abs(errors)))
            print(
                f"{family:5} {what:3} {len(points):3} points: mean {mean:.1%}, largest {worst:+.1%}"
            )


if __name__ == "__main__":
    main()
