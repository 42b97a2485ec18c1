"""Transforms of words, stage by stage, in integers. Arrays are int64 with any leading axes."""

import numpy as np

from ernn.ir.fixed_point import requantize
from ernn.ir.integer_parts import Signal, Transform

Array = np.ndarray


def words_of(values: Array, k: int) -> Array:
    """Vectors (..., n) cut into words (..., ceil(n / k), k), the last one filled with zeros."""
    missing = -values.shape[-1] % k
    filled = np.concatenate([values, np.zeros((*values.shape[:-1], missing), np.int64)], axis=-1)
    return filled.reshape(*values.shape[:-1], filled.shape[-1] // k, k)


def apply_stages(transform: Transform, v: Array) -> Array:
    """Words (..., k) through the stages: (matrix @ v + half) >> shift, row by row."""
    for stage in transform.stages:
        half = (np.int64(1) << stage.shift) >> 1
        v = (v @ stage.matrix.T + half) >> stage.shift
    return v


def by_turns(words: Array, parts: int) -> Array:
    """The numbers of words (..., k) that consist of so many blocks: the first of each, then the
    second.
    """
    blocks = words.reshape(*words.shape[:-1], parts, words.shape[-1] // parts)
    return blocks.swapaxes(-1, -2).reshape(words.shape)


def spectrum(transform: Transform, signal: Signal, values: Array, parts: int = 1) -> Array:
    """Spectra (..., words, k), in `signal.spectrum`, of vectors (..., length) in
    `signal.format`, whose words are of so many blocks.
    """
    assert signal.spectrum is not None, f"no product reads {signal.name}"
    k = len(transform.stages[0].shift) if transform.stages else 1
    v = apply_stages(transform, by_turns(words_of(values, k), parts) << transform.guard)
    return requantize(v, signal.format.frac + transform.guard, signal.spectrum)
