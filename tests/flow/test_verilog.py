"""Verilog out of Amaranth: the same bytes every time, clean by another tool's
judgement, sensitive to every bit.
"""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out
from designs import Scaler

from ernn.flow.lint import lint
from ernn.flow.process import ToolError
from ernn.flow.verilog import Verilog, to_verilog
from ernn.rtl.rom import Rom

TABLE = tuple(range(3, 11))


def test_ports_are_those_of_the_component() -> None:
    component = Scaler(7, 12, TABLE)
    verilog = to_verilog(component)
    expected = {
        name: member.shape.width if hasattr(member.shape, "width") else member.shape
        for name, member in component.signature.members.items()
    }
    assert {port.name: port.width for port in verilog.ports} == expected | {"clk": 1, "rst": 1}
    port = verilog.port("m_axis_tdata")
    assert port is not None and port.direction == "output" and verilog.port("nothing") is None


def test_the_same_design_gives_the_same_digest_in_another_process() -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from designs import Scaler\nfrom ernn.flow.verilog import to_verilog\n"
        f"print(to_verilog(Scaler(7, 12, {TABLE})).digest)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == to_verilog(Scaler(7, 12, TABLE)).digest


def test_one_word_of_memory_changes_the_digest_but_not_the_circuit() -> None:
    one, other = to_verilog(Scaler(7, 12, TABLE)), to_verilog(Scaler(7, 12, (*TABLE[:-1], 99)))
    assert one.digest != other.digest and one.text_digest == other.text_digest
    [(name, content)] = one.memories.items()
    assert f'$readmemb("{name}"' in one.text
    assert [int(word, 2) for word in content.split()] == list(TABLE)


class Halves(wiring.Component):
    """Registers of an array, so that Amaranth names wires `held` and `held[1]`."""

    halves: In(data.ArrayLayout(4, 2))
    sums: Out(4)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        held = Signal(data.ArrayLayout(4, 2))
        m.d.sync += [held.eq(self.halves), self.sums.eq(held[0] + held[1])]
        return m


def test_no_wire_has_the_name_of_another_ones_bit() -> None:
    """With `held[1]` beside `held` Yosys's ABC9 stopped on a GRU of 32
    in blocks of 8, on two elements.
    """
    text = to_verilog(Halves(), "halves").text
    assert "held^1^" in text and not re.search(r"\\\S*\[", text)


class Looked(wiring.Component):
    """A word of one memory, Amaranth's own or a `Rom`; and of a second, shorter one."""

    def __init__(self, words: list[int], width: int, rom: bool, block: bool = False) -> None:
        self.contents, self.width, self.rom = (words, words[:3]), width, rom
        self.block = block
        super().__init__({"place": In((len(words) - 1).bit_length()), "word": Out(width)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        found = [self._word(m, f"bank{i}", words) for i, words in enumerate(self.contents)]
        m.d.comb += self.word.eq(found[0] ^ found[1])
        return m

    def _word(self, m: Module, name: str, words: list[int]) -> Value:
        if self.rom:
            m.submodules[name] = rom = Rom(words, self.width, self.block)
            m.d.comb += rom.address.eq(self.place)
            return rom.data
        bank = memory.Memory(shape=self.width, depth=len(words), init=words)
        m.submodules[name] = bank
        port = bank.read_port()
        m.d.comb += port.addr.eq(self.place)
        return port.data


@pytest.mark.parametrize(("words", "width"), [(5, 1), (100, 192)])
def test_a_rom_has_the_contents_of_amaranths_memory(words: int, width: int) -> None:
    rng = np.random.default_rng(words)
    contents = [int.from_bytes(rng.bytes(24), "little") >> (192 - width) for _ in range(words)]
    rom, own = (to_verilog(Looked(contents, width, one), "looked") for one in (True, False))
    assert rom.memories == own.memories and len(rom.memories) == 2
    [long, short] = (re.findall(r"[01]+", one.decode()) for one in rom.memories.values())
    assert [int(word, 2) for word in long] == contents and len(short) == 3


def test_a_rom_asks_for_block_ram_where_it_is_told_to() -> None:
    for block in (False, True):
        text = to_verilog(Looked([1, 0, 1, 1, 0], 1, True, block), "looked").text
        assert text.count('(* ram_style = "block" *)') == 2 * block


def test_written_files_are_the_design(tmp_path: Path) -> None:
    verilog = to_verilog(Scaler(7, 12, TABLE), "scaler")
    path = verilog.write(tmp_path / "rtl")
    assert path == tmp_path / "rtl" / "scaler.v" and path.read_text() == verilog.text
    assert {p.name for p in path.parent.iterdir()} == {"scaler.v", *verilog.memories}
    assert "amaranth" not in verilog.text.lower() and str(Path.cwd()) not in verilog.text


def test_lint_is_clean_and_sees_a_latch() -> None:
    assert lint(to_verilog(Scaler(7, 12, TABLE))) == ()
    latch = "module latch(input a, input b, output reg c);\n  always @* if (a) c = b;\nendmodule\n"
    [warning] = lint(Verilog("latch", latch, {}, ()))
    assert "LATCH" in warning
    with pytest.raises(ToolError, match="lint of broken failed"):
        lint(Verilog("broken", "module broken(; endmodule\n", {}, ()))
