"""A cache that lives as long as the test session, so that tests measure and share nothing with the user's own."""

import pytest

from ernn.flow.cache import Cache


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return Cache(tmp_path_factory.mktemp("ernn-cache"))
