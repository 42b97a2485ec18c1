"""`benchmarks/accuracy.py` compares ways that have the same: epochs, and a
teacher where the recipe has one.
"""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from ernn.train.recipes import DIGITS
from ernn.train.solvers import ByAdmm, Direct, Gradual, OneShot, Taught
from ernn.train.spec import DistilSpec
from tests.scripts import loaded

ROOT = Path(__file__).resolve().parents[2]
RECIPE = DIGITS.with_epochs(dense=5, admm=2, retrain=3)
WAYS = ("admm", "pruned", "one-shot", "gradual", "direct-signed", "direct")


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")  # as for a script there
    return loaded("benchmarks/accuracy.py")


@pytest.mark.parametrize("way", WAYS)
def test_every_way_has_the_same_teacher(way: str, benchmark: ModuleType) -> None:
    values = DistilSpec(labels=0.4)
    taught = benchmark.solver(way, replace(RECIPE, distil=values))
    assert isinstance(taught, Taught) and taught.distil == values
    assert taught.way == benchmark.solver(way, RECIPE)


@pytest.mark.parametrize(("way", "epochs"), zip(WAYS, (5, 5, 5, 5, 10, 10), strict=True))
def test_every_way_has_as_many_epochs(way: str, epochs: int, benchmark: ModuleType) -> None:
    match benchmark.solver(way, RECIPE):
        case ByAdmm(towards, inside) | Gradual(towards, inside):
            assert towards.epochs + inside.epochs == epochs
        case OneShot(inside) | Direct(inside):
            assert inside.epochs == epochs
        case other:
            pytest.fail(f"{other} is none of the ways")
