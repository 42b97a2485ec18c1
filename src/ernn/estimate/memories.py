"""What Yosys makes of a memory: block RAMs, LUT RAM or logic, by the rules of its `memory_libmap`.

Every cell that a family offers is tried; the one of least cost is taken.  A cell `width` wide
and `depth` deep holds a memory in rows of cells; a row's last block RAM is shared with the
next row where bits of it are left, or, if it is written, whole bytes.  A bit to select among
rows costs a half.  The cells are those of Yosys 0.70 (+/lattice/brams_16kd.txt,
lutrams_trellis.txt, +/xilinx/brams_xc4v.txt, lutrams_xc5v.txt, lutrams_xcu.txt); a test holds
these rules to Yosys, memory by memory.  Where what reads a memory never asks for its last
rows, Yosys leaves them out: an engine may take a block RAM less than is said here, never one more.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, inf

from ernn.estimate.device import Family


@dataclass(frozen=True)
class Memory:
    """`count` memories of `depth` words of `width` bits, read once a cycle; written once a cycle
    too if `written`, in parts of `part` bits (0: whole words); `logic`, `block`: the RTL asks for
    logic, or for block RAM; `at_once`: a word is there in the cycle that asks for it, as in no
    block RAM.
    """

    name: str
    width: int
    depth: int
    written: bool
    part: int = 0
    count: int = 1
    logic: bool = False
    block: bool = False
    at_once: bool = False


@dataclass(frozen=True)
class Mapped:
    """What one memory takes: block RAMs and their capacity, LUTs used as memory, bits left to
    logic, bits that are selected among rows of cells."""

    blocks: int = 0
    kbit: int = 0
    lutram: int = 0
    logic_bits: int = 0
    selected_bits: int = 0


@dataclass(frozen=True)
class _Cell:
    """One takes `luts` or `kbit`.  `cost` is Yosys's; `partly` of it falls with the unused bits."""

    width: int
    depth: int
    cost: float
    kbit: int = 0
    luts: int = 0
    partly: float = 0


def _block(kbit: int, cost: float, bits: int, widths: tuple[int, ...]) -> Iterator[_Cell]:
    """A block RAM of 2**bits bits, in each of its widths; from 9 on they include parity bits."""
    for width in widths:
        yield _Cell(width, (1 << bits) // (width * 8 // 9 if width >= 9 else width), cost, kbit)


def _small(width: int, depth: int, cost: float, luts: int, partly: float) -> _Cell:
    return _Cell(width, depth, cost, luts=luts, partly=partly)


_HALF, _FULL = (1, 2, 4, 9, 18, 36), (1, 2, 4, 9, 18, 36, 72)
_XILINX = (*_block(18, 129, 14, _HALF), *_block(36, 257, 15, _FULL))


def _cells(family: Family, written: bool) -> tuple[_Cell, ...]:
    if family == "ecp5":
        blocks = tuple(_block(18, 128, 14, _HALF))
        return (*blocks, _Cell(4, 16, 4, luts=6)) if written else blocks
    if not written:
        return _XILINX
    if family == "xc7":
        return (*_XILINX, _small(6, 32, 8, 4, 7), _small(3, 64, 8, 4, 7))
    return (*_XILINX, _small(14, 32, 16, 8, 16), _small(7, 64, 16, 8, 16))


def mapped(memory: Memory, family: Family) -> Mapped:
    """What one of these memories takes on a family."""
    bits = memory.width * memory.depth
    best, least = Mapped(logic_bits=bits), float(int(bits * _bit(family, memory.written)))
    if memory.block:
        least = inf
    for cell in () if memory.logic else _cells(family, memory.written):
        if (memory.at_once and not cell.luts) or (memory.block and cell.luts):
            continue
        rows = ceil(memory.depth / cell.depth)
        selected = (rows - 1) * memory.width
        units, cost = (_apart if cell.luts else _shared)(memory, cell, rows)
        decoded = rows if rows > 1 and memory.written else 0
        cost += (selected + decoded) / 2 + 2
        if cost < least:
            blocks = units if cell.kbit else 0
            best, least = Mapped(blocks, units * cell.kbit, units * cell.luts, 0, selected), cost
    return best


def _bit(family: Family, written: bool) -> float:
    """Yosys's cost of a bit of memory made of logic."""
    if written:
        return 1.0
    return 1 / 16 if family == "ecp5" else 1 / 64


def _shared(memory: Memory, cell: _Cell, rows: int) -> tuple[int, float]:
    """Cells and their cost where a row's last cell is shared with the next row."""
    byte = min(9, cell.width) if memory.written else 1
    parts = memory.width // memory.part if memory.part else 1
    used = rows * parts * ceil((memory.part or memory.width) / byte)
    units = ceil(used / (cell.width // byte))
    return units, units * cell.cost


def _apart(memory: Memory, cell: _Cell, rows: int) -> tuple[int, float]:
    """Cells and their cost with each part of each row apart; unused bits of the last cost less."""
    part = memory.part or memory.width
    groups = rows * memory.width // part
    whole, rest = divmod(part, cell.width)
    last = cell.partly * rest / cell.width + cell.cost - cell.partly if rest else 0
    return groups * (whole + (rest > 0)), groups * (whole * cell.cost + last)
