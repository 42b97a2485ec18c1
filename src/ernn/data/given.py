"""Frames that a user gave, arrays or tensors, as float64; one clear line where they are none."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ernn.errors import UserError

Array = np.ndarray


def recordings(utterances: Any, inputs: int | None = None) -> list[Array]:
    """Each as float64 (time, inputs); UserError where there is no frame."""
    found = [
        real(frames, f"utterance {number}", inputs)
        for number, frames in enumerate(_several(utterances))
    ]
    return _some(found)


def sequences(utterances: Any) -> list[tuple[Array, dict[str, Array]]]:
    """Each as `sequence` gives it; UserError where there is no frame."""
    found = [sequence(given, f"utterance {n}") for n, given in enumerate(_several(utterances))]
    _some([frames for frames, _ in found])
    return found


def sequence(given: Any, what: str = "an utterance") -> tuple[Array, dict[str, Array]]:
    """Frames (time, ...) and other inputs by name, of a mapping that has the frames first, or of
    the frames alone."""
    if not isinstance(given, Mapping):
        return one(given, what), {}
    if not given:
        raise UserError(f"{what} names its frames first, then other inputs: it is empty")
    (_, frames), *others = given.items()
    return one(frames, what), {name: one(values, f"{what}, {name},") for name, values in others}


def held_back(utterances: list[Array]) -> tuple[list[Array], list[Array]]:
    """Those that choose formats, and every fifth, or the last part of a single one."""
    if len(utterances) == 1:
        cut = len(utterances[0]) - len(utterances[0]) // 5
        utterances = [utterances[0][:cut], utterances[0][cut:]]
    numbered = list(enumerate(utterances))
    last = len(utterances) - 1
    unseen = [one for number, one in numbered if (last - number) % 5 == 0]
    seen = [one for number, one in numbered if (last - number) % 5]
    seen, unseen = ([frames for frames in some if len(frames)] for some in (seen, unseen))
    some = [frames for frames in utterances if len(frames)]
    return (seen, unseen) if seen and unseen else (some, some)


def _several(utterances: Any) -> Iterable[Any]:
    if isinstance(utterances, str | Mapping) or not isinstance(utterances, Iterable):
        raise UserError(f"utterances are a list of arrays (time, inputs), not {utterances!r:.80}")
    if getattr(utterances, "ndim", 3) == 2:
        raise UserError(
            "utterances are a list of arrays (time, inputs): give one alone as [frames]"
        )
    return utterances


def _some(found: list[Array]) -> list[Array]:
    if not any(map(len, found)):
        raise UserError("give at least one utterance (time, inputs) with a frame, e.g. [frames]")
    return found


def one(frames: Any, what: str = "an utterance") -> Array:
    """One sequence (time, ...), an array or a tensor, of numbers of any kind."""
    if hasattr(frames, "detach"):
        frames = frames.detach().cpu()
    try:
        values = np.asarray(frames)
    except ValueError as error:
        raise UserError(f"{what} must be an array of real numbers: {error}") from error
    if values.dtype.kind not in "biuf" or values.ndim == 0:
        raise UserError(
            f"{what} must be an array of real numbers (time, inputs), not {frames!r:.60}"
        )
    if not np.isfinite(values).all():
        raise UserError(f"{what} is not finite: check the recording and its normalisation")
    return values


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
