"""Frames that a user gave, arrays or tensors, as float64; one clear line where they are none."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ernn.errors import UserError

Array = np.ndarray


def recordings(utterances: Any, inputs: int | None = None) -> list[Array]:
    """Each as float64 (time, inputs); UserError where there is no frame."""
    if isinstance(utterances, str) or not isinstance(utterances, Iterable):
        raise UserError(f"utterances are a list of arrays (time, inputs), not {utterances!r}")
    if getattr(utterances, "ndim", 3) == 2:
        raise UserError(
            "utterances are a list of arrays (time, inputs): give one alone as [frames]"
        )
    pairs = enumerate(utterances)
    found = [real(frames, f"utterance {number}", inputs) for number, frames in pairs]
    if not any(map(len, found)):
        raise UserError("give at least one utterance (time, inputs) with a frame, e.g. [frames]")
    return found


def real(frames: Any, what: str, inputs: int | None) -> Array:
    """Frames, an array or a tensor, as float64 (time, inputs)."""
    if hasattr(frames, "detach"):
        frames = frames.detach().cpu()
    try:
        values = np.asarray(frames, np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{what} must be an array of real numbers: {error}") from error
    if values.ndim != 2 or inputs not in (None, values.shape[1]):
        wanted = "inputs" if inputs is None else inputs
        raise UserError(f"{what} must be (time, {wanted}), not {values.shape}")
    if not np.isfinite(values).all():
        raise UserError(f"{what} is not finite: check the recording and its normalisation")
    return values
