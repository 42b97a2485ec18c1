"""An integer model run over whole utterances, perhaps with every edge on record.

Integers in, integers out.
"""

from collections.abc import Sequence

import numpy as np

from ernn.errors import UserError
from ernn.golden.frames import check_frames, last_step
from ernn.golden.machine import Edges, Implementation, Machine, Plain
from ernn.golden.part import Part, parts
from ernn.ir.integer_model import IntegerModel

Array = np.ndarray

TOGETHER = 16
"""Utterances that run side by side."""


def run(model: IntegerModel, frames: Array, implementation: Implementation = Plain) -> Array:
    """Outputs (time, outputs) for one utterance (time, inputs), int64; (1, outputs) where the model
    has `last_step`.
    """
    return run_all(model, [frames], implementation)[0]


def run_all(
    model: IntegerModel, utterances: Sequence[Array], implementation: Implementation = Plain
) -> list[Array]:
    """As `run`, for independent utterances of any lengths; `ernn.golden.compiled.Compiled` is the
    implementation for many.
    """
    if not utterances:
        raise UserError("there is no utterance to run")
    for frames in utterances:
        check_frames(model, frames)
    order = sorted(range(len(utterances)), key=lambda index: -len(utterances[index]))
    passes = _Passes(model, implementation, min(TOGETHER, len(utterances)))
    outputs: dict[int, Array] = {}
    for first in range(0, len(order), TOGETHER):
        some = order[first : first + TOGETHER]
        outputs |= zip(some, passes.run([utterances[index] for index in some]), strict=True)
    return [last_step(model, outputs[index]) for index in range(len(utterances))]


def trace(
    model: IntegerModel, frames: Array, implementation: Implementation = Plain
) -> dict[str, Array]:
    """Every edge (time, values) of one utterance by name, in the order they are first computed.

    Signals and steps: 'x', '<layer>.<step>'; '<signal>.spectrum' words in a row; products by name,
    gate by gate.  Edges of a backward layer are given in the order of the frames, not of its
    computation.
    """
    check_frames(model, frames)
    edges: Edges = {}
    _Passes(model, implementation, 1).run([frames], edges)
    return {name: np.concatenate(rows) for name, rows in edges.items()}


class _Passes:
    """A model's machines, and whole utterances through them."""

    def __init__(self, model: IntegerModel, implementation: Implementation, streams: int) -> None:
        self._model, self._streams = model, streams
        self._parts = [(part, implementation(model, part, streams)) for part in parts(model)]

    def run(self, utterances: Sequence[Array], edges: Edges | None = None) -> list[Array]:
        """Outputs of at most as many utterances as there are streams."""
        idle = [0] * (self._streams - len(utterances))
        lengths = np.array([len(frames) for frames in utterances] + idle)
        x = np.zeros((lengths.max(), self._streams, self._model.input.length), np.int64)
        for index, frames in enumerate(utterances):
            x[: len(frames), index] = frames
        signals = {self._model.input.name: x}
        for part, machine in self._parts:
            signals |= self._through(part, machine, signals, lengths, edges)
        outputs = np.concatenate([signals[name] for name in self._model.outputs], axis=-1)
        return [outputs[: len(frames), index] for index, frames in enumerate(utterances)]

    def _through(
        self,
        part: Part,
        machine: Machine,
        signals: dict[str, Array],
        lengths: Array,
        edges: Edges | None,
    ) -> dict[str, Array]:
        """What a part gives, from the state before the first frame.

        What lies after an utterance's end is computed and not looked at.
        """
        machine.reset()
        own: Edges | None = None if edges is None else {}
        given = np.concatenate([signals[name] for name in part.reads], axis=-1)
        outputs = machine.push(_reversed(given, lengths) if part.backward else given, own)
        if part.backward:
            outputs = _reversed(outputs, lengths)
        if edges is not None and own is not None:
            turned = {name: rows[::-1] if part.backward else rows for name, rows in own.items()}
            edges |= {name: rows for name, rows in turned.items() if name not in edges}
        cuts = np.cumsum([self._model.signal(name).length for name in part.gives])[:-1]
        return dict(zip(part.gives, np.split(outputs, cuts, axis=-1), strict=True))


def _reversed(x: Array, lengths: Array) -> Array:
    """Each utterance (time, utterance, n) backwards in time; what lies after its end stays."""
    t = np.arange(len(x))[:, None]
    order = np.where(t < lengths, lengths - 1 - t, t)
    return x[order, np.arange(len(lengths))]
