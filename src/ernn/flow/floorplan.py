"""Where an array's hard blocks lie on ECP5, where it takes most of the device's multipliers.

nextpnr's analytical placer starts from what is fixed.  In an engine that is no more than four pins;
on a full device it then spreads every element's multipliers and block RAMs over the whole die.
Here each element gets a strip of the device instead.  Strips run from left to right, as sums and
operands do, and an element's blocks lie in the strip's rows by the bits of the word that they hold:
so neighbouring elements are side by side, at the same distance all along.  The spectra, which
elements read, lie before the first, all other memories behind the last, each in one piece: where
hardly a block RAM is free, the placer would tear them apart.  All else is left to the placer, and
so is every engine that leaves room around it.
"""

import re
from collections import defaultdict
from dataclasses import dataclass

from ernn.estimate.device import Device
from ernn.flow.netlist import Netlist

SHARE = 0.5  # of the device's multipliers, from which on an array is given its place
_MULTIPLIERS = ((0, "MULT18_0"), (1, "MULT18_1"), (4, "MULT18_4"), (5, "MULT18_5"))
_BLOCK_RAMS = ((0, "EBR0"), (2, "EBR1"), (4, "EBR2"), (6, "EBR3"))


@dataclass(frozen=True)
class Sites:
    """A die's hard blocks: rows of multipliers and of block RAMs by their height, each row in
    `groups` of four sites, 9 columns apart, with two columns more after the first `before`.

    As nextpnr's own placement of all of them shows (0.11.1, `--write`).
    """

    multipliers: tuple[int, ...]
    block_rams: tuple[int, ...]
    before: int
    groups: int

    def row(self, height: int, kinds: tuple[tuple[int, str], ...]) -> list[str]:
        """The row's sites from left to right, by nextpnr's names."""
        corners = [4 + 9 * group + 2 * (group >= self.before) for group in range(self.groups)]
        return [
            f"X{corner + right}/Y{height}/{name}" for corner in corners for right, name in kinds
        ]


SITES = {
    "--25k": Sites((13,), (25, 37), 3, 7),
    "--45k": Sites((22, 46), (10, 34, 58), 4, 9),
    "--85k": Sites((10, 34, 58), (22, 46, 70, 82), 7, 13),
}
Place = tuple[str, int]  # array and element


def floorplan(netlist: Netlist, device: Device) -> int:
    """Fix the array's blocks in place (attribute `BEL`); how many. None on a roomy device."""
    sites = SITES[device.nextpnr.replace("--um5g-", "--").replace("--um-", "--")]
    multipliers, block_rams = _multipliers(netlist), _block_rams(netlist)
    rows = [sites.row(height, _MULTIPLIERS) for height in sites.multipliers]
    if _count(multipliers) < SHARE * sum(map(len, rows)):
        return 0
    columns = [sites.row(height, _BLOCK_RAMS) for height in sites.block_rams]
    free = sum(map(len, columns)) - _count(block_rams)
    placed = {name for names in block_rams.values() for name in names}
    others = sorted((_natural(name) for name, _ in netlist.of_type("DP16KD") if name not in placed))
    spectra = [name for *_, name in others if ".spectra" in name]
    skipped = -(-min(free, len(spectra)) // len(columns))
    _fix(netlist, multipliers, rows, 0)
    used = _fix(netlist, block_rams, columns, skipped)
    _fill(netlist, spectra, [row[:skipped] for row in columns])
    behind = [name for *_, name in others if name not in spectra[: skipped * len(columns)]]
    _fill(netlist, behind, [row[start:] for row, start in zip(columns, used, strict=True)])
    return sum("BEL" in cell["attributes"] for cell in netlist.cells.values())


def _count(blocks: dict[Place, list[str]]) -> int:
    return sum(map(len, blocks.values()))


def _multipliers(netlist: Netlist) -> dict[Place, list[str]]:
    """Each element's multipliers by the number of the product."""
    found = defaultdict(list)
    for name, cell in netlist.of_type("MULT18X18D"):
        product = re.search(
            r"\.(\w+)\.element(\d+)\.product(\d+)", netlist.names[netlist.bit(cell, "P0")][0]
        )
        if product:
            array, element, number = product.groups()
            found[array, int(element)].append((int(number), name))
    return _ordered(found)


def _block_rams(netlist: Netlist) -> dict[Place, list[str]]:
    """Each element's block RAMs by the part of a word that they hold."""
    found, parts = [], defaultdict(int)
    for name, _ in netlist.of_type("DP16KD"):
        memory = re.search(r"\.(\w+)\.element(\d+)\.(\w+)\.\d+\.(\d+)$", name)
        if memory:
            array, element, bank, part = memory.groups()
            found.append(((array, int(element)), bank, int(part), name))
            parts[bank] = max(parts[bank], int(part) + 1)
    placed = defaultdict(list)
    for element, bank, part, name in found:
        placed[element].append(((part + 0.5) / parts[bank], name))
    return _ordered(placed)


def _ordered(found: dict[Place, list]) -> dict[Place, list[str]]:
    return {
        element: [name for _, name in sorted(blocks)] for element, blocks in sorted(found.items())
    }


def _natural(name: str) -> tuple[str, int, str]:
    """By memory, then by part."""
    memory, _, part = name.rpartition(".")
    return memory, int(part) if part.isdigit() else 0, name


def _fill(netlist: Netlist, names: list[str], rows: list[list[str]]) -> None:
    """One after the other, row by row."""
    for name, site in zip(names, [site for row in rows for site in row], strict=False):
        netlist.cells[name]["attributes"]["BEL"] = site


def _fix(
    netlist: Netlist, blocks: dict[Place, list[str]], rows: list[list[str]], skipped: int
) -> list[int]:
    """Every element's blocks in equal parts on all rows, next to those of the element before; rows
    that have been given fewer come first where parts cannot be equal.  How far each row is used."""
    used = [skipped] * len(rows)
    for names in blocks.values():
        part, over = divmod(len(names), len(rows))
        more = sorted(range(len(rows)), key=lambda row: used[row])[:over]
        at = 0
        for row, sites in enumerate(rows):
            count = part + (row in more)
            for name, site in zip(names[at : at + count], sites[used[row] :], strict=False):
                netlist.cells[name]["attributes"]["BEL"] = site
            at, used[row] = at + count, used[row] + count
    return used
