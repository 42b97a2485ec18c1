"""The page on verifying runs as it stands, its testbench too."""

import re
import subprocess
from pathlib import Path

import pytest
import torch

from ernn.flow import tools
from tests.pages import blocks, follow

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "verify.md"


def test_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    follow(PAGE)
    said = capsys.readouterr().out
    assert "120 frames, 1,920 integers, 0 differ: passed" in said
    assert re.search(r"first difference at edge l0\.[ifo], lane", said)
    assert "the error port rose at cycle" in said
    assert built_testbench(tmp_path / "out" / "testbench") == "80 beats, 0 wrong, error 0"


def built_testbench(folder: Path) -> str:
    """What the page's testbench says, built with Verilator's own main program."""
    (folder / "testbench.sv").write_text(next(blocks(PAGE, "systemverilog")).text)
    root = tools.verilator_root()
    options = [
        "--cc",
        "--main",
        "--timing",
        "--top-module",
        "testbench",
        "-Wno-fatal",
        "--prefix",
        "Vtop",
        "-O3",
    ]
    command = [*tools.verilator().command, *options, "--Mdir", ".", "testbench.sv", "ernn_engine.v"]
    environment = {"VERILATOR_ROOT": str(root), "PATH": "/usr/bin:/bin"}
    subprocess.run(
        command, cwd=folder, check=True, env=environment, capture_output=True, timeout=60
    )
    parts = [*sorted(folder.glob("Vtop*.cpp"))]
    parts += [
        root / "include" / f"{name}.cpp"
        for name in ("verilated", "verilated_threads", "verilated_timing")
    ]
    (folder / "all.cpp").write_text("".join(f'#include "{part}"\n' for part in parts))
    flags = [
        "-std=c++20",
        "-fcoroutines",
        "-DVL_TIME_CONTEXT",
        "-w",
        f"-I{root}/include",
        f"-I{root}/include/vltstd",
    ]
    compiler = [*tools.compiler().command, *flags, "-I.", "all.cpp", "-o", "bench", "-pthread"]
    subprocess.run(compiler, cwd=folder, check=True, timeout=300)
    said = subprocess.run(
        ["./bench"], cwd=folder, check=True, capture_output=True, text=True, timeout=60
    ).stdout
    return said.splitlines()[0]
