"""What a model takes and gives: frames as integers, and which of the outputs are wanted."""

import numpy as np

from ernn.errors import UserError
from ernn.ir.integer_model import IntegerModel

Array = np.ndarray


def check_frames(model: IntegerModel, frames: Array) -> None:
    """Raises UserError unless frames are (time, inputs), int64 and in the input's range."""
    check_shape(model, frames)
    check_range(model, frames)


def check_shape(model: IntegerModel, frames: Array, streams: int | None = None) -> None:
    """Raises UserError unless frames are (time, inputs), or (time, streams, inputs), and int64."""
    if not isinstance(frames, np.ndarray):
        raise UserError(f"frames must be an int64 array, not a {type(frames).__name__}")
    wanted = (model.input.length,) if streams is None else (streams, model.input.length)
    if frames.shape[1:] != wanted or frames.ndim != 1 + len(wanted):
        raise UserError(f"frames must be (time, {', '.join(map(str, wanted))}), not {frames.shape}")
    if frames.dtype != np.int64:
        raise UserError(
            f"frames must be int64, not {frames.dtype}: quantize_input makes them from real "
            "features"
        )


def check_range(model: IntegerModel, frames: Array) -> None:
    low, high = model.input.format.low, model.input.format.high
    if frames.size and not (low <= frames.min() and frames.max() <= high):
        raise UserError(
            f"a frame holds {frames.min()}..{frames.max()}, outside the input's range {low}..{high}"
        )


def last_step(model: IntegerModel, outputs: Array) -> Array:
    """All outputs (time, ...), or the last one where the model gives no other."""
    if not model.last_step:
        return outputs
    if len(outputs) == 0:
        raise UserError("a network that gives its last step's output needs at least one frame")
    return outputs[-1:]
