"""Makes pytest put the repository root on the path, for `from tests.models import ...` in any
folder.  What is imported while tests are collected stays until the end: the garbage collector does
not look at it then, nor afterwards.
"""

import gc
from collections.abc import Generator

import pytest

from ernn.ground.uncollected import uncollected


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    with uncollected():
        result = yield
    gc.freeze()
    return result
