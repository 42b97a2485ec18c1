"""Amaranth to Verilog: one text, and the contents of its memories as files beside it."""

import hashlib
import re
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from amaranth.back import rtlil
from amaranth.hdl import Elaboratable

from ernn.files import write_atomic
from ernn.flow.cache import cache_key
from ernn.flow.yosys import run_yosys
from ernn.ground.uncollected import uncollected
from ernn.rtl.rom import with_roms

CONVERT_SECONDS = 600
# The text names nothing of where and by what it was made, so that equal designs are equal bytes.
# `keep` stays.
_NOISE = ("generator", "src", "top", "amaranth.hierarchy", "amaranth.decoding")
_NAME = re.compile(r"\\\S+")
_WIRE = re.compile(r"^  wire (?:width (\d+) )?(input|output) \d+ +\\(\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Port:
    """A port of the top module; `width` in bits."""

    name: str
    direction: Literal["input", "output"]
    width: int


@dataclass(frozen=True)
class Verilog:
    """A design as Verilog-2005.

    `memories` maps a file name in the text's `$readmemb("name", memory)` to that file: one word per
    line, binary. Equal designs have equal `digest`, whenever and wherever they were converted.
    """

    top: str
    text: str
    memories: dict[str, bytes]
    ports: tuple[Port, ...]

    @cached_property
    def digest(self) -> str:
        """Hexadecimal digest over text and memory contents."""
        contents = [part for name in sorted(self.memories) for part in (name, self.memories[name])]
        return cache_key(self.top, self.text, *contents)

    @cached_property
    def text_digest(self) -> str:
        """Digest of the circuit without its memories' contents: a compiled simulation's key."""
        return hashlib.sha256(f"{self.top}\n{self.text}".encode()).hexdigest()[:32]

    def port(self, name: str) -> Port | None:
        """The port called `name`, or None."""
        return next((port for port in self.ports if port.name == name), None)

    def write(self, directory: Path | str) -> Path:
        """Write `<top>.v` and its memory files into `directory`; the path of the Verilog file."""
        for name, content in self.memories.items():
            write_atomic(Path(directory) / name, content)
        return write_atomic(Path(directory) / f"{self.top}.v", self.text)


def to_verilog(
    design: Elaboratable, top: str = "ernn_engine", *, timeout: float = CONVERT_SECONDS
) -> Verilog:
    """Convert an Amaranth component (its signature gives the ports, joined by "__") to Verilog.

    Deterministic: the same design gives the same bytes.  ToolError where Yosys refuses it.
    """
    with uncollected():
        circuit = with_roms(_apart(rtlil.convert(design, name=top, emit_src=False)))
    with tempfile.TemporaryDirectory(prefix="ernn-verilog-") as directory:
        return _convert(circuit, top, Path(directory), timeout)


def _apart(circuit: str) -> str:
    """Wires that Amaranth calls `lanes[1]` under names that are no bit of a wire `lanes`.

    Yosys's ABC9 takes the two for one when it puts its result together: it stops, or joins two
    signals.  The character sorts as the bracket does, so that nothing else changes.
    """
    return _NAME.sub(lambda name: name.group().replace("[", "^").replace("]", "^"), circuit)


def _convert(circuit: str, top: str, directory: Path, timeout: float) -> Verilog:
    noise = " ".join(f"-remove {name}" for name in _NOISE)
    script = [
        f"read_rtlil {top}.il",
        "proc -nomux -norom",
        "memory_collect",
        f"attrmap {noise}",
        f"attrmap -modattr {noise}",
        f"write_verilog -norename -extmem {top}.v",
    ]
    (directory / f"{top}.il").write_text(circuit)
    run_yosys(script, directory, what=f"Yosys: Verilog of {top}", timeout=timeout)
    # Without the first line, which names the tool.
    text = (directory / f"{top}.v").read_text().partition("\n")[2].lstrip()
    memories = {path.name: path.read_bytes() for path in sorted(directory.glob("*.mem"))}
    return Verilog(top, text, memories, _ports(circuit, top))


def _ports(circuit: str, top: str) -> tuple[Port, ...]:
    body = circuit.partition(f"\nmodule \\{top}\n")[2].partition("\nend\n")[0]
    return tuple(
        Port(name, "input" if direction == "input" else "output", int(width or 1))
        for width, direction, name in _WIRE.findall(body)
    )
