"""How often each edge sits at the end of its range: whether calibration chose formats wide
enough.
"""

from collections.abc import Sequence

import numpy as np

from ernn.golden.machine import Implementation, Plain
from ernn.golden.run import trace
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_model import IntegerModel

Array = np.ndarray


def saturation(
    model: IntegerModel, utterances: Sequence[Array], implementation: Implementation = Plain
) -> dict[str, tuple[int, int]]:
    """By edge: how many of its values are the lowest or highest integer of its format, and how many
    there are.

    `utterances`: int64 (time, inputs) each. Edges: signals, their spectra, products' outputs,
    cells.
    """
    formats = _can_saturate(model)
    counts: dict[str, tuple[int, int]] = {edge: (0, 0) for edge in formats}
    for frames in utterances:
        for edge, values in trace(model, frames, implementation).items():
            if edge in formats:
                at_end = (values == formats[edge].low) | (values == formats[edge].high)
                counts[edge] = counts[edge][0] + int(at_end.sum()), counts[edge][1] + values.size
    return counts


def _can_saturate(model: IntegerModel) -> dict[str, FixedFormat]:
    """Formats of the traced edges that can saturate: what a table gives does not."""
    formats = {signal.name: signal.format for signal in model.signals}
    for signal in model.signals:
        if signal.spectrum is not None:
            formats[f"{signal.name}.spectrum"] = signal.spectrum
    for layer in model.layers:
        formats |= {product.name: product.output for product in layer.products}
        plain = [step for step in layer.cell.steps if model.table(step.activation) is None]
        formats |= {f"{layer.name}.{step.name}": layer.format_of[step.name] for step in plain}
    return formats
