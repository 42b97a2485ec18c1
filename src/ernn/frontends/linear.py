"""Operations that are a product after a view: convolutions and sums over axes, on labels."""

from collections.abc import Sequence

import numpy as np

from ernn.frontends.recorder import Recorder
from ernn.ir.network import Matrix

Array = np.ndarray


def convolution(
    recorder: Recorder,
    labels: Array,
    weight: Array,
    bias: Array | None,
    pads: Sequence[tuple[int, int]],
    strides: Sequence[int],
    dilations: Sequence[int],
    groups: int,
    by_tap: Matrix | None = None,
) -> Array | None:
    """(batch, channels, *space) by kernels (out, channels / groups, *kernel).

    pads: zeros before and after, strides, dilations: of each axis of space.  by_tap: the kernels as
    a matrix (out, taps times channels), where that has a structure, zeros beside the channels.
    """
    axes = range(2, labels.ndim)
    taken = np.pad(labels, [(0, 0), (0, 0), *pads], constant_values=-1)
    for axis, stride, dilation in reversed(list(zip(axes, strides, dilations, strict=True))):
        size = weight.shape[axis]
        count = (taken.shape[axis] - dilation * (size - 1) - 1) // stride + 1
        if count < 1:
            return None
        at = np.arange(count)[:, None] * stride + np.arange(size) * dilation
        taken = np.moveaxis(np.take(taken, at, axis), axis + 1, -1)
    space = labels.ndim - 2  # kernels' axes stand last, the last axis's first
    kernel = list(range(taken.ndim - 1, taken.ndim - 1 - space, -1))
    taken = taken.transpose([0, *axes, *([1, *kernel] if by_tap is None else [*kernel, 1])])
    if by_tap is not None:
        beside = by_tap.columns // int(np.prod(weight.shape[2:])) - taken.shape[-1]
        taken = np.pad(taken, [(0, 0)] * (taken.ndim - 1) + [(0, beside)], constant_values=-1)
    flat = taken.reshape(*taken.shape[: space + 1], -1)
    found = recorder.product(flat, by_tap or _ungrouped(weight, groups), bias)
    return None if found is None else np.moveaxis(found, -1, 1)


def _ungrouped(weight: Array, groups: int) -> Array:
    """Kernels (out, everything) over all channels, zeros where a group does not look."""
    out, width = len(weight) // groups, int(np.prod(weight.shape[1:]))
    whole = np.zeros((len(weight), groups * width))
    for group in range(groups):
        rows = slice(group * out, (group + 1) * out)
        whole[rows, group * width : (group + 1) * width] = weight[rows].reshape(out, width)
    return whole


def over_axes(
    recorder: Recorder, labels: Array, axes: Sequence[int], mean: bool, keep: bool
) -> Array | None:
    """The sum over some axes, or the mean."""
    axes = sorted(axis % labels.ndim for axis in axes)
    rest = [axis for axis in range(labels.ndim) if axis not in axes]
    flat = labels.transpose([*rest, *axes]).reshape(*(labels.shape[a] for a in rest), -1)
    count = flat.shape[-1]
    found = recorder.product(flat, np.full((1, count), 1 / count if mean else 1.0), None)
    if found is None:
        return None
    return np.expand_dims(found[..., 0], axes) if keep else found[..., 0]
