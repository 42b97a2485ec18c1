"""Choices that no other choice beats."""

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
Costs = tuple[float, ...]


def dominates(a: Costs, b: Costs) -> bool:
    """Whether a is nowhere greater than b, and somewhere smaller."""
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def pareto(choices: Iterable[T], costs: Callable[[T], Costs]) -> list[T]:
    """Choices that none other dominates, by rising costs; of several with the same costs the
    first.
    """
    front: list[T] = []
    for choice in sorted(choices, key=costs):
        own = costs(choice)
        if not any(costs(other) == own or dominates(costs(other), own) for other in front):
            front.append(choice)
    return front
