"""A look-up table before an adder's bit goes into it, and the sum and its carry stay."""

from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ernn.flow.netlist import Bit, Netlist
from ernn.flow.pack import pack

ADD = "1001011010101010"
ADDEND, FIRST, SECOND, THIRD, BEFORE, SUM = range(10, 16)


def adder(table: str, inputs: dict[str, Bit], operand: str) -> Netlist:
    """A bit that adds ADDEND and a table of FIRST, SECOND and THIRD, which is its `operand`."""
    other = {"A": "B", "B": "A"}[operand]
    read = {f"{operand}0": [BEFORE], f"{other}0": [ADDEND], "C0": ["0"], "D0": ["1"], "CIN": [9]}
    cells = {
        "table": _cell("LUT4", {"INIT": table}, {p: [bit] for p, bit in inputs.items()}, "Z"),
        "adder": _cell("CCU2C", {"INIT0": ADD, "INIT1": ADD}, read, "S0"),
    }
    cells["table"]["connections"]["Z"], cells["adder"]["connections"]["S0"] = [BEFORE], [SUM]
    ports = {"s": {"direction": "output", "bits": [SUM]}}
    return Netlist({"modules": {"top": {"ports": ports, "cells": cells, "netnames": {}}}}, "top")


def _cell(kind: str, parameters: dict[str, str], reads: dict[str, Any], drives: str) -> Any:
    return {
        "type": kind,
        "parameters": parameters,
        "attributes": {},
        "port_directions": dict.fromkeys(reads, "input") | {drives: "output"},
        "connections": dict(reads),
    }


def added(netlist: Netlist, values: dict[Bit, int]) -> tuple[int, int]:
    """The bit's sum without its carry, and what it hands on where that is 0."""
    known = {"0": 0, "1": 1, **values}

    def read(name: str, init: str, ports: list[str]) -> int:
        bits = [known[netlist.bit(netlist.cells[name], port)] for port in ports]
        return int(
            netlist.cells[name]["parameters"][init][15 - sum(b << i for i, b in enumerate(bits))]
        )

    if "table" in netlist.cells:
        known[BEFORE] = read("table", "INIT", ["A", "B", "C", "D"])
    ports = ["A0", "B0", "C0", "D0"]
    # +/ecp5/cells_sim.v: the carry's table has the inputs A and B alone
    return read("adder", "INIT0", ports), read("adder", "INIT0", ports[:2])


TABLES = st.integers(0, (1 << 16) - 1).map(lambda bits: f"{bits:016b}")
INPUTS = st.permutations([FIRST, SECOND, THIRD, "0", "1"]).map(
    lambda bits: dict(zip("ABCD", bits[:4], strict=True))
)


@given(TABLES, INPUTS, st.sampled_from("AB"))
def test_a_bit_adds_what_it_did(table: str, inputs: dict[str, Bit], operand: str) -> None:
    before, after = adder(table, inputs, operand), adder(table, inputs, operand)
    packed = pack(after)["tables"]
    assert packed == ("table" not in after.cells)
    for bits in product((0, 1), repeat=4):
        values: dict[Bit, int] = dict(zip((ADDEND, FIRST, SECOND, THIRD), bits, strict=True))
        was, now = added(before, values), added(after, values)
        assert was[0] == now[0]
        assert was[0] or was[1] == now[1]  # the carry's table counts where it is not passed on


def test_a_choice_between_two_goes_into_an_adder() -> None:
    """What begins a sum anew, with zero or another sum."""
    bits = list(product((0, 1), repeat=4))
    table = "".join(str(second if first else third) for _, third, second, first in bits[::-1])
    netlist = adder(table, dict(zip("ABCD", (FIRST, SECOND, THIRD, "0"), strict=True)), "B")
    assert pack(netlist)["tables"] == 1 and netlist.cells["adder"]["connections"]["B0"] == [FIRST]
