"""Where real numbers meet the integers: the only file here that knows floating point."""

import numpy as np

from ernn.errors import UserError
from ernn.ir.fixed_point import dequantize, quantize
from ernn.ir.integer_model import IntegerModel

Array = np.ndarray


def quantize_input(model: IntegerModel, frames: Array) -> Array:
    """Real features (time, inputs) to int64 in the input's format: nearest, saturating. Raises
    UserError for NaN.

    `frames`: (..., inputs), so one frame or many.
    """
    if np.ndim(frames) == 0 or np.shape(frames)[-1] != model.input.length:
        raise UserError(f"features must be (time, {model.input.length}), not {np.shape(frames)}")
    if not np.isfinite(frames).all():
        raise UserError("a feature is not finite: check the recording and its normalisation")
    return quantize(frames, model.input.format)


def dequantize_output(model: IntegerModel, outputs: Array) -> Array:
    """The model's integer outputs as real numbers, exact."""
    cuts = np.cumsum([signal.length for signal in model.results])[:-1]
    parts = zip(np.split(outputs, cuts, axis=-1), model.results, strict=True)
    return np.concatenate([dequantize(part, signal.format) for part, signal in parts], axis=-1)
