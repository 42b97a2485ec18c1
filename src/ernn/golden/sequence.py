"""One sequence of real frames through the integers, from states that are given."""

from collections.abc import Mapping

import numpy as np

from ernn.errors import UserError
from ernn.golden.boundary import dequantize_output, quantize_input
from ernn.golden.compiled import Compiled
from ernn.golden.run import run
from ernn.golden.streaming import Stream
from ernn.ir.edges import edge_formats, edge_name
from ernn.ir.fixed_point import dequantize, quantize
from ernn.ir.integer_model import IntegerModel
from ernn.ir.network import Source

Array = np.ndarray


def executed(
    model: IntegerModel, frames: Array, starts: Mapping[tuple[int, str], Array]
) -> tuple[Array, dict[tuple[int, str], Array]]:
    """Outputs (time, outputs) of a sequence of real frames, and its states after the last.

    starts: states to begin with, by layer and name, in the place of the model's own.
    Raises UserError where a layer runs backward and there are states.
    """
    if model.backward and not starts:
        integers = quantize_input(model, frames)
        return dequantize_output(model, run(model, integers, Compiled)), {}
    stream = Stream(model)
    begin(model, stream, {edge_name(Source(*where)): one for where, one in starts.items()})
    outputs = dequantize_output(model, stream.push(quantize_input(model, frames)))
    return outputs, states_of(model, stream)


def begin(model: IntegerModel, stream: Stream, state: Mapping[str, Array]) -> None:
    """Back to the state before the first frame, some values by edge not the model's own."""
    stream.reset()
    own, formats = stream.state, edge_formats(model)
    for name, values in state.items():
        if name not in own:
            names = ", ".join(own) or "nothing"
            raise UserError(f"the model remembers {names}, not {name}")
        if np.shape(values) != own[name][0].shape or not np.isfinite(values).all():
            raise UserError(
                f"state {name} must be {own[name].shape[1]} finite numbers, not {np.shape(values)}"
            )
        own[name] = np.concatenate([quantize(values, formats[name])[None], own[name][1:]])
    stream.reset(own)


def states_of(model: IntegerModel, stream: Stream) -> dict[tuple[int, str], Array]:
    """The states of now, as real numbers, by layer and name."""
    formats, state = edge_formats(model), stream.state
    return {
        (layer, step): dequantize(state[name][0], formats[name])
        for layer, one in enumerate(model.layers)
        for step in one.cell.remembered
        if (name := edge_name(Source(layer, step))) in state
    }
