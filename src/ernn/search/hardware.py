"""Phase II: the engine for a model and a device, for throughput or for latency.

Cycles are the schedule's, and exact; area is predicted (`ernn.estimate.area`), the clock assumed
(`ernn.estimate.clock`).  Every search looks for both goals (`ernn.search.walk`), so that no goal
misses what the other finds.
"""

from dataclasses import dataclass, replace
from typing import get_args

from ernn.errors import UserError
from ernn.ir.integer_model import IntegerModel
from ernn.pareto import pareto
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import require_engine
from ernn.search.choice import Choice, Request
from ernn.search.refusal import refusal, small_designs
from ernn.search.space import Goal, Space
from ernn.search.walk import Effort, Walk

BUDGET = 80
"""Schedules of a search for each goal; a third more for the front."""


@dataclass(frozen=True)
class SearchResult:
    """The best design, and the front: time against the largest share of a resource.

    `complete`: nothing left out promises more; otherwise the budget of schedules ran out.
    """

    request: Request
    best: Choice
    front: tuple[Choice, ...]
    scheduled: tuple[Choice, ...]
    shapes: int
    complete: bool


def search(model: IntegerModel, request: Request, budget: int | None = BUDGET) -> SearchResult:
    """The best design for `request`.  UserError if none fits, saying what is short, by how much,
    and what would fit.

    budget: schedules for each goal; None: no end, and then no design of the space is faster, and
    none is faster and takes less than one of the front.
    """
    require_engine(model)
    known: dict[Design, Choice] = {}
    walks = {goal: _walk(model, replace(request, goal=goal), known) for goal in get_args(Goal)}
    complete = {goal: walk.run(Effort.of(budget)) for goal, walk in walks.items()}
    own = walks[request.goal]
    if not any(walk.fitting for walk in walks.values()) and not own.any_of(
        small_designs(model, request)
    ):
        raise UserError(refusal(model, request))
    own.front(Effort.of(None if budget is None else budget // 3))
    for walk in walks.values():
        walk.relieve()
    fitting = sorted(
        (one for walk in walks.values() for one in walk.fitting),
        key=lambda one: one.preference(request.goal),
    )
    front = pareto(fitting, lambda one: (one.time(request.goal), one.share))
    return SearchResult(
        request,
        fitting[0],
        tuple(front),
        tuple(known.values()),
        len(own.shapes),
        complete[request.goal],
    )


def _walk(model: IntegerModel, request: Request, known: dict[Design, Choice]) -> Walk:
    asked = request.device, request.clock, request.goal, request.pes, request.once
    shapes = Space(model, *asked).shapes()
    return Walk(model, request, request.goal, shapes, known)
