"""More bits never make integers worse: benchmarks/widths.py, on a few of its networks."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("seed", range(4))
def test_no_width_makes_the_error_grow(seed: int) -> None:
    spec = importlib.util.spec_from_file_location("widths", ROOT / "benchmarks" / "widths.py")
    assert spec and spec.loader
    widths = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(widths)
    compared, found = widths.violations(seed)
    assert compared >= 2 and not found
