"""Which loads share a copy of a flip-flop, by where they will lie.

A flag that starts a step of the array drives thousands of loads, over the whole height of the die;
`ernn.flow.pack` has copied its flip-flop, before anything had a place.  Where the array's blocks
have places (`ernn.flow.floorplan`), every other cell is drawn between those it is connected to: the
minimum of all squared distances, as an analytical placer begins.  Copies are then dealt out anew,
from the last registers of a delay line to its first: loads that lie together share a copy, and a
copy reads the nearest copy of the register before it.  Such a line runs along each band of rows by
itself, instead of gathering its bands in one flip-flop at every stage.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ernn.flow.netlist import Bit, Netlist, Pin, original
from ernn.flow.pack import FAN_OUT, load_weight

SPAN = 32
"""Columns and rows together over which one flip-flop's loads may lie; a column or row takes some
0.1 ns on ECP5."""
_PULLING = 24
"""Pins of a net, at most, that it draws together: those of more are shared out here."""
_TURNS = 200
_SITE = re.compile(r"X(\d+)/Y(\d+)/")

Points = NDArray[np.float64]  # column and row by cell


def share(netlist: Netlist, fan_out: int = FAN_OUT, span: float = SPAN) -> int:
    """Deal the loads of copied flip-flops out anew, in place; how many flip-flops were added, less
    those that have nothing left to drive."""
    before = len(netlist.cells)
    registers = _Registers(netlist)
    limits = _Limits(netlist, positions(netlist), fan_out, span)
    for name in registers.last_first():
        _deal(registers, limits, name)
    return len(netlist.cells) - before


def positions(netlist: Netlist) -> dict[str, tuple[float, float]]:
    """Where every cell would lie, in columns and rows, drawn between those that have a place."""
    names = {name: number for number, name in enumerate(netlist.cells)}
    cells, nets = _pins(netlist, names)
    fixed = {
        names[name]: tuple(map(float, found.groups()))
        for name, cell in netlist.cells.items()
        if (found := _SITE.match(cell["attributes"].get("BEL", "")))
    }
    places = np.tile(np.mean(list(fixed.values()), axis=0), (len(names), 1))
    held, where = list(fixed), np.array(list(fixed.values()))
    pins = np.bincount(nets)
    pull = 1 / (pins[nets] - 1)  # as strong by net, whatever its pins
    pulls = np.bincount(cells, pull, len(names))[:, None]
    for _ in range(_TURNS):
        places[held] = where
        middles = _summed(nets, places[cells], len(pins)) / pins[:, None]
        drawn = _summed(cells, middles[nets] * pull[:, None], len(names))
        places = np.divide(drawn, pulls, out=places, where=pulls > 0)
    places[held] = where
    return {name: (places[number, 0], places[number, 1]) for name, number in names.items()}


def _pins(netlist: Netlist, names: dict[str, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cell and net of every pin of nets that pull."""
    cells, nets, count = [], [], 0
    for bit, driver in netlist.driver.items():
        found = {names[driver[0]], *(names[name] for name, *_ in netlist.loads[bit])}
        if 1 < len(found) <= _PULLING:
            cells += sorted(found)
            nets += [count] * len(found)
            count += 1
    return np.array(cells), np.array(nets)


def _summed(at: NDArray[np.int64], what: Points, size: int) -> Points:
    return np.stack([np.bincount(at, column, size).astype(float) for column in what.T], axis=1)


class _Registers:
    """The flip-flops by the one they are copies of."""

    def __init__(self, netlist: Netlist) -> None:
        self.netlist = netlist
        self.copies: dict[str, list[str]] = defaultdict(list)
        for name, _ in netlist.of_type("TRELLIS_FF"):
            self.copies[original(name)].append(name)

    def loads(self, name: str) -> list[Pin]:
        """Of all copies."""
        return [pin for copy in self.copies[name] for pin in self.netlist.loads[self.bit(copy)]]

    def bit(self, copy: str) -> Bit:
        return self.netlist.bit(self.netlist.cells[copy], "Q")

    def followed(self, name: str) -> list[str]:
        """Registers that take what this one holds, as they are."""
        readers = (original(cell) for cell, port, _ in self.loads(name) if port == "DI")
        return [one for one in dict.fromkeys(readers) if one in self.copies]

    def last_first(self) -> Iterator[str]:
        """Each after those that follow it; where they go round in a ring, somewhere."""
        begun: set[str] = set()
        for first in self.copies:
            stack = [] if first in begun else [first]
            begun.add(first)
            while stack:
                left = (one for one in self.followed(stack[-1]) if one not in begun)
                following = next(left, None)
                if following is None:
                    yield stack.pop()
                else:
                    begun.add(following)
                    stack.append(following)


@dataclass(frozen=True)
class _Limits:
    """How many loads may share a flip-flop, and how far apart they may lie."""

    netlist: Netlist
    places: dict[str, tuple[float, float]]
    fan_out: int
    span: float

    def groups(self, loads: list[Pin]) -> list[list[Pin]]:
        """Parted where they lie farthest apart until each group keeps to the limits."""
        where = np.array([self.places[cell] for cell, *_ in loads])
        extent = np.ptp(where, axis=0)
        weight = sum(load_weight(self.netlist, pin) for pin in loads)
        if len(loads) == 1 or (weight <= self.fan_out and extent.sum() <= self.span):
            return [loads]
        along = where[:, int(extent.argmax())]
        order = np.argsort(along, kind="stable")
        parts = -(-weight // self.fan_out)
        first = len(loads) * (parts // 2) // parts if parts > 1 else _gap(along[order])
        return [
            group
            for part in (order[:first], order[first:])
            for group in self.groups([loads[number] for number in part])
        ]


def _gap(ordered: NDArray[np.float64]) -> int:
    """How many numbers lie before the widest gap."""
    return int(np.diff(ordered).argmax()) + 1


def _deal(registers: _Registers, limits: _Limits, name: str) -> None:
    """The loads of one register to copies of it, as many as it needs."""
    netlist, copies, loads = registers.netlist, registers.copies[name], registers.loads(name)
    alike = [copies, *(registers.copies[one] for one in registers.followed(name))]
    if (
        max(map(len, alike)) == 1
        or not loads
        or any(registers.bit(copy) in netlist.outputs for copy in copies)
    ):
        return
    groups = limits.groups(loads)
    while len(copies) < len(groups):
        bit = netlist.copy(copies[0], "Q")
        copies.append(netlist.driver[bit][0])
    surplus, copies[len(groups) :] = copies[len(groups) :], []
    for copy, group in zip(copies, groups, strict=True):
        limits.places[copy] = tuple(np.mean([limits.places[cell] for cell, *_ in group], axis=0))
        for cell, port, index in group:
            netlist.connect(cell, port, registers.bit(copy), index)
    for copy in surplus:
        netlist.remove(copy)
