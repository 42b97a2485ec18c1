"""From what picks are thought to cost to those to try: steps into the budget, and neighbours."""

from collections.abc import Callable, Iterator
from itertools import product

from ernn.search.candidates import Pick, Space

Cost = Callable[[Pick], float]
FEW = 500
"""A space of at most this many picks is searched whole."""


def descend(space: Space, cost: Cost) -> Pick:
    """The pick within the budget that the greedy steps lead to; in a small space the best one."""
    if space.size <= FEW:
        every = sorted(product(*(part.options for part in space.parts)), key=cost)
        return next(pick for pick in every if space.fits(pick))
    pick = space.mildest
    while not space.fits(pick):
        before, paid = cost(pick), space.price(pick)
        steps = [near for near in space.neighbours(pick) if space.price(near) < paid]
        pick = min(
            steps,
            key=lambda near: _worth(
                cost(near) - before, paid - max(space.price(near), space.limit)
            ),
        )
    return _use_up(space, cost, pick)


def _worth(rise: float, saved: float) -> tuple[float, float]:
    """Least rise per what is saved first; of equals what saves most."""
    return rise / saved, -saved


def _use_up(space: Space, cost: Cost, pick: Pick) -> Pick:
    """What the last step left of the budget goes to whatever gains most by it."""
    while better := [
        near for near in space.neighbours(pick) if space.fits(near) and cost(near) < cost(pick)
    ]:
        pick = min(better, key=cost)
    return pick


def around(space: Space, pick: Pick, cost: Cost) -> Iterator[Pick]:
    """Picks within the budget that differ in at most two parts, what costs least first."""
    found = dict.fromkeys(far for near in space.neighbours(pick) for far in space.neighbours(near))
    yield from sorted((one for one in found if space.fits(one)), key=cost)
