"""The host's part of a network: what it computes before the accelerator's frames and after them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ernn.errors import UserError
from ernn.frontends.graph import Vector
from ernn.frontends.ports import Port, taken

Array = np.ndarray
States = Mapping[tuple[int, str], Array]
"""Values by layer and by the name of what it remembers."""


class Program(Protocol):
    """The user's own float code."""

    def compute(self, known: Mapping[str, Array], wanted: Sequence[str]) -> list[Array]:
        """The tensors `wanted`, where others are `known` already."""
        ...


@dataclass(frozen=True, eq=False)
class End:
    """A tensor made of final states: of each signal in it the layer and what that remembers."""

    port: Port
    states: Mapping[int, tuple[int, str]]


@dataclass(frozen=True, eq=False)
class Host:
    """What stays on the host.

    program: the user's code.
    before: where the signals that the accelerator reads are found there.
    inputs: what the accelerator is given each frame.
    more: how many frames it takes more than each signal has.
    states: by layer and name, initial values that come from outside.
    after: tensors made of the accelerator's outputs.
    outputs: the signals that the accelerator gives, and how many values each has.
    ends: tensors made of final states.
    results: names of the tensors that the user's network gives.
    """

    program: Program
    before: Mapping[int, Port]
    inputs: Vector
    more: Mapping[int, int]
    states: tuple[tuple[int, str, Vector], ...]
    after: tuple[Port, ...]
    outputs: tuple[tuple[int, int], ...]
    ends: tuple["End", ...]
    results: tuple[str, ...]

    def frames(self, given: Mapping[str, Array]) -> tuple[Array, dict[tuple[int, str], Array]]:
        """Frames (time, inputs) for the accelerator, and the states to begin with.

        given: the inputs of the user's network by name, of one sequence.
        """
        signals = sorted(self.inputs.read.union(*(vector.read for _, _, vector in self.states)))
        names = [self.before[one].tensor for one in signals]
        tensors = self.program.compute(given, names)
        known = {
            signal: self.before[signal].frames(np.asarray(tensor, float), signal)
            for signal, tensor in zip(signals, tensors, strict=True)
        }
        starts = {(layer, name): taken(known, vector, 1)[0] for layer, name, vector in self.states}
        length = max(len(known[one]) + self.more[one] for one in self.inputs.read)
        if length < 1:
            raise UserError("the sequence is shorter than the first operations of the network take")
        return taken(known, self.inputs, length), starts

    def give(self, given: Mapping[str, Array], outputs: Array, ends: States) -> list[Array]:
        """What the user's network gives.

        outputs: (time, outputs), the accelerator's.  ends: its states after the last frame.
        """
        cuts = np.cumsum([size for _, size in self.outputs])[:-1]
        parts = np.split(outputs, cuts, axis=1)
        signals = {one: part for (one, _), part in zip(self.outputs, parts, strict=True)}
        known = {port.tensor: port.values(signals) for port in self.after}
        for end in self.ends:
            rows = {signal: ends[where][None] for signal, where in end.states.items()}
            known[end.port.tensor] = end.port.values(rows)
        return self.program.compute({**given, **known}, self.results)
