"""Mean and variance normalisation by fixed statistics: a stream gives the same as a batch."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ernn.data.corpus import FloatArray
from ernn.errors import UserError
from ernn.files import write_atomic
from ernn.ground.reading import read_arrays

SMALLEST_DEVIATION = 1e-5


@dataclass(frozen=True, eq=False)
class Normalizer:
    """(x - mean) / deviation per dimension; both float32 [dim]. Fit on the training split only."""

    mean: FloatArray
    deviation: FloatArray

    def __post_init__(self) -> None:
        if self.mean.ndim != 1 or self.mean.shape != self.deviation.shape:
            raise UserError(
                f"mean and deviation must be [dim], got {self.mean.shape} and "
                f"{self.deviation.shape}"
            )
        if not (
            np.isfinite(self.mean).all()
            and np.isfinite(self.deviation).all()
            and (self.deviation > 0).all()
        ):
            raise UserError("mean and deviation must be finite, and every deviation above zero")

    @classmethod
    def fit(cls, features: Iterable[FloatArray]) -> "Normalizer":
        """Statistics over all frames of [frames, dim] arrays, in float64 and two passes.

        A dimension that never changes keeps deviation 1. UserError: no frame, or dims differ.
        """
        arrays = [a for a in features if len(a)]
        if not arrays or len({a.shape[1:] for a in arrays}) != 1:
            raise UserError(
                "normalisation needs frames of one dimension, got "
                f"{sorted({a.shape[1:] for a in arrays})}"
            )
        count = sum(len(a) for a in arrays)
        mean = np.sum([a.sum(0, dtype=np.float64) for a in arrays], axis=0) / count
        squares = np.sum([np.square(a - mean).sum(0) for a in arrays], axis=0) / count
        deviation = np.sqrt(squares)
        deviation[deviation < SMALLEST_DEVIATION] = 1.0
        return cls(mean.astype(np.float32), deviation.astype(np.float32))

    def __call__(self, features: FloatArray) -> FloatArray:
        """float32 [..., dim] -> the same shape."""
        features = np.asarray(features)
        if features.shape[-1:] != self.mean.shape or features.dtype.kind not in "fiu":
            raise UserError(
                f"this normalisation was fit for {len(self.mean)} dimensions, not for "
                f"{features.shape} of {features.dtype}"
            )
        return ((features - self.mean) / self.deviation).astype(np.float32, copy=False)

    def save(self, path: Path | str) -> Path:
        """As npz with mean and deviation, atomically."""
        buffer = io.BytesIO()
        np.savez(buffer, mean=self.mean, deviation=self.deviation)
        return write_atomic(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path | str) -> "Normalizer":
        """UserError if the file is missing or not such an npz."""
        try:
            mean, deviation = read_arrays(path, "mean", "deviation")
            return cls(mean.astype(np.float32), deviation.astype(np.float32))
        except UserError as error:
            raise UserError(f"{path} is not a saved normalisation: {error}") from error
