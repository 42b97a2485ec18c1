"""A run's network for tools and boards outside: Vivado sources, a bitstream with what its host must
know.
"""

import shutil
from dataclasses import asdict
from pathlib import Path

from ernn.files import write_json
from ernn.flow.bitstream import BITSTREAM, Bitstream, bitstream
from ernn.flow.boards import find_board
from ernn.flow.verilog import to_verilog
from ernn.flow.vivado import require_part, vivado_project
from ernn.ir import serialization as codec
from ernn.pipeline.hardware import scheduled
from ernn.pipeline.run import Run
from ernn.rtl.engine import Engine

VIVADO, BOARD, WIRE = "vivado", "board", "wire.json"


def vivado(run: Run, part: str, clock_mhz: float) -> list[Path]:
    """Write the engine, without probes, and Tcl for Vivado into the run's folder; the files to
    begin with.
    """
    require_part(part)
    plan = scheduled(run)
    design, digest = plan.layout.design, codec.digest(plan.layout.model)
    description = (
        f"integer model {digest}, {design.elements} processing elements, {design.streams} streams"
    )
    verilog = to_verilog(Engine(plan))
    return vivado_project(
        verilog, run.path(VIVADO), part=part, clock_mhz=clock_mhz, description=description
    )


def board(run: Run, name: str, clock_mhz: float, baud: int, seed: int) -> tuple[Bitstream, Path]:
    """The bitstream, copied into the run's folder beside `wire.json`, and its path there."""
    made = bitstream(scheduled(run), find_board(name), clock_mhz=clock_mhz, baud=baud, seed=seed)
    folder = run.path(BOARD)
    folder.mkdir(parents=True, exist_ok=True)
    path = Path(shutil.copyfile(made.path, folder / BITSTREAM))
    write_json(folder / WIRE, {"baud": baud, **asdict(made.wire)})
    return made, path
