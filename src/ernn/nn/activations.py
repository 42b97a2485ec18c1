"""tanh and the logistic function for compiled loops: single precision in vector registers, double
by the C library.
"""

from math import tanh as _tanh_double
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

# x P(x^2) / Q(x^2) with the least relative error on [-9, 9]: 2e-8 exactly, 4e-7 in single
# precision.  Fitted by Loeb's linearised least squares with Lawson's weights.  Beyond 9 tanh is 1
# in single precision.
_P0, _P1, _P2 = (
    np.float32(0.9999999794741421),
    np.float32(0.13381028370907386),
    np.float32(0.003495591297789237),
)
_P3, _P4 = np.float32(2.060913143607372e-05), np.float32(1.3354723665707233e-08)
_Q1, _Q2 = np.float32(0.4671434396833525), np.float32(0.025876994451807328)
_Q3, _Q4 = np.float32(0.0003285639872825392), np.float32(7.776584999673278e-07)
_END, _HALF = np.float32(9), np.float32(0.5)
ONE = np.float32(1)  # an integer 1 would make double precision of single


def tanh(x: Any) -> Any:
    """tanh(x) inside a compiled loop; a NaN stays one."""
    raise NotImplementedError


def logistic(x: Any) -> Any:
    """1 / (1 + exp(-x)) inside a compiled loop; a NaN stays one."""
    raise NotImplementedError


@overload(tanh, inline="always")
def _tanh(x):  # typed by numba
    if x != types.float32:
        return lambda x: _tanh_double(x)

    def single(x):
        x = _END if x > _END else x
        x = -_END if x < -_END else x
        s = x * x
        return (
            x
            * (_P0 + s * (_P1 + s * (_P2 + s * (_P3 + s * _P4))))
            / (ONE + s * (_Q1 + s * (_Q2 + s * (_Q3 + s * _Q4))))
        )

    return single


@overload(logistic, inline="always")
def _logistic(x):
    return lambda x: _HALF + _HALF * tanh(_HALF * x)
