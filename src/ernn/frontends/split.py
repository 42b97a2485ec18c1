"""What of a graph the accelerator computes, and what stays on the host before it and after it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ernn.frontends.graph import (
    Affine,
    Apply,
    Output,
    Outside,
    Product,
    Recurrent,
    Signal,
    Sum,
    Times,
    Vector,
)


@dataclass(frozen=True)
class Split:
    """Signals by number: those the accelerator computes; the rest, by when the host has them."""

    inside: frozenset[int]
    after: frozenset[int]


def split(signals: Sequence[Signal], results: frozenset[int]) -> Split:
    """The stretch without a break that has the recurrent layers and most multiplications.

    results: signals that the user's network gives.

    Signals alternate between host and accelerator: those of an even phase the host computes, those
    of an odd one could be the accelerator's, and one phase is chosen.
    """
    frames, phases = _needed(signals, results), list[int]()
    for number in range(len(signals)):
        phases.append(_phase(number, signals, frames, phases))
    odd = sorted({phase for phase in phases if phase % 2})
    if not odd:
        return Split(frozenset(), frozenset())

    def worth(phase: int) -> tuple[bool, int]:
        own = [one for one, at in zip(signals, phases, strict=True) if at == phase]
        recurrent = any(isinstance(one.operation, Recurrent) for one in own)
        return recurrent, sum(one.multiplications for one in own)

    chosen = max(odd, key=worth)
    numbered = list(enumerate(phases))
    return Split(
        frozenset(number for number, phase in numbered if phase == chosen),
        frozenset(number for number, phase in numbered if phase > chosen),
    )


def _needed(signals: Sequence[Signal], results: frozenset[int]) -> list[int]:
    """How many frames of each signal are read: a convolution that is padded on both sides gives
    more, and the user's network leaves the last ones out.
    """
    frames, wanted = [one.frames for one in signals], [0] * len(signals)
    for number in reversed(range(len(signals))):
        signal = signals[number]
        alone = isinstance(signal.operation, Product | Affine | Apply | Sum | Times)
        if alone and not signal.host and number not in results and wanted[number]:
            frames[number] = min(frames[number], wanted[number])
        for one in signal.read:
            wanted[one] = max(wanted[one], _read_of(signals, number, one, frames[number]))
    return frames


def _read_of(signals: Sequence[Signal], reader: int, number: int, frames: int) -> int:
    """How many frames of a signal a reader of so many frames takes."""
    signal = signals[reader]
    if signal.host or isinstance(signal.operation, Outside):
        return signals[number].frames
    found = [v.delays[v.signals == number] for v in signal.operation.reads if number in v.read]
    now = bool(found) and all((delays >= 0).all() for delays in found)  # else later, or as a state
    return frames if now else signals[number].frames


def _phase(
    number: int, signals: Sequence[Signal], frames: Sequence[int], phases: Sequence[int]
) -> int:
    signal = signals[number]
    operation = signal.operation
    if isinstance(operation, Output):
        return phases[operation.of]
    read = set[int]().union(*(vector.read for vector in operation.reads))
    states = operation.states if isinstance(operation, Recurrent) else ()
    begun = set[int]().union(*(vector.read for _, vector in states))
    last = max(
        [phases[one] for one in read] + [phases[one] + phases[one] % 2 for one in begun] + [0]
    )
    if isinstance(operation, Outside) or signal.host:
        return last + last % 2
    if last % 2 == 0:
        return last + 1
    ours = [one for one in read if phases[one] == last]
    follows = all(frames[one] == frames[number] for one in ours) and all(
        _causal(vector, ours) for vector in operation.reads
    )
    return last if follows else last + 1


def _causal(vector: Vector, ours: Sequence[int]) -> bool:
    """Whether it reads no later frame of signals that the accelerator computes."""
    return bool((vector.delays[np.isin(vector.signals, ours)] >= 0).all())
