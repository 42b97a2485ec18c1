"""From what picks are thought to cost to those to try: steps into the budget, and neighbours."""

from collections.abc import Callable, Iterator
from itertools import product

from ernn.search.candidates import Pick, Space, stored_bytes

Cost = Callable[[Pick], float]
FEW = 500
"""A space of at most this many picks is searched whole."""


def descend(space: Space, cost: Cost) -> Pick:
    """The pick within the budget that the greedy steps lead to; in a small space the best one.

    Steps store less. A price in bytes is what is stored; another may rise by them, and takes the
    search of an engine: it is asked for where a step has led, no oftener.
    """
    if space.size <= FEW:
        every = sorted(product(*(part.options for part in space.parts)), key=cost)
        return next(pick for pick in every if space.fits(pick))
    pick, enough = space.mildest, space.limit if space.pricing is stored_bytes else 0.0
    while not space.fits(pick):
        before, paid = cost(pick), space.stored(pick)
        steps = [near for near in space.neighbours(pick) if space.stored(near) < paid]
        pick = min(
            steps,
            key=lambda near: _worth(cost(near) - before, paid - max(space.stored(near), enough)),
            default=space.cheapest,
        )
    return _use_up(space, cost, pick)


def _worth(rise: float, saved: float) -> tuple[float, float]:
    """Least rise per what is saved first; of equals what saves most."""
    return rise / saved, -saved


def _use_up(space: Space, cost: Cost, pick: Pick) -> Pick:
    """What the last step left of the budget goes to whatever gains most by it."""
    while better := next((one for one in _gaining(space, cost, pick) if space.fits(one)), None):
        pick = better
    return pick


def _gaining(space: Space, cost: Cost, pick: Pick) -> list[Pick]:
    """Neighbours that cost less, what costs least first."""
    return sorted((one for one in space.neighbours(pick) if cost(one) < cost(pick)), key=cost)


def around(space: Space, pick: Pick, cost: Cost) -> Iterator[Pick]:
    """Picks within the budget that differ in at most two parts, what costs least first."""
    found = dict.fromkeys(far for near in space.neighbours(pick) for far in space.neighbours(near))
    yield from (one for one in sorted(found, key=cost) if space.fits(one))
