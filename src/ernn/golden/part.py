"""Stretches of a model's layers that run frame by frame in one direction of time."""

from dataclasses import dataclass
from itertools import groupby

from ernn.ir.integer_model import IntegerLayer, IntegerModel


@dataclass(frozen=True, eq=False)
class Part:
    """`layers` in order; `reads`: signals that come from outside, joined one after another;
    `gives`: signals that somebody outside wants, likewise.
    """

    layers: tuple[IntegerLayer, ...]
    reads: tuple[str, ...]
    gives: tuple[str, ...]

    @property
    def backward(self) -> bool:
        return self.layers[0].backward


def whole(model: IntegerModel) -> Part:
    """All layers, none of which runs backward."""
    return _part(model, model.layers)


def parts(model: IntegerModel) -> list[Part]:
    """The layers, cut where the direction of time changes."""
    groups = groupby(model.layers, key=lambda layer: layer.backward)
    return [_part(model, tuple(layers)) for _, layers in groups]


def _part(model: IntegerModel, layers: tuple[IntegerLayer, ...]) -> Part:
    own = {layer.signal(name) for layer in layers for name in layer.cell.outputs}
    names = (signal for layer in layers for signal in layer.inputs)
    reads = tuple(dict.fromkeys(signal for signal in names if signal not in own))
    others = (layer for layer in model.layers if layer not in layers)
    wanted = {*model.outputs, *(signal for layer in others for signal in layer.inputs)}
    gives = tuple(signal.name for signal in model.signals if signal.name in own & wanted)
    only = len(layers) == len(model.layers)
    return Part(layers, reads, model.outputs if only else gives)
