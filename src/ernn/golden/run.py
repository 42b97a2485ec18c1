"""An integer model run over whole utterances, perhaps with every edge on record. Integers in,
integers out.
"""

from collections.abc import Sequence

import numpy as np

from ernn.errors import UserError
from ernn.golden.cell import OneWay
from ernn.golden.frames import check_frames, last_step
from ernn.golden.machine import Edges, Implementation, Machine, Plain
from ernn.ir.integer_model import IntegerBidirectional, IntegerModel

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
    """As `run`, for independent utterances of any lengths; `ernn.golden.fast.Fast` is the
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

    Signals: 'x', '<layer>.h', '<layer>.m' (before a projection), '<layer>.s' (a GRU's r * h);
    '<signal>.spectrum' words in a row; products by name, gate by gate; LSTM '.i .f .g .c .o .t' (t:
    tanh of the cell); GRU '.r .z .u .n'. Edges of a backward layer are given in the order of the
    frames, not of its computation.
    """
    check_frames(model, frames)
    edges: Edges = {}
    _Passes(model, implementation, 1).run([frames], edges)
    return {name: np.concatenate(rows) for name, rows in edges.items()}


class _Passes:
    """A model's machines, and whole utterances through them."""

    def __init__(self, model: IntegerModel, implementation: Implementation, streams: int) -> None:
        self._model, self._streams = model, streams
        self._parts = [
            (part, [implementation(model, layers, streams) for layers in _ways(part)])
            for part in _parts(model)
        ]

    def run(self, utterances: Sequence[Array], edges: Edges | None = None) -> list[Array]:
        """Outputs of at most as many utterances as there are streams."""
        lengths = np.array(
            [len(frames) for frames in utterances] + [0] * (self._streams - len(utterances))
        )
        x = np.zeros((lengths.max(), self._streams, self._model.input.length), np.int64)
        for index, frames in enumerate(utterances):
            x[: len(frames), index] = frames
        for part, machines in self._parts:
            if isinstance(part, IntegerBidirectional):
                x = _both_ways(part, machines, x, lengths, edges)
            else:
                x = _through(machines[0], x, edges)
        return [x[: len(frames), index] for index, frames in enumerate(utterances)]


def _parts(model: IntegerModel) -> list[list[OneWay] | IntegerBidirectional]:
    """Bidirectional layers, and the stretches of one-way layers between them."""
    parts: list[list[OneWay] | IntegerBidirectional] = []
    for layer in model.layers:
        if isinstance(layer, IntegerBidirectional):
            parts.append(layer)
        elif parts and isinstance(parts[-1], list):
            parts[-1].append(layer)
        else:
            parts.append([layer])
    return parts


def _ways(part: list[OneWay] | IntegerBidirectional) -> list[list[OneWay]]:
    return [part] if isinstance(part, list) else [[part.forward], [part.backward]]


def _through(machine: Machine, x: Array, edges: Edges | None, backward: bool = False) -> Array:
    """From the state before the first frame; what lies after an utterance's end is computed and not
    looked at.
    """
    machine.reset()
    own: Edges | None = None if edges is None else {}
    outputs = machine.push(x, own)
    if edges is not None and own is not None:
        edges |= {name: rows[::-1] for name, rows in own.items()} if backward else own
    return outputs


def _both_ways(
    layer: IntegerBidirectional,
    machines: Sequence[Machine],
    x: Array,
    lengths: Array,
    edges: Edges | None,
) -> Array:
    forward, backward = machines
    halves = [
        _through(forward, x, edges),
        _through(backward, _reversed(x, lengths), edges, backward=True),
    ]
    joined = np.concatenate([halves[0], _reversed(halves[1], lengths)], axis=-1)
    if edges is not None and len(joined):
        edges[layer.output] = list(joined)
    return joined


def _reversed(x: Array, lengths: Array) -> Array:
    """Each utterance (time, utterance, n) backwards in time; what lies after its end stays
    there.
    """
    t = np.arange(len(x))[:, None]
    order = np.where(t < lengths, lengths - 1 - t, t)
    return x[order, np.arange(len(lengths))]
