"""The README's lines of Python run as they stand."""

import re
from pathlib import Path

import pytest

import ernn.flow.place
import ernn.flow.synthesise
from tests.cli.test_commands import AREA, PLACEMENT

README = Path(__file__).parents[2] / "README.md"


def test_module_to_verilog_and_a_placed_clock_in_ten_lines(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Yosys and nextpnr have tests of their own (tests/flow); here their answers are given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ernn.flow.synthesise, "synthesise", lambda verilog, device: AREA)
    monkeypatch.setattr(ernn.flow.place, "place", lambda verilog, device, **options: PLACEMENT)
    (block,) = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    assert len(block.splitlines()) == 10
    exec(compile(block, str(README), "exec"), {"__name__": "readme"})
    printed = capsys.readouterr().out
    assert "2,560 integers, 0 differ: passed" in printed and "100.0 MHz placed" in printed
    assert "module ernn_engine" in Path("out/engine/ernn_engine.v").read_text()
