"""Where real numbers meet the integers: the only file here that knows floating point."""

import warnings
from collections.abc import Sequence

import numpy as np

from ernn.errors import PrecisionWarning, UserError
from ernn.ir.fixed_point import dequantize, quantize
from ernn.ir.integer_model import IntegerModel

Array = np.ndarray


def quantize_input(model: IntegerModel, frames: Array) -> Array:
    """Real features (time, features) to int64 (time, inputs) in the input's format: nearest,
    saturating, which a `PrecisionWarning` says. Raises UserError for NaN.

    `frames`: (..., features), so one frame or many.
    """
    return quantize_inputs(model, [frames])[0]


def quantize_inputs(model: IntegerModel, utterances: Sequence[Array]) -> list[Array]:
    """As `quantize_input`, of many utterances, with one warning for all."""
    found = [_quantized(model, frames) for frames in utterances]
    if said := clipped(model, utterances):
        warnings.warn(said, PrecisionWarning, stacklevel=3)
    return found


def clipped(model: IntegerModel, utterances: Sequence[Array]) -> str:
    """How many values lie beyond the input's format, and how far; empty where none does."""
    format = model.input.format
    low, high = (end * format.step for end in (format.low - 1, format.high + 1))
    scaled = [_scaled(model, frames) for frames in utterances]
    beyond = [frames[(frames < low) | (frames > high)] for frames in scaled]
    count, total = sum(map(len, beyond)), sum(frames.size for frames in scaled)
    if not count:
        return ""
    furthest = max(float(np.abs(values).max(initial=0)) for values in beyond) / high
    return (
        f"{count:,} of {total:,} input values lie beyond their format, as far as {furthest:.3g} "
        "times its end, and were clipped: normalise them as in training, or choose formats with "
        "frames such as these"
    )


def _scaled(model: IntegerModel, frames: Array) -> Array:
    """In the units of the model's input."""
    return np.ldexp(np.asarray(frames, np.float64), model.exponents(model.input.name))


def _quantized(model: IntegerModel, frames: Array) -> Array:
    if np.ndim(frames) == 0 or np.shape(frames)[-1] != model.features:
        raise UserError(f"features must be (time, {model.features}), not {np.shape(frames)}")
    if not np.isfinite(frames).all():
        raise UserError("a feature is not finite: check the recording and its normalisation")
    scaled, format = _scaled(model, frames), model.input.format
    first = quantize(scaled, format)
    units = model.of_input
    if not units.finer:
        return first
    left = np.ldexp(scaled - dequantize(first, format), units.finer)
    third = np.ldexp(scaled, -units.coarser)
    return np.concatenate([first, *(quantize(one, format) for one in (left, third))], axis=-1)


def dequantize_input(model: IntegerModel, frames: Array) -> Array:
    """The real features (..., features) that integers stand for, exact."""
    units = model.of_input
    first, *others = np.split(dequantize(frames, model.input.format), units.integers, axis=-1)
    left = np.ldexp(others[0], -units.finer) if others else 0.0
    return np.ldexp(first + left, -units.exponents)


def dequantize_output(model: IntegerModel, outputs: Array) -> Array:
    """The model's integer outputs as real numbers, exact."""
    cuts = np.cumsum([signal.length for signal in model.results])[:-1]
    parts = zip(np.split(outputs, cuts, axis=-1), model.results, strict=True)
    return np.concatenate([dequantize(part, signal.format) for part, signal in parts], axis=-1)
