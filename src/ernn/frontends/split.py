"""What of a graph the accelerator computes, and what stays on the host before it and after it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ernn.frontends.graph import Output, Outside, Recurrent, Signal, Vector


@dataclass(frozen=True)
class Split:
    """Signals by number: those the accelerator computes; the rest, by when the host has them."""

    inside: frozenset[int]
    after: frozenset[int]


def split(signals: Sequence[Signal]) -> Split:
    """The stretch without a break that has the recurrent layers and most multiplications.

    Signals alternate between host and accelerator: those of an even phase the host computes, those
    of an odd one could be the accelerator's, and one phase is chosen.
    """
    phases: list[int] = []
    for signal in signals:
        phases.append(_phase(signal, signals, phases))
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


def _phase(signal: Signal, signals: Sequence[Signal], phases: Sequence[int]) -> int:
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
    follows = all(signals[one].frames == signal.frames for one in ours) and all(
        _causal(vector, ours) for vector in operation.reads
    )
    return last if follows else last + 1


def _causal(vector: Vector, ours: Sequence[int]) -> bool:
    """Whether it reads no later frame of signals that the accelerator computes."""
    return bool((vector.delays[np.isin(vector.signals, ours)] >= 0).all())
