"""The same netlist packs to the same bytes in every process, whatever its strings hash to."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

EVERY = 12  # cells, one is a flip-flop
PACKED = """
import sys
from pathlib import Path
from ernn.flow.netlist import Netlist
from ernn.flow.pack import pack
netlist = Netlist.read(Path(sys.argv[1]), "top")
pack(netlist, fan_out=24)
netlist.write(Path(sys.argv[2]))
"""


def tangle(cells: int) -> dict[str, Any]:
    """Flip-flops and look-up tables that read one another at random, flip-flops in loops."""
    chance, made = random.Random(0), {}
    kept = [number for number in range(cells) if number % EVERY == 0]
    for number in range(cells):
        near = [*range(number), *kept][-chance.choice((9, cells)) :]
        reads = {port: [10 + chance.choice(near)] for port in "ABCD"}
        table = {"INIT": f"{chance.randrange(1 << 16):016b}"}
        register = {"REGSET": "SET", "CEMUX": "1"}
        made[f"cell{number}"] = (
            _cell("LUT4", table, reads, {"Z": [10 + number]})
            if number % EVERY
            else _cell(
                "TRELLIS_FF",
                register,
                {"CLK": [2], "DI": reads["A"], "LSR": ["0"]},
                {"Q": [10 + number]},
            )
        )
    nets = {f"n{bit}": {"bits": [bit]} for bit in range(10, 10 + cells)}
    return {"modules": {"top": {"ports": {}, "cells": made, "netnames": nets}}}


def _cell(
    kind: str, parameters: dict[str, str], reads: dict[str, Any], drives: dict[str, Any]
) -> Any:
    directions = dict.fromkeys(reads, "input") | dict.fromkeys(drives, "output")
    return {
        "type": kind,
        "parameters": parameters,
        "attributes": {},
        "port_directions": directions,
        "connections": reads | drives,
    }


def test_every_process_packs_alike(tmp_path: Path) -> None:
    source = tmp_path / "netlist.json"
    source.write_text(json.dumps(tangle(300)))
    made = []
    for seed in "123":
        target = tmp_path / f"packed{seed}.json"
        command = [sys.executable, "-c", PACKED, str(source), str(target)]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONHASHSEED": seed})
        made.append(target.read_bytes())
    assert made[0] == made[1] == made[2]
