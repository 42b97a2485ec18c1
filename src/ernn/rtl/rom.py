"""A memory that is only read, however large.

Amaranth takes a memory's contents apart bit by bit, a minute for a million weights.  Here they are
one constant of a cell that Amaranth does not look into, and `with_roms` puts in place of the cell
what Amaranth would have written.
"""

import re
from collections.abc import Sequence

from amaranth import ClockSignal, Instance
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ernn.scheduling.lines import address_bits

_CELL = "ernn_rom"
_FOUND = re.compile(
    rf"  cell \\{_CELL} (?P<name>\S+)\n"
    r"    parameter \\WIDTH (?P<width>\d+)\n"
    r'    parameter \\BITS "(?P<bits>[01]+)"\n'
    r"    parameter \\BLOCK (?P<block>[01]+)\n"
    r"    connect \\CLK (?P<clk>.+)\n"
    r"    connect \\ADDR (?P<address>.+)\n"
    r"    connect \\DATA (?P<data>.+)\n"
    r"  end\n"
)
_BLOCK = '  attribute \\ram_style "block"\n'
_WRITTEN = """\
{style}  memory width {width} size {words} {name}
  cell $meminit_v2 ${name}$contents
    parameter \\MEMID "\\{name}"
    parameter \\ABITS 0
    parameter \\WIDTH {width}
    parameter \\WORDS {words}
    parameter \\PRIORITY 0
    connect \\ADDR {{ }}
    connect \\DATA {length}'{bits}
    connect \\EN {width}'{ones}
  end
  cell $memrd_v2 ${name}$port
    parameter \\MEMID "\\{name}"
    parameter \\ABITS {address_bits}
    parameter \\WIDTH {width}
    parameter \\TRANSPARENCY_MASK 0'0
    parameter \\COLLISION_X_MASK 0'0
    parameter \\ARST_VALUE {width}'{unknown}
    parameter \\SRST_VALUE {width}'{unknown}
    parameter \\INIT_VALUE {width}'{unknown}
    parameter \\CE_OVER_SRST 0
    parameter \\CLK_ENABLE 1
    parameter \\CLK_POLARITY 1
    connect \\ADDR {address}
    connect \\DATA {data}
    connect \\ARST 1'0
    connect \\SRST 1'0
    connect \\EN 1'1
    connect \\CLK {clk}
  end
"""


class Rom(wiring.Component):
    """`data` is the word at `address`, a cycle later; `words`: of `width` bits, unsigned; `block`:
    in block RAM, few as they may be."""

    def __init__(self, words: Sequence[int], width: int, block: bool = False) -> None:
        self.words, self.width, self.block = words, width, block
        super().__init__({"address": In(address_bits(len(words))), "data": Out(width)})

    def elaborate(self, platform: object) -> Instance:
        return Instance(
            _CELL,
            p_WIDTH=self.width,
            p_BITS="".join(f"{word:0{self.width}b}" for word in reversed(self.words)),
            p_BLOCK=int(self.block),
            i_CLK=ClockSignal(),
            i_ADDR=self.address,
            o_DATA=self.data,
        )


def with_roms(circuit: str) -> str:
    """Amaranth's RTLIL, its `Rom`s become memories with contents."""
    return _FOUND.sub(_written, circuit)


def _written(found: re.Match[str]) -> str:
    width, words = int(found["width"]), len(found["bits"]) // int(found["width"])
    return _WRITTEN.format(
        **found.groupdict(),
        style=_BLOCK if int(found["block"]) else "",
        words=words,
        length=width * words,
        address_bits=address_bits(words),
        ones="1" * width,
        unknown="x" * width,
    )
