"""Damaged files of every kind are used as they are, or refused in one line.

Nothing else: no traceback, no crash, no wait. `benchmarks/fuzz.py` tries twenty times as many.
"""

from pathlib import Path

import pytest

from tests.fuzz.harness import attempt, fuzz
from tests.fuzz.kinds import KINDS, SLOW

MUTATIONS = {name: 250 for name in KINDS} | {name: 10 for name in SLOW}
ALL = KINDS | SLOW


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERNN_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", ALL)
def test_a_damaged_file_is_used_or_refused_in_a_line(name: str, tmp_path: Path) -> None:
    found = fuzz(ALL[name](tmp_path), tmp_path, MUTATIONS[name])
    assert not found.failures, "\n".join(
        f"{one.kind} {one.number}: {one.said}" for one in found.failures[:3]
    )


@pytest.mark.parametrize("name", ALL)
def test_an_undamaged_file_is_used(name: str, tmp_path: Path) -> None:
    made = ALL[name](tmp_path)
    for content in made.whole:
        assert attempt(made, tmp_path, content) is None
