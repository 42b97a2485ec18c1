"""How often each edge sits at the end of its range: whether calibration chose formats wide
enough.
"""

from collections.abc import Sequence

import numpy as np

from ernn.golden.elementwise import activate
from ernn.golden.machine import Implementation, Plain
from ernn.golden.run import trace
from ernn.ir.activations import BOUNDED
from ernn.ir.cell import CellStep
from ernn.ir.edges import spectrum_formats
from ernn.ir.integer_model import IntegerLayer, IntegerModel
from ernn.ir.precision import Shares

Array = np.ndarray
Ends = tuple[int, int]
"""The lowest and the highest integer of an edge."""


def saturation(
    model: IntegerModel, utterances: Sequence[Array], implementation: Implementation = Plain
) -> dict[str, tuple[int, int]]:
    """By edge: how many of its values are the lowest or highest integer that it can have, and how
    many there are.

    `utterances`: int64 (time, inputs) each. Edges: signals, their spectra, products' outputs,
    cells.
    """
    every = can_saturate(model)
    counts: dict[str, tuple[int, int]] = {edge: (0, 0) for edge in every}
    for frames in utterances:
        for edge, values in trace(model, frames, implementation).items():
            if edge in every:
                ends = at_ends(values, every[edge])
                counts[edge] = counts[edge][0] + ends, counts[edge][1] + values.size
    return counts


def saturating_states(
    model: IntegerModel, utterances: Sequence[Array], implementation: Implementation = Plain
) -> Shares:
    """The `states` with values at the ends."""
    counts = saturation(model, utterances, implementation)
    ends = ((edge, *counts[edge]) for edge in states(model))
    return tuple((edge, count / total) for edge, count, total in ends if count)


def at_ends(values: Array, ends: Ends) -> int:
    """How many are the lowest or the highest integer."""
    return int(((values == ends[0]) | (values == ends[1])).sum())


def can_saturate(model: IntegerModel) -> dict[str, Ends]:
    """The ends of the traced edges that can saturate: what a bounded function gives does not."""
    formats = {signal.name: signal.format for signal in model.signals}
    formats |= spectrum_formats(model)
    for layer in model.layers:
        formats |= {product.name: product.output for product in layer.products}
    found = {edge: (format.low, format.high) for edge, format in formats.items()}
    for layer in model.layers:
        far = [step for step in layer.cell.steps if step.activation not in BOUNDED]
        found |= {f"{layer.name}.{step.name}": _ends(model, layer, step) for step in far}
    return found


def _ends(model: IntegerModel, layer: IntegerLayer, step: CellStep) -> Ends:
    """The format's; a table may end before, where what it reads does."""
    format, table = layer.format_of[step.name], model.table(step.activation)
    if table is None:
        return format.low, format.high
    return format.low, int(activate(table, np.array(table.input.high)))


def states(model: IntegerModel) -> list[str]:
    """Edges that are kept from frame to frame and can be clipped: an error there stays."""
    return [
        f"{layer.name}.{name}"
        for layer in model.layers
        for name in layer.cell.remembered
        if name not in layer.cell.inputs and _can_be_clipped(layer, name)
    ]


def _can_be_clipped(layer: IntegerLayer, name: str) -> bool:
    """Not what a bounded function gives, nor what stays within 1 in a format that holds that."""
    step = next(one for one in layer.cell.steps if one.name == name)
    format = layer.format_of[name]
    held = step.within_one and format.high * format.step >= 1 - format.step
    return step.activation not in BOUNDED and not held
