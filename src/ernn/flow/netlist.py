"""A flattened netlist (Yosys's JSON): who drives a bit, who reads it, and small changes to it."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

Bit = int | str  # a net's number, or the constant "0", "1", "x"
Cell = dict[str, Any]
Pin = tuple[str, str, int]  # cell's name, port, bit of the port
_COPY = re.compile(r"(_copy\d+)+$")


class Netlist:
    """The top module of `circuit`; the library's modules, which Yosys writes too, are left out."""

    def __init__(self, circuit: dict[str, Any], top: str) -> None:
        self.module = circuit["modules"][top]
        self.circuit = circuit | {"modules": {top: self.module}}
        self.cells: dict[str, Cell] = self.module["cells"]
        self._next = 1 + max(
            (
                bit
                for net in self.module["netnames"].values()
                for bit in net["bits"]
                if isinstance(bit, int)
            ),
            default=1,
        )
        self.loads: dict[Bit, dict[Pin, None]] = defaultdict(dict)  # in one order, unlike sets
        self.driver: dict[Bit, Pin] = {}
        for name in [name for name, cell in self.cells.items() if cell["type"].startswith("$")]:
            del self.cells[name]  # $scopeinfo: no hardware
        for name, cell in self.cells.items():
            # Places in the source are half of the file, and wrong once cells are changed.
            cell["attributes"].pop("src", None)
            for port, index, bit in _pins(cell):
                if cell["port_directions"][port] == "output":
                    self.driver[bit] = (name, port, index)
                else:
                    self.loads[bit][name, port, index] = None

    @classmethod
    def read(cls, path: Path, top: str) -> "Netlist":
        return cls(json.loads(path.read_text()), top)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(self.circuit))

    @cached_property
    def outputs(self) -> frozenset[Bit]:
        """Bits that leave the module."""
        ports = self.module["ports"].values()
        return frozenset(
            bit for port in ports if port["direction"] == "output" for bit in port["bits"]
        )

    @cached_property
    def names(self) -> dict[Bit, tuple[str, int]]:
        """Each net's plainest name, and which bit of it."""
        names: dict[Bit, tuple[str, int]] = {}
        rank: dict[Bit, tuple[int, int, str]] = {}
        for name, net in self.module["netnames"].items():
            key = (net.get("hide_name", 0), name.count("."), name)
            for index, bit in enumerate(net["bits"]):
                if bit not in rank or key < rank[bit]:
                    rank[bit], names[bit] = key, (name, index)
        return names

    def of_type(self, kind: str) -> Iterator[tuple[str, Cell]]:
        """Cells of a type, in the file's order; cells may be removed meanwhile."""
        return iter([(name, cell) for name, cell in self.cells.items() if cell["type"] == kind])

    def bit(self, cell: Cell, port: str) -> Bit:
        """What is connected to a port of one bit; "0" where nothing is."""
        return cell["connections"].get(port, ["0"])[0]

    def connect(self, name: str, port: str, bit: Bit, index: int = 0) -> None:
        """Connect a bit of a cell's port to another net; an input that is new has one bit."""
        cell = self.cells[name]
        bits = cell["connections"].setdefault(port, ["0"])
        if cell["port_directions"].setdefault(port, "input") == "output":
            self.driver.pop(bits[index], None)
            self.driver[bit] = (name, port, index)
        else:
            self.loads[bits[index]].pop((name, port, index), None)
            self.loads[bit][name, port, index] = None
        bits[index] = bit

    def remove(self, name: str) -> None:
        """Remove a cell; its outputs' nets are left without a driver."""
        cell = self.cells.pop(name)
        for port, index, bit in _pins(cell):
            if cell["port_directions"][port] == "output":
                if self.driver.get(bit) == (name, port, index):
                    del self.driver[bit]
            else:
                self.loads[bit].pop((name, port, index), None)

    def copy(self, name: str, output: str) -> Bit:
        """A second cell with the same inputs; the new net on its `output`, of one bit."""
        cell, bit = self.cells[name], self._next
        copied = f"{name}_copy{bit}"
        self._next += 1
        connections = {
            port: list(bits) for port, bits in cell["connections"].items() if port != output
        }
        self.cells[copied] = {
            key: dict(value) if isinstance(value, dict) else value for key, value in cell.items()
        }
        self.cells[copied]["connections"] = connections | {output: [bit]}
        for port, index, source in _pins(self.cells[copied]):
            if port != output:
                self.loads[source][copied, port, index] = None
        self.driver[bit] = (copied, output, 0)
        self.names[bit] = self.names.get(self.bit(cell, output), (name, 0))
        self.module["netnames"][f"{copied}_net"] = {"hide_name": 1, "bits": [bit], "attributes": {}}
        return bit


def original(name: str) -> str:
    """The cell that one is a copy of, or a copy's copy; itself, if of none."""
    return _COPY.sub("", name)


def _pins(cell: Cell) -> Iterator[tuple[str, int, Bit]]:
    for port, bits in cell["connections"].items():
        for index, bit in enumerate(bits):
            yield port, index, bit
