"""Delta coefficients as Kaldi computes them, and their streaming form.

First order: d[t] = sum_k k (x[t+k] - x[t-k]) / (2 sum_k k^2), k = 1..window (HTK book, eq. 5.16).
The kernel of order n is that of order n-1 convolved with the first one, applied to x itself, whose
first and last frames are repeated beyond its ends (Kaldi, `DeltaFeatures`). Order n at frame t
therefore needs frames up to t + n*window.
"""

import numpy as np

from ernn.data.corpus import FloatArray


def kernels(order: int, window: int) -> list[FloatArray]:
    """Kernel of every order 0..order, float32 [2 n window + 1]."""
    first = np.arange(-window, window + 1) / (2.0 * sum(k * k for k in range(1, window + 1)))
    found = [np.ones(1)]
    for _ in range(order):
        found.append(np.convolve(found[-1], first))
    return [k.astype(np.float32) for k in found]


def append_deltas(frames: FloatArray, order: int, window: int = 2) -> FloatArray:
    """float32 [frames, dim] -> [frames, dim * (order + 1)]: the frames, then each order."""
    if order == 0 or len(frames) == 0:
        return np.tile(frames, (1, order + 1))
    reach = order * window
    padded = np.concatenate(
        [np.repeat(frames[:1], reach, 0), frames, np.repeat(frames[-1:], reach, 0)]
    )
    return _valid(padded, order, window)


def _valid(padded: FloatArray, order: int, window: int) -> FloatArray:
    """Output for the frames that have order*window neighbours on both sides.

    Taps are added one at a time, always in the same order: a frame's value must not depend on how
    many frames are computed with it, or streaming would differ from batch in the last bit.
    """
    reach, count = order * window, len(padded) - 2 * order * window
    parts = []
    for kernel in kernels(order, window):
        start = reach - len(kernel) // 2
        total = np.zeros((count, padded.shape[1]), np.float32)
        for tap, weight in enumerate(kernel):
            total += weight * padded[start + tap : start + tap + count]
        parts.append(total)
    return np.concatenate(parts, axis=1)


class DeltaStream:
    """`append_deltas` frame by frame; the latency is order*window frames."""

    def __init__(self, order: int, window: int = 2) -> None:
        self._order, self._window = order, window
        self._held: FloatArray | None = None

    def push(self, frames: FloatArray) -> FloatArray:
        """float32 [frames, dim] -> [ready, dim * (order + 1)]."""
        if len(frames) == 0 or self._order == 0:
            return frames if self._order == 0 else self._empty(frames.shape[1])
        if self._held is None:
            self._held = np.repeat(frames[:1], self._order * self._window, 0)
        return self._advance(frames)

    def finish(self) -> FloatArray:
        """The frames that waited, the last one repeated behind them; the stream begins anew."""
        if self._held is None:
            return np.zeros((0, 0), np.float32)
        out = self._advance(np.repeat(self._held[-1:], self._order * self._window, 0))
        self._held = None
        return out

    def _advance(self, frames: FloatArray) -> FloatArray:
        assert self._held is not None
        padded = np.concatenate([self._held, frames])
        if len(padded) <= 2 * self._order * self._window:
            self._held = padded
            return self._empty(frames.shape[1])
        self._held = padded[-2 * self._order * self._window :]
        return _valid(padded, self._order, self._window)

    def _empty(self, dim: int) -> FloatArray:
        return np.zeros((0, dim * (self._order + 1)), np.float32)
