"""An array that fills its device has places for its blocks: the die's
own, each element's side by side.
"""

import itertools
import json
from pathlib import Path

import pytest

from ernn.estimate.device import Device, find_device
from ernn.flow import floorplan as module
from ernn.flow import tools
from ernn.flow.floorplan import SITES, floorplan
from ernn.flow.netlist import Netlist
from ernn.flow.process import run

BIG = find_device("LFE5U-85F")
DIES = (find_device("LFE5U-25F"), find_device("LFE5U-45F"), BIG)


def netlist(multipliers: dict[str, int], block_rams: dict[str, int]) -> Netlist:
    """Cells and what drives nothing: products by element, and parts of a memory."""
    cells, names, bit = {}, {}, 2
    for element, count in multipliers.items():
        for number in range(count):
            names[f"engine.{element}.product{number}_d1"] = {
                "hide_name": 0,
                "bits": [bit],
                "attributes": {},
            }
            cells[f"engine.{element}.${number}"] = cell("MULT18X18D", P0=bit)
            bit += 1
    for memory, count in block_rams.items():
        cells |= {f"engine.{memory}.0.{part}": cell("DP16KD") for part in range(count)}
    module = {"attributes": {"top": 1}, "ports": {}, "cells": cells, "netnames": names}
    return Netlist({"creator": "test", "modules": {"top": module}}, "top")


def cell(kind: str, **outputs: int) -> dict:
    connections = {port: [bit] for port, bit in outputs.items()}
    directions = dict.fromkeys(outputs, "output")
    return {
        **{"type": kind, "hide_name": 0, "parameters": {}, "attributes": {}},
        **{"connections": connections, "port_directions": directions},
    }


def places(design: Netlist) -> dict[str, tuple[int, int, str]]:
    """Column, row and site by cell, of cells that have a place."""
    sites = {
        name: one["attributes"]["BEL"]
        for name, one in design.cells.items()
        if "BEL" in one["attributes"]
    }
    found = {name: site.split("/") for name, site in sites.items()}
    return {
        name: (int(column[1:]), int(row[1:]), site) for name, (column, row, site) in found.items()
    }


def full_array() -> Netlist:
    multipliers = {f"array.element{number}": 23 for number in range(6)} | {"vector": 16}
    block_rams = {f"array.element{number}.bank0": 22 for number in range(6)}
    block_rams |= {f"array.element{number}.tail": 4 for number in range(6)} | {
        "spectra": 8,
        "gates": 8,
    }
    return netlist(multipliers, block_rams)


def test_each_element_has_a_strip_of_the_device() -> None:
    design = full_array()
    assert floorplan(design, BIG) == 6 * (23 + 26) + 16
    found = places(design)
    assert len(set(found.values())) == len(found) == 6 * (23 + 26) + 16, "no two in one place"
    for kind in ("$", "bank0", "tail"):
        strips = [
            [at for name, at in found.items() if f"element{n}.{kind}" in name] for n in range(6)
        ]
        assert all(
            max(column for column, *_ in strip) - min(column for column, *_ in strip) < 24
            for strip in strips
        )
        middles = [sum(column for column, *_ in strip) / len(strip) for strip in strips]
        steps = [right - left for left, right in itertools.pairwise(middles)]
        assert all(11 < step < 24 for step in steps), "neighbours are a strip apart"
    rows = [found[f"engine.array.element0.${number}"][1] for number in range(23)]
    assert rows == sorted(rows), "a word's bits go from row to row"


def test_other_memories_lie_at_the_ends_in_one_piece() -> None:
    design = full_array()
    floorplan(design, BIG)
    found = places(design)
    banks = [column for name, (column, *_) in found.items() if "bank" in name]
    spectra, gates = (
        [at for name, at in found.items() if f".{memory}." in name]
        for memory in ("spectra", "gates")
    )
    assert len(spectra) == len(gates) == 8
    assert max(column for column, *_ in spectra) < min(banks)
    assert (
        min(column for column, *_ in gates) > max(banks) and len({row for _, row, _ in gates}) == 1
    )


def test_an_array_with_room_around_it_is_left_to_the_placer() -> None:
    design = netlist({"array.element0": 23, "array.element1": 23}, {"array.element0.bank0": 22})
    assert floorplan(design, BIG) == 0 and not places(design)
    assert floorplan(design, find_device("LFE5U-45F")) == 2 * 23 + 22


def test_a_design_without_an_array_has_nothing_to_place() -> None:
    assert floorplan(netlist({"vector": 100}, {"gates": 8}), BIG) == 0


@pytest.mark.parametrize("device", DIES, ids=lambda device: device.name)
def test_nextpnr_knows_every_site(device: Device, tmp_path: Path) -> None:
    """All of a die's multipliers and block RAMs, each in its place: a name or a row
    that is wrong would be refused.
    """
    sites = SITES[device.nextpnr]
    multipliers = [
        site for row in sites.multipliers for site in sites.row(row, module._MULTIPLIERS)
    ]
    block_rams = [site for row in sites.block_rams for site in sites.row(row, module._BLOCK_RAMS)]
    assert len(multipliers) == device.dsp.value and 18 * len(block_rams) == device.block_ram.value
    design = netlist({"array.element0": len(multipliers)}, {"gates": len(block_rams)})
    for one, site in zip(design.cells.values(), multipliers + block_rams, strict=True):
        one["attributes"]["BEL"] = site
    design.write(tmp_path / "netlist.json")
    options = (device.nextpnr, "--package", device.package, "--placer", "sa", "--no-route")
    command = (
        *tools.nextpnr_ecp5().command,
        "--json",
        "netlist.json",
        "--write",
        "placed.json",
        *options,
    )
    run(command, tmp_path, tmp_path / "log", what="nextpnr", timeout=120)
    placed = json.loads((tmp_path / "placed.json").read_text())["modules"]["top"]["cells"]
    assert {name: one["attributes"]["NEXTPNR_BEL"] for name, one in placed.items()} == {
        name: one["attributes"]["BEL"] for name, one in design.cells.items()
    }
