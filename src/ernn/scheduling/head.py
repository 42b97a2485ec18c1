"""The head of a network: its last stages, where no other frame and no earlier stage reads what they
give, and they do not read the input.  An engine need not run it for frames whose outputs nobody
takes (`Design.once`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ernn.scheduling.vector_program import Arrived, LayerStage

Read = tuple[str, bool]
"""A name, and whether of an earlier frame."""


@dataclass(frozen=True)
class Early:
    """A round that ends before its head: the rows that are played of both tapes, and lower bounds
    on the cycles until the next (`ernn.scheduling.list_scheduler`)."""

    array: int
    vector: int
    bounds: dict[str, int]


def head_of(stages: Sequence[LayerStage], source: str) -> int | None:
    """The first stage of the largest head that gives all outputs, or None; `source`: the input's
    name.  The first stage of all is in none: something must remember the frames.
    """
    return next((n for n in range(1, len(stages)) if _is_head(stages, n, source)), None)


def _is_head(stages: Sequence[LayerStage], first: int, source: str) -> bool:
    before, head = stages[:first], stages[first:]
    given = {name for stage in head for name in _given(stage)}
    read = [one for stage in head for one in _read(stage, source)]
    return not (
        any(step.output for stage in before for step in stage.results)
        or any(name in given for stage in before for name, _ in _read(stage, source))
        or any(name == source or (name in given and earlier) for name, earlier in read)
    )


def _given(stage: LayerStage) -> Iterator[str]:
    for step in stage.results:
        yield from (name for name in (step.signal, step.keep and step.keep.name) if name)


def _read(stage: LayerStage, source: str) -> Iterator[Read]:
    for product in stage.products:
        yield from ((operand.signal, operand.delay > 0) for operand in product.operands)
    for term in (term for step in stage.steps for term in step.terms):
        yield from ((kept.value.name, kept.before) for kept in term.reads)
        if isinstance(term.addend, Arrived):
            yield source, False
