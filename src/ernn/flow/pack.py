"""What synth_ecp5 leaves to be done: registers into MULT18X18D and DP16KD, look-up tables into
adders, and flip-flops that drive too many.

A multiplier whose operands come from flip-flops without reset or enable takes them in, and those
behind it; a block RAM takes the flip-flops without reset behind its outputs.  A look-up table of
two inputs before an adder, or a choice between two, goes into the adder's own table, which has
inputs left.  A flip-flop with
more than `FAN_OUT` loads is copied, loads that belong together (by name) sharing a copy.  Nothing
changes from one cycle to the next: the registers move.
"""

import re
from collections.abc import Iterable
from itertools import groupby, product

from ernn.errors import UserError
from ernn.flow.netlist import Bit, Cell, Netlist, Pin

FAN_OUT = 48
_APART = 4
_WIDTH = 18
_ADD = "1001011010101010"  # A ^ B ^ C where D is 1; A where it and C are 0


def pack(netlist: Netlist, fan_out: int = FAN_OUT) -> dict[str, int]:
    """Pack in place. What was done: counts of `multipliers` and `block_rams` with registers, of
    `tables` that went into adders, `copies` of flip-flops."""
    clocks = {netlist.bit(cell, "CLK") for _, cell in netlist.of_type("TRELLIS_FF")}
    if len(clocks) > 1:
        raise UserError(f"registers can be packed where there is one clock, not {len(clocks)}")
    clock = clocks.pop() if clocks else "0"
    return {
        "multipliers": sum(
            [_pack_multiplier(netlist, name, clock) for name, _ in netlist.of_type("MULT18X18D")]
        ),
        "block_rams": sum(
            [_pack_block_ram(netlist, name) for name, _ in netlist.of_type("DP16KD")]
        ),
        "tables": sum(
            [_fold(netlist, name, bit) for name, _ in netlist.of_type("CCU2C") for bit in "01"]
        ),
        "copies": _split(netlist, fan_out, {clock}),
    }


def _flip_flop(netlist: Netlist, pin: Pin | None, port: str) -> str | None:
    """The flip-flop that a pin belongs to, by name, where it is never reset."""
    if pin is None or pin[1] != port or netlist.cells[pin[0]]["type"] != "TRELLIS_FF":
        return None
    cell = netlist.cells[pin[0]]
    return (
        pin[0]
        if netlist.bit(cell, "LSR") == "0" and cell["parameters"]["REGSET"] == "RESET"
        else None
    )


def _enable(netlist: Netlist, flip_flop: str) -> Bit | None:
    """What enables a flip-flop; "1": always; None: what is connected disables it."""
    cell = netlist.cells[flip_flop]
    return {"CE": netlist.bit(cell, "CE"), "1": "1"}.get(cell["parameters"]["CEMUX"].strip())


def _before(netlist: Netlist, bit: Bit) -> Bit | None:
    """The same bit one flip-flop, always enabled, earlier; None where there is none."""
    if bit in ("0", "x"):
        return bit
    flip_flop = _flip_flop(netlist, netlist.driver.get(bit), "Q")
    if flip_flop is None or _enable(netlist, flip_flop) != "1":
        return None
    return netlist.bit(netlist.cells[flip_flop], "DI")


def _behind(netlist: Netlist, bits: Iterable[Bit]) -> tuple[list[str], Bit] | None:
    """The flip-flops that alone read these bits, and what enables them all; None if they differ."""
    found: list[str] = []
    enables: set[Bit | None] = set()
    for bit in bits:
        pins = netlist.loads[bit]
        flip_flop = _flip_flop(netlist, next(iter(pins)), "DI") if len(pins) == 1 else None
        if flip_flop is None or bit in netlist.outputs:
            return None
        found.append(flip_flop)
        enables.add(_enable(netlist, flip_flop))
    enable = enables.pop() if len(enables) == 1 else None
    return None if enable is None else (found, enable)


def _used(netlist: Netlist, cell: Cell, ports: Iterable[str]) -> list[str]:
    return [
        port
        for port in ports
        if netlist.loads[netlist.bit(cell, port)] or netlist.bit(cell, port) in netlist.outputs
    ]


def _take_in(netlist: Netlist, name: str, ports: list[str], flip_flops: list[str]) -> None:
    """Outputs of a cell in place of the flip-flops behind them."""
    for port, flip_flop in zip(ports, flip_flops, strict=True):
        bit = netlist.bit(netlist.cells[flip_flop], "Q")
        netlist.remove(flip_flop)
        netlist.connect(name, port, bit)


def _pack_multiplier(netlist: Netlist, name: str, clock: Bit) -> bool:
    """Registers of both operands and of the output, or none: nextpnr times nothing else."""
    cell = netlist.cells[name]
    operands = {
        f"{side}{i}": netlist.bit(cell, f"{side}{i}") for side in "AB" for i in range(_WIDTH)
    }
    before = {port: _before(netlist, bit) for port, bit in operands.items()}
    products = _used(netlist, cell, (f"P{i}" for i in range(2 * _WIDTH)))
    behind = _behind(netlist, (netlist.bit(cell, port) for port in products))
    if None in before.values() or behind is None or behind[1] != "1":
        return False
    for port, bit in before.items():
        assert bit is not None
        netlist.connect(name, port, bit)
    for bit in dict.fromkeys(operands.values()):
        _remove_unread(netlist, bit)
    _take_in(netlist, name, products, behind[0])
    for register in ("INPUTA", "INPUTB", "OUTPUT"):
        cell["parameters"] |= {
            f"REG_{register}_CLK": "CLK0",
            f"REG_{register}_CE": "CE0",
            f"REG_{register}_RST": "RST0",
        }
    for port, bit in (("CLK0", clock), ("CE0", "1"), ("RST0", "0")):
        netlist.connect(name, port, bit)
    return True


def _remove_unread(netlist: Netlist, bit: Bit) -> None:
    """Remove the flip-flop that drives `bit` where nothing reads it."""
    driver = netlist.driver.get(bit)
    if driver is not None and not netlist.loads[bit] and bit not in netlist.outputs:
        netlist.remove(driver[0])


def _pack_block_ram(netlist: Netlist, name: str) -> bool:
    """Output registers of every port that is read; one of 36 bits takes both
    sides' outputs, and B's controls.
    """
    cell = netlist.cells[name]
    widths = {side: int(cell["parameters"][f"DATA_WIDTH_{side}"], 2) for side in "AB"}
    whole = widths["B"] == 2 * _WIDTH
    groups = [("B", "AB")] if whole else [("A", "A"), ("B", "B")]
    return any([_pack_port(netlist, name, control, sides) for control, sides in groups])


def _pack_port(netlist: Netlist, name: str, control: str, sides: str) -> bool:
    cell = netlist.cells[name]
    ports = _used(netlist, cell, (f"DO{side}{i}" for side in sides for i in range(_WIDTH)))
    behind = _behind(netlist, (netlist.bit(cell, port) for port in ports))
    if behind is None or netlist.bit(cell, f"RST{control}") != "0":
        return False
    _take_in(netlist, name, ports, behind[0])
    for side in sides:
        cell["parameters"][f"REGMODE_{side}"] = "OUTREG"
        netlist.connect(name, f"OCE{side}", behind[1])
    return True


def _fold(netlist: Netlist, name: str, bit: str) -> bool:
    """A table read by one operand of an adder's bit alone: its inputs to the adder.

    Yosys makes of A + B with C = 0 and D = 1 the table A ^ B, and A for the carry where that is 0,
    which holds for any function of B, C and D in place of B; but where C and D are 0 the table
    gives that A, so that the function must be 0 there.
    """
    cell = netlist.cells[name]
    constant = netlist.bit(cell, f"C{bit}"), netlist.bit(cell, f"D{bit}")
    if constant != ("0", "1") or cell["parameters"][f"INIT{bit}"] != _ADD:
        return False
    for operand, other in (("B", "A"), ("A", "B")):
        found = _table_before(netlist, netlist.bit(cell, f"{operand}{bit}"))
        if found is not None:
            table, inputs, function = found
            netlist.connect(name, f"A{bit}", netlist.bit(cell, f"{other}{bit}"))
            netlist.remove(table)
            for port, source in zip("BCD", inputs, strict=True):
                netlist.connect(name, f"{port}{bit}", source)
            sums = (a ^ function[b, c, d] for d, c, b, a in product((1, 0), repeat=4))
            cell["parameters"][f"INIT{bit}"] = "".join(map(str, sums))
            return True
    return False


def _table_before(
    netlist: Netlist, output: Bit
) -> tuple[str, tuple[Bit, ...], dict[tuple[int, ...], int]] | None:
    """The look-up table that drives `output` for one reader; three inputs of it, in an order in
    which it gives 0 where the last two are 0, with "1" for a third that it has not; its function.
    """
    name = netlist.driver.get(output, ("", "", 0))[0]
    if (
        not name
        or netlist.cells[name]["type"] != "LUT4"
        or len(netlist.loads[output]) > 1
        or output in netlist.outputs
    ):
        return None
    sources = [netlist.bit(netlist.cells[name], port) for port in "ABCD"]
    used = sorted({source for source in sources if isinstance(source, int)})
    if len(used) not in (2, 3):
        return None
    table = netlist.cells[name]["parameters"]["INIT"]

    def at(inputs: tuple[Bit, ...], values: tuple[int, ...]) -> int:
        known: dict[Bit, int] = {"0": 0, "1": 1, "x": 0, **dict(zip(inputs, values, strict=True))}
        return int(table[15 - sum(known[source] << i for i, source in enumerate(sources))])

    every = [*product((0, 1), repeat=3)]
    if len(used) == 2:
        left, right = used
        return name, (left, right, "1"), {one: at((left, right), one[:2]) & one[2] for one in every}
    for first in used:
        inputs = (first, *(one for one in used if one != first))
        if not any(at(inputs, (value, 0, 0)) for value in (0, 1)):
            return name, inputs, {one: at(inputs, one) for one in every}
    return None


def _split(netlist: Netlist, fan_out: int, spared: set[Bit]) -> int:
    """Copy flip-flops and tables (two with their PFUMX too) until none has more than
    `fan_out` loads; how many copies.

    Copies are loads of what is before them, so that it may take several turns.
    """
    copies, turn, labels = 0, -1, _Labels(netlist)
    while copies != turn:
        turn = copies
        for kind, output in (("PFUMX", "Z"), ("LUT4", "Z"), ("TRELLIS_FF", "Q")):
            for name, cell in netlist.of_type(kind):
                if netlist.bit(cell, output) not in spared:
                    copies += _copies(netlist, name, output, fan_out, labels)
    return copies


def _copies(netlist: Netlist, name: str, output: str, fan_out: int, labels: "_Labels") -> int:
    """Copy one cell as often as its fan-out asks for."""
    loads = netlist.loads[netlist.bit(netlist.cells[name], output)]
    if sum(load_weight(netlist, pin) for pin in loads) <= fan_out:
        return 0
    groups = _grouped(netlist, sorted(loads, key=labels.of), fan_out, labels)
    labels.move(name, groups[0][0])
    for group in groups[1:]:
        bit = netlist.copy(name, output)
        copied = netlist.driver[bit][0]
        labels.move(copied, group[0])
        if netlist.cells[name]["type"] == "PFUMX":
            _own_tables(netlist, copied)
        for reader, port, index in group:
            netlist.connect(reader, port, bit, index)
    return len(groups) - 1


def load_weight(netlist: Netlist, pin: Pin) -> int:
    """Loads that a pin counts for: other flip-flops and block RAMs may
    be far, bits of a sum are near.
    """
    kind = netlist.cells[pin[0]]["type"]
    return _APART if kind == "DP16KD" or (kind == "TRELLIS_FF" and pin[1] == "DI") else 1


def _grouped(
    netlist: Netlist, ordered: list[Pin], fan_out: int, labels: "_Labels"
) -> list[list[Pin]]:
    """Loads in groups of at most `fan_out`; those of one register stay together where they fit."""
    groups: list[list[Pin]] = [[]]
    weight = 0
    for _, loads in groupby(ordered, key=lambda pin: labels.of(pin)[0]):
        register = list(loads)
        whole = sum(load_weight(netlist, pin) for pin in register)
        if groups[-1] and weight + whole > fan_out >= whole:
            groups.append([])
            weight = 0
        for pin in register:
            if weight + load_weight(netlist, pin) > fan_out:
                groups.append([])
                weight = 0
            groups[-1].append(pin)
            weight += load_weight(netlist, pin)
    return groups


def _own_tables(netlist: Netlist, name: str) -> None:
    """The look-up tables that a PFUMX chooses from are its own: its copy has copies of them."""
    for port in ("ALUT", "BLUT"):
        table = netlist.driver[netlist.bit(netlist.cells[name], port)][0]
        netlist.connect(name, port, netlist.copy(table, "Z"))


Label = tuple[tuple[str | int, ...], int]  # a register's name in parts, and the bit of it


class _Labels:
    """Where a load belongs: the first register, multiplier or memory that it reaches."""

    def __init__(self, netlist: Netlist) -> None:
        self.netlist = netlist
        self.known: dict[str, Label | None] = {}

    def of(self, pin: Pin) -> tuple[tuple[str | int, ...], int, str, int]:
        """By register, then by bit."""
        register, bit = self._cell(pin[0], 4) or (_natural(pin[0]), 0)
        return register, bit, pin[1], pin[2]

    def move(self, name: str, load: Pin) -> None:
        """From now on a cell belongs where this load of it belongs."""
        self.known[name] = self.of(load)[:2]

    def _cell(self, name: str, depth: int) -> Label | None:
        if name not in self.known:
            self.known[name] = None  # a loop ends here
            self.known[name] = self._found(name, depth)
        return self.known[name]

    def _found(self, name: str, depth: int) -> Label:
        cell = self.netlist.cells[name]
        if cell["type"] == "TRELLIS_FF":
            register, bit = self.netlist.names.get(self.netlist.bit(cell, "Q"), (name, 0))
            return _natural(register), bit
        if cell["type"] in ("MULT18X18D", "DP16KD") or not depth:
            return _natural(name), 0
        found = [
            self._cell(reader, depth - 1)
            for port, bits in cell["connections"].items()
            if cell["port_directions"][port] == "output"
            for bit in bits
            for reader, *_ in self.netlist.loads[bit]
        ]
        return min((label for label in found if label), default=(_natural(name), 0))


def _natural(text: str) -> tuple[str | int, ...]:
    """Sorts 2 before 10; every other part is a number, so that tuples compare."""
    parts = re.split(r"(\d+)", text)
    return tuple(int(part) if number % 2 else part for number, part in enumerate(parts))
