"""A cache that lives as long as the test session, so that tests share nothing with a user's."""

import os

import pytest

from ernn.flow.cache import Cache


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    base = tmp_path_factory.getbasetemp()
    # In parallel all workers share one cache, which is made for that.
    parallel = "PYTEST_XDIST_WORKER" in os.environ
    return Cache((base.parent if parallel else base) / "ernn-cache")
