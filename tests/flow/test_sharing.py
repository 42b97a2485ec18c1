"""Copies of a flip-flop are dealt out by where their loads lie, and nothing else changes."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernn.flow.netlist import Netlist
from ernn.flow.pack import load_weight, pack
from ernn.flow.sharing import positions, share

STAGES, ROWS = 4, 8


def bands(stages: int = STAGES, rows: int = ROWS, places: list[int] | None = None) -> Netlist:
    """A flag that passes `stages` registers; each drives the enable of a register in every row,
    whose operand comes from a multiplier that has a place: in column 10 x stage, row 10 x row."""
    cells, nets, bit = {}, {}, 2

    def new(name: str, kind: str, output: str, at: str | None = None, **inputs: int | str) -> int:
        nonlocal bit
        bit += 1
        directions = dict.fromkeys(inputs, "input") | {output: "output"}
        cells[name] = {
            **{"type": kind, "hide_name": 0, "port_directions": directions},
            **{"parameters": {"CEMUX": "CE", "REGSET": "RESET"}},
            **{"attributes": {"BEL": at} if at else {}},
            **{"connections": {port: [net] for port, net in inputs.items()} | {output: [bit]}},
        }
        nets[name] = {"hide_name": 0, "bits": [bit], "attributes": {}}
        return bit

    flag = 2
    for stage in range(stages):
        flag = new(f"flag{stage}", "TRELLIS_FF", "Q", DI=flag, CLK=1, LSR="0")
        for row in range(rows):
            place = f"X{10 * stage}/Y{10 * (places[row] if places else row)}/MULT18_0"
            product = new(f"product{stage}_{row}", "MULT18X18D", "P0", place)
            new(f"kept{stage}_{row}", "TRELLIS_FF", "Q", DI=product, CE=flag, CLK=1, LSR="0")
    module = {"attributes": {"top": 1}, "cells": cells, "netnames": nets}
    ports = {"go": {"direction": "input", "bits": [2]}}
    return Netlist({"modules": {"top": module | {"ports": ports}}}, "top")


def driven(netlist: Netlist) -> dict[str, list[str]]:
    """What drives each input, by the flip-flop that copies are of: what the netlist does."""
    found = defaultdict(list)
    for bit, loads in netlist.loads.items():
        source = netlist.driver[bit][0].partition("_copy")[0] if bit in netlist.driver else str(bit)
        for name, port, index in loads:
            found[f"{name.partition('_copy')[0]}.{port}.{index}"].append(source)
    return {pin: sorted(set(sources)) for pin, sources in found.items()}


def test_what_has_no_place_is_drawn_between_what_has_one() -> None:
    netlist = bands(stages=1)
    found = positions(netlist)
    assert all(found[f"product0_{row}"] == (0, 10 * row) for row in range(ROWS))
    assert all(0 < found[f"kept0_{row}"][1] < 10 * ROWS for row in range(1, ROWS - 1))
    middle = np.mean([10 * row for row in range(ROWS)])
    assert found["flag0"] == pytest.approx((0, middle), abs=0.1)


def test_a_delay_line_runs_along_each_band_of_rows() -> None:
    netlist = bands()
    before = driven(netlist)
    pack_like = netlist.copy("flag3", "Q")  # as packing leaves it: the last has a copy
    netlist.connect("kept3_7", "CE", pack_like)
    share(netlist, fan_out=100, span=25)
    assert driven(netlist) == before
    bands_of = [
        rows_behind(netlist, name)
        for name, _ in netlist.of_type("TRELLIS_FF")
        if name.startswith("flag")
    ]
    assert len(bands_of) > 2 * STAGES and set().union(*bands_of) == set(range(ROWS))
    assert all(max(band) - min(band) <= ROWS // 2 for band in bands_of)


def rows_behind(netlist: Netlist, name: str) -> set[int]:
    """All rows that a flag reaches, through the registers behind it."""
    loads = netlist.loads[netlist.bit(netlist.cells[name], "Q")]
    own = {int(pin[0].partition("_")[2]) for pin in loads if pin[1] == "CE"}
    return own.union(*(rows_behind(netlist, pin[0]) for pin in loads if pin[1] == "DI"))


@given(
    places=st.lists(st.integers(0, 9), min_size=ROWS, max_size=ROWS),
    fan_out=st.integers(4, 30),
    span=st.integers(5, 60),
)
def test_every_copy_keeps_to_its_limits_and_to_its_function(
    places: list[int], fan_out: int, span: int
) -> None:
    netlist = bands(places=places)
    before = driven(netlist)
    pack(netlist, fan_out)
    kept = positions(netlist)
    share(netlist, fan_out, span)
    assert driven(netlist) == before
    for name, cell in netlist.of_type("TRELLIS_FF"):
        loads = list(netlist.loads[netlist.bit(cell, "Q")])
        assert loads or name.startswith("kept"), "none is left with nothing to drive"
        if "_copy" in name:
            assert len(loads) == 1 or sum(load_weight(netlist, pin) for pin in loads) <= fan_out
            enables = np.array([kept[pin[0]] for pin in loads if pin[1] == "CE"])
            assert len(enables) < 2 or np.ptp(enables, axis=0).sum() <= span + 1e-9


def test_sharing_twice_changes_nothing() -> None:
    netlist = bands()
    pack(netlist, 8)
    share(netlist, 8, 25)
    assert share(netlist, 8, 25) == 0


def test_a_netlist_without_copies_stays_as_it_is(tmp_path: Path) -> None:
    netlist = bands()
    before: Any = netlist.circuit["modules"]["top"]["cells"].copy()
    assert share(netlist, 1000, 1000) == 0
    assert netlist.circuit["modules"]["top"]["cells"] == before
