"""Phase II, ended after a few schedules, for tests of what comes before and after it: it has tests
of its own (tests/search), by which any design that it gives is one that fits.
"""

import dataclasses
from typing import Any

import pytest

from ernn.ir.integer_model import IntegerModel
from ernn.pipeline import choosing
from ernn.pipeline import hardware as steps
from ernn.search import hardware
from ernn.search.choice import Request
from ernn.search.hardware import SearchResult

BUDGET = 4


def search_briefly(patch: pytest.MonkeyPatch, **given: Any) -> None:
    """`given`: of every request, besides what it asks for."""
    whole = hardware.search

    def search(model: IntegerModel, request: Request, budget: int | None = None) -> SearchResult:
        return whole(model, dataclasses.replace(request, **given), BUDGET)

    for module in (hardware, steps, choosing):
        patch.setattr(module, "search", search)
