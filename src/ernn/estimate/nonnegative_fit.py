"""Least squares with coefficients that are not negative."""

import numpy as np

Array = np.ndarray

TOLERANCE = 1e-10
"""A gradient below it counts as none."""


def nonnegative(rows: Array, wanted: Array) -> Array:
    """x >= 0 with the least |rows @ x - wanted|: Lawson and Hanson (1974), chapter 23."""
    columns = rows.shape[1]
    x, free = np.zeros(columns), np.zeros(columns, bool)
    for _ in range(30 * columns):
        gradient = rows.T @ (wanted - rows @ x)
        if free.all() or gradient[~free].max() <= TOLERANCE:
            break
        free[np.argmax(np.where(free, -np.inf, gradient))] = True
        x, free = _feasible(rows, wanted, x, free)
    return x


def _feasible(rows: Array, wanted: Array, x: Array, free: Array) -> tuple[Array, Array]:
    """The least squares over the free columns; those that would turn
    negative on the way are fixed at zero.
    """
    while True:
        aim = np.zeros_like(x)
        aim[free] = np.linalg.lstsq(rows[:, free], wanted, rcond=None)[0]
        negative = free & (aim <= 0)
        if not negative.any():
            return aim, free
        step = (x[negative] / (x[negative] - aim[negative])).min()
        x = x + step * (aim - x)
        free = free & (x > 1e-14)
        x = np.where(free, x, 0.0)
