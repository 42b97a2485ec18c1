"""The cache that every test has, as a user's program would find it."""

import pytest

from ernn.flow.cache import Cache


@pytest.fixture(scope="session")
def cache() -> Cache:
    """Of all workers and of runs before: an entry is never out of date."""
    return Cache.default()
