"""Tests of corpora keep nothing outside their own folders."""

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERNN_CACHE", str(tmp_path_factory.mktemp("cache")))
