"""Element-wise functions by those that a layer has, on labels."""

from typing import Literal

import numpy as np

from ernn.frontends.recorder import Recorder
from ernn.ir.activations import Function

Array = np.ndarray
Two = Literal["add", "sub", "mul", "div", "max", "min"]


class Functions:
    """On labels; each gives None where it is the host's."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def apply(self, x: Array | None, function: Function) -> Array | None:
        return None if x is None else self._recorder.apply(x, function)

    def affine(self, x: Array | None, scale: Array | float, shift: Array | float) -> Array | None:
        """scale * x + shift."""
        if x is None:
            return None
        if not np.any(np.asarray(scale) != 1) and not np.any(shift):
            return x if np.broadcast_shapes(x.shape, np.shape(shift)) == x.shape else None
        shape = np.broadcast_shapes(x.shape, np.shape(scale), np.shape(shift))
        whole = np.broadcast_to(x, shape)
        return self._recorder.affine(whole, np.asarray(scale, float), np.asarray(shift, float))

    def sum(self, a: Array | None, b: Array | None, negative: bool = False) -> Array | None:
        return None if a is None or b is None else self._recorder.sum(a, b, negative)

    def times(self, a: Array | None, b: Array | None) -> Array | None:
        return None if a is None or b is None else self._recorder.times(a, b)

    def clip(self, x: Array | None, low: float, high: float) -> Array | None:
        """By a hard tanh, which is from -1 to 1, or by a ReLU where it has one end."""
        if low >= high:
            return None
        if np.isinf(low) and np.isinf(high):
            return x
        if np.isinf(high):
            return self.affine(self.apply(self.affine(x, 1, -low), "relu"), 1, low)
        if np.isinf(low):
            return self.affine(self.apply(self.affine(x, -1, high), "relu"), -1, high)
        half, middle = (high - low) / 2, (high + low) / 2
        inner = self.apply(self.affine(x, 1 / half, -middle / half), "hard_tanh")
        return self.affine(inner, half, middle)

    def hard_sigmoid(self, x: Array | None, alpha: float, beta: float) -> Array | None:
        """alpha * x + beta from 0 to 1; a layer's has 1/6 and 1/2."""
        inner = x if (alpha, beta) == (1 / 6, 0.5) else self.affine(x, 6 * alpha, 6 * beta - 3)
        return self.apply(inner, "hard_sigmoid")

    def leaky(self, x: Array | None, slope: Array | float) -> Array | None:
        """x above zero, slope * x below."""
        return self.sum(
            self.affine(x, slope, 0), self.affine(self.apply(x, "relu"), 1 - np.asarray(slope), 0)
        )

    def two(
        self, kind: Two, x: Array | None, c: Array | None, y: Array | None, d: Array | None
    ) -> Array | None:
        """Of two signals x and y, or of one and a constant: c for the first, d for the second."""
        if x is not None and y is not None:
            return self._of_signals(kind, x, y)
        if x is None and y is None:
            return None
        signal, constant = (y, c) if x is None else (x, d)
        if constant is None:
            return None
        value = np.asarray(constant, float)
        match kind, x is None:
            case "add", _:
                return self.affine(signal, 1, value)
            case "mul", _:
                return self.affine(signal, value, 0)
            case "sub", first:
                return self.affine(signal, -1, value) if first else self.affine(signal, 1, -value)
            case "div", False if value.all():
                return self.affine(signal, 1 / value, 0)
            case (("max" | "min"), _) if value.size == 1:
                limit = float(value.ravel()[0])
                ends = (limit, np.inf) if kind == "max" else (-np.inf, limit)
                return self.clip(signal, *ends)
        return None

    def _of_signals(self, kind: Two, x: Array, y: Array) -> Array | None:
        match kind:
            case "add" | "sub":
                return self.sum(x, y, kind == "sub")
            case "mul":
                return self.times(x, y)
            case "max":
                return self.sum(x, self.apply(self.sum(y, x, True), "relu"))
            case "min":
                return self.sum(x, self.apply(self.sum(x, y, True), "relu"), True)
        return None

    def batch_norm(
        self,
        x: Array | None,
        scale: Array | None,
        shift: Array | None,
        mean: Array | None,
        variance: Array | None,
        epsilon: float,
    ) -> Array | None:
        """As in evaluation, over axis 1."""
        if x is None or mean is None or variance is None:
            return None
        factor = 1 / np.sqrt(variance.astype(float) + epsilon)
        factor = factor if scale is None else scale * factor
        offset = -mean * factor if shift is None else shift - mean * factor
        shape = [-1, *[1] * (x.ndim - 2)] if x.ndim > 1 else [-1]
        return self.affine(x, factor.reshape(shape), offset.reshape(shape))
