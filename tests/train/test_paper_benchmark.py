"""`benchmarks/paper.py`: its rows and page are what is committed; intervals are paired."""

from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import pytest

from ernn.ground.reading import read_json
from tests.scripts import loaded

ROOT = Path(__file__).resolve().parents[2]
KEYS = "network block way seed validation test test_minus_dense low high weights epochs minutes"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")  # as for a script there
    return loaded("benchmarks/paper.py")


def test_the_page_is_made_of_what_is_committed(benchmark: ModuleType) -> None:
    result = read_json(benchmark.RESULTS)
    left = [asdict(row) for row in benchmark.planned() if not any(map(row.of, result["rows"]))]
    assert len(left) + len(result["rows"]) == len(list(benchmark.planned()))
    made = benchmark.RESULTS.with_suffix(".md").read_text(encoding="utf-8")
    assert made == benchmark.page(result, left)
    for row in benchmark.rows_of(result):
        assert set(KEYS.split()) <= set(row)
        assert row["low"] is None or row["low"] <= row["test_minus_dense"] <= row["high"]


def test_intervals_are_paired(benchmark: ModuleType) -> None:
    """Speakers differ more than two networks on the same speaker: what they share falls away."""
    easy = {str(n): [100 + 40 * n, 1000] for n in range(20)}
    hard = {name: [errors + 10, n] for name, (errors, n) in easy.items()}
    points, low, high = benchmark.difference({"test": hard}, {"test": easy})
    assert points == pytest.approx(1) and low == pytest.approx(1) and high == pytest.approx(1)
    points, low, high = benchmark.difference({"test": easy}, {"test": easy})
    assert points == low == high == 0


def test_every_row_is_trained_in_a_place_of_its_own(benchmark: ModuleType) -> None:
    names = [row.name for row in benchmark.planned()]
    assert len(set(names)) == len(names) and not any("/" in name for name in names)
    plans = {row.way: row.plan for row in benchmark.planned()}
    assert "Signed" in str(plans["signed"]) and "Signed" not in str(plans["direct"])
