"""`benchmarks/paper.py`: its rows and page are what is committed; intervals are paired."""

from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import pytest

from ernn.ground.reading import read_json
from ernn.nn.model import AcousticModel
from ernn.nn.spec import ModelSpec
from ernn.search.rivals import recurrent_bits
from tests.scripts import loaded

ROOT = Path(__file__).resolve().parents[2]
KEYS = "network block way seed validation test test_minus_dense low high weights epochs minutes"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")  # as for a script there
    return loaded("benchmarks/paper.py")


@pytest.fixture
def statistics(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return loaded("benchmarks/paper_statistics.py")


def test_the_page_is_made_of_what_is_committed(benchmark: ModuleType) -> None:
    result = read_json(benchmark.RESULTS)
    left = [asdict(row) for row in benchmark.planned() if not any(map(row.of, result["rows"]))]
    assert len(left) + len(result["rows"]) == len(benchmark.planned())
    made = benchmark.RESULTS.with_suffix(".md").read_text(encoding="utf-8")
    assert made == benchmark.page(result, left)
    for row in benchmark.rows_of(result):
        assert set(KEYS.split()) <= set(row)
        assert row["low"] is None or row["low"] <= row["test_minus_dense"] <= row["high"]
        assert (row["test"] is not None) == benchmark.WAYS[row["way"]].heard


def test_intervals_are_paired(statistics: ModuleType) -> None:
    """Speakers differ more than two networks on the same speaker: what they share falls away."""
    easy = {str(n): [100 + 40 * n, 1000] for n in range(20)}
    hard = {name: [errors + 10, n] for name, (errors, n) in easy.items()}
    points, low, high = statistics.difference([{"test": hard}], [{"test": easy}])
    assert points == pytest.approx(1) and low == pytest.approx(1) and high == pytest.approx(1)
    points, low, high = statistics.difference([{"test": easy}], [{"test": easy}])
    assert points == low == high == 0


def test_an_interval_over_seeds_is_as_wide_as_they_differ(statistics: ModuleType) -> None:
    """Speakers alike, seeds 1 and 3 points apart: one in four draws has either seed twice."""
    base = {"test": {str(n): [100, 1000] for n in range(20)}}
    rows = [{"test": {name: [110 + add, 1000] for name in base["test"]}} for add in (0, 20)]
    assert statistics.difference(rows, [base, base]) == pytest.approx((2, 1, 3))


def test_validation_is_paired_over_utterances(statistics: ModuleType) -> None:
    row, other = {"validation_errors": "3 4 5"}, {"validation_errors": "1 2 3"}
    assert statistics.on_validation(row, other, [20, 20, 20]) == pytest.approx((10, 10, 10))


def test_every_row_is_trained_in_a_place_of_its_own(benchmark: ModuleType) -> None:
    names = [row.name for row in benchmark.planned()]
    assert len(set(names)) == len(names) and not any("/" in name for name in names)
    model = AcousticModel(ModelSpec(120, benchmark.NETWORKS["GRU 256"], 40))
    plans = {name: way.plan(model, 8) for name, way in benchmark.WAYS.items()}
    assert "Signed" in str(plans["signed"]) and "Signed" not in str(plans["direct"])
    bits = {name: recurrent_bits(model.spec, plan) for name, plan in plans.items()}
    assert len({bits[name] for name in plans if "signed" in name}) == 1
    assert bits["low rank, 6 bits"] == pytest.approx(bits["signed"], rel=0.03)
