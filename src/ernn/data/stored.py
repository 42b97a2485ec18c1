"""Features of many utterances in two arrays: all frames, and how many each utterance has."""

import numpy as np

from ernn.data.corpus import FloatArray
from ernn.errors import UserError


def apart(frames: np.ndarray, lengths: np.ndarray, least: int = 0) -> list[FloatArray]:
    """float32 [length, dim] of every utterance, of frames [n, dim] and whole lengths [m].

    UserError unless the lengths, each at least `least`, add up to n.
    """
    if frames.ndim != 2 or lengths.ndim != 1 or frames.dtype.kind == "b":
        raise UserError(f"expected numbers [n, dim] and lengths [m], got {frames.shape}")
    if lengths.dtype.kind not in "iu":
        raise UserError(f"lengths must be whole numbers, not {lengths.dtype}")
    counts = [int(length) for length in lengths]  # whose sum cannot overflow
    if min(counts, default=least) < least or sum(counts) != len(frames):
        raise UserError(f"lengths must be at least {least} and sum to {len(frames)}")
    return np.split(np.ascontiguousarray(frames, np.float32), np.cumsum(counts, dtype=int)[:-1])
