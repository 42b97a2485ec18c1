"""Boards as values: the part, the pins that a serial engine uses, and the clock.

Pins of the ULX3S as its maker's constraint file has them (github.com/emard/ulx3s,
doc/constraints/ulx3s_v20.lpf), read there and in amaranth-boards' definition; tried on no board.
"""

from dataclasses import dataclass

from ernn.errors import UserError


@dataclass(frozen=True)
class Board:
    """`flags`: nextpnr's for the part; `pins`: site by top's port; `clock_mhz`: of port `clk`."""

    name: str
    flags: tuple[str, ...]
    pins: tuple[tuple[str, str, str], ...]
    clock_mhz: float

    @property
    def lpf(self) -> str:
        """Constraints for nextpnr."""
        lines = [f'FREQUENCY PORT "clk" {self.clock_mhz:g} MHZ;']
        for port, site, options in self.pins:
            lines += [
                f'LOCATE COMP "{port}" SITE "{site}";',
                f'IOBUF PORT "{port}" IO_TYPE=LVCMOS33{options};',
            ]
        return "\n".join(lines) + "\n"


def _ulx3s(size: str) -> Board:
    flags = (f"--{size}k", "--package", "CABGA381", "--speed", "6")
    pins = (
        ("clk", "G2", ""),
        ("reset", "R1", " PULLMODE=DOWN"),  # button "fire 1"
        ("received", "M1", " PULLMODE=UP"),  # from the FT231X's transmitter
        ("sent", "L4", " PULLMODE=UP"),
        ("lost", "B2", ""),  # LED 0
        ("locked", "C2", ""),  # LED 1
    )
    return Board(f"ulx3s-{size}f", flags, pins, 25.0)


BOARDS = tuple(_ulx3s(size) for size in ("25", "45", "85"))


def find_board(name: str) -> Board:
    """The board called `name`; UserError with the list of names where there is none."""
    for board in BOARDS:
        if board.name == name.lower():
            return board
    raise UserError(
        f"no board called {name!r}; known are {', '.join(board.name for board in BOARDS)}"
    )
