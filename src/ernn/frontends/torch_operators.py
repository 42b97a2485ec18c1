"""torch's operations on labels: which signal comes of which, or that only the host knows."""

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ernn.errors import UserError
from ernn.frontends.functions import Functions, Two
from ernn.frontends.linear import convolution, over_axes
from ernn.frontends.recorder import OnHost, Recorder
from ernn.ir.network import Matrix

Array = np.ndarray

FACTS = {
    "size", "shape", "dim", "ndim", "device", "dtype", "is_cuda", "numel", "len", "get_device",
    "is_floating_point", "zeros_like", "ones_like", "new_zeros", "new_ones", "new_full",
    "new_empty", "new_tensor", "requires_grad", "format", "repr", "is_contiguous", "stride",
    "layout", "is_sparse",
    "is_complex", "element_size", "nelement", "is_mkldnn", "is_quantized", "names", "sym_size",
    "empty_like", "full_like", "is_nested", "data_ptr", "type", "is_inference", "is_meta", "is_mps",
}  # fmt: skip
"""Operations whose result tells of a tensor's shape and kind, never of its values."""
VIEWS = {
    "view", "reshape", "transpose", "permute", "swapaxes", "swapdims", "movedim", "moveaxis",
    "squeeze", "unsqueeze", "flatten", "unflatten", "expand", "expand_as", "chunk", "split",
    "tensor_split", "narrow", "select", "getitem", "index_select", "cat", "concat", "concatenate",
    "stack", "hstack", "vstack", "dstack", "flip", "roll", "t", "T", "mT", "H", "unfold", "repeat",
    "tile", "unbind", "view_as", "reshape_as", "slice", "split_with_sizes", "_unsafe_view", "ravel",
    "adjoint", "take", "atleast_2d", "atleast_3d", "constant_pad_nd", "pad", "iter",
    "repeat_interleave", "pixel_shuffle", "broadcast_to", "diagonal",
}  # fmt: skip
"""Operations that only move elements: done on labels as they are on numbers."""
COPIES = {
    "contiguous", "clone", "detach", "alias", "to", "float", "double", "cpu", "type_as", "identity",
    "requires_grad", "_to_copy", "data", "positive", "cuda", "lift_fresh", "native",
}  # fmt: skip
"""Operations that change no value, where the result has real numbers as before."""
TAKES_OUT = {"numpy", "item", "tolist", "bool", "int", "float_", "array", "index", "is_nonzero"}
"""Operations that make numbers of Python or NumPy."""
_DROPOUTS = {"dropout", "dropout1d", "alpha_dropout", "feature_dropout", "feature_alpha_dropout"}
_TWO: Mapping[str, Two] = {
    "add": "add", "sub": "sub", "subtract": "sub", "mul": "mul", "multiply": "mul", "div": "div",
    "divide": "div", "true_divide": "div", "maximum": "max", "minimum": "min", "rsub": "sub",
}  # fmt: skip


class Operators:
    """One operation at a time.

    labels: of a tensor, None where it does not come from the frames.  by_tap: a convolution's
    kernels as a matrix, where that has a structure.
    """

    def __init__(
        self,
        recorder: Recorder,
        labels: Callable[[Tensor], Array | None],
        by_tap: Callable[[Tensor, int], Matrix | None],
    ) -> None:
        self.recorder = recorder
        self.functions = Functions(recorder)
        self.labels = labels
        self.by_tap = by_tap

    def of(self, item: Any) -> Array | None:
        """Labels, where it is a tensor that has some."""
        return self.labels(item) if isinstance(item, Tensor) else None

    def constant(self, item: Any) -> Array | None:
        """A number or a tensor that does not come from the frames."""
        if isinstance(item, int | float):
            return np.asarray(float(item))
        if not isinstance(item, Tensor) or self.labels(item) is not None:
            return None
        if item.dtype in (torch.bool, torch.float16, torch.bfloat16) or item.is_quantized:
            raise OnHost(f"has numbers in {item.dtype}")
        return item.detach().cpu().double().numpy()

    def copies(self, name: str, func: Any, args: Any, kwargs: Any, result: Any) -> bool:
        """Whether the result has the first argument's values."""
        if name in _DROPOUTS:
            if _training(func, args, kwargs):
                raise UserError(
                    f"{self.recorder.where} is done with training=True: its output would be "
                    "random; pass training=self.training"
                )
            return True
        alike = isinstance(result, Tensor) and result.dtype.is_floating_point
        return name in COPIES and (alike or result.dtype == args[0].dtype)

    def view(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        """The labels of a view's result, as tensors."""
        if name in ("pad", "constant_pad_nd"):
            return self._padded(func, args, kwargs)
        return func(*self._moved(args), **{key: self._moved(one) for key, one in kwargs.items()})

    def _moved(self, item: Any) -> Any:
        """Arguments, with labels in the place of tensors."""
        if isinstance(item, tuple | list):
            parts = [self._moved(one) for one in item]
            return tuple(parts) if isinstance(item, tuple) else parts
        labels = self.of(item)
        if labels is not None:
            return torch.from_numpy(np.ascontiguousarray(labels))
        if isinstance(item, Tensor) and item.dtype.is_floating_point:
            if item.any():
                raise OnHost("joins numbers that are not zero to a signal")
            return torch.full(item.shape, -1)
        return item

    def _padded(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Zeros are labels of -1, as pads are after they are moved by one."""
        given = dict(zip(("input", "pad", "mode", "value"), args, strict=False)) | kwargs
        mode, value = given.get("mode", "constant"), given.get("value")
        if name_has_mode(func) and mode != "constant":
            moved = torch.from_numpy(
                self._need(given["input"]) + 0.0
            )  # other modes take reals only
            return functional.pad(moved, given["pad"], mode).round().long()
        if not name_has_mode(func):
            value = args[2] if len(args) > 2 else kwargs.get("value")
        if value:
            raise OnHost("pads with a number that is not zero")
        moved = torch.from_numpy(self._need(given["input"]) + 1)
        return functional.pad(moved, list(given["pad"])) - 1

    def _need(self, item: Any) -> Array:
        labels = self.of(item)
        if labels is None:
            raise OnHost("is steered by what is computed")
        return labels

    def computed(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Array | None:
        """The labels of one result; None where the operation is not known, or has no such form."""

        def get(place: int, key: str, default: Any = None) -> Any:
            return args[place] if len(args) > place else kwargs.get(key, default)

        f = self.functions
        x = self.of(get(0, "input", kwargs.get("self")))
        match name:
            case "relu":
                return f.apply(x, "relu")
            case "sigmoid":
                return f.apply(x, "sigmoid")
            case "tanh":
                return f.apply(x, "tanh")
            case "silu" | "swish":
                return f.apply(x, "silu")
            case "gelu" if get(1, "approximate", "none") == "none":
                return f.apply(x, "gelu")
            case "softplus" if get(1, "beta", 1) == 1:
                return f.apply(x, "softplus")
            case "glu":
                return self._gated(x, get(1, "dim", -1))
            case "mish":
                return f.times(x, f.apply(f.apply(x, "softplus"), "tanh"))
            case "hardtanh":
                return f.clip(x, get(1, "min_val", -1.0), get(2, "max_val", 1.0))
            case "relu6":
                return f.clip(x, 0.0, 6.0)
            case "hardsigmoid":
                return f.apply(x, "hard_sigmoid")
            case "hardswish":
                return f.times(x, f.apply(x, "hard_sigmoid"))
            case "leaky_relu":
                return f.leaky(x, get(1, "negative_slope", 0.01))
            case "prelu" | "_prelu_kernel":
                slope = self.constant(get(1, "weight"))
                return None if slope is None else f.leaky(x, _along(slope, 1, x))
            case "clamp" | "clip":
                return self._clamp(x, get(1, "min"), get(2, "max"))
            case "clamp_min":
                return self._clamp(x, get(1, "min"), None)
            case "clamp_max":
                return self._clamp(x, None, get(1, "max"))
            case "neg" | "negative":
                return f.affine(x, -1, 0)
            case "abs" | "absolute":
                return f.sum(f.apply(x, "relu"), f.apply(f.affine(x, -1, 0), "relu"))
            case "square":
                return f.times(x, x)
            case "pow" if get(1, "exponent") in (1, 2):
                return f.times(x, x) if get(1, "exponent") == 2 else x
            case "linear":
                return self._linear(x, get(1, "weight"), get(2, "bias"))
            case "matmul" | "mm" | "rmatmul" | "bmm":
                first, second = get(0, "input"), get(1, "other", kwargs.get("mat2"))
                return self._matmul(*((second, first) if name == "rmatmul" else (first, second)))
            case "addmm":
                made = self._matmul(get(1, "mat1"), get(2, "mat2"))
                return self._sum(made, get(0, "input"), kwargs.get("beta", 1))
            case "batch_norm":
                return self._batch_norm(x, args, kwargs)
            case "conv1d" | "conv2d":
                return self._convolution(x, get)
            case "mean" | "sum" if kwargs.get("dtype") is None:
                return self._reduced(x, name == "mean", get(1, "dim"), get(2, "keepdim", False))
        if name in _TWO and len(args) + len(kwargs) > 1:
            return self._two(name, get(0, "input"), get(1, "other"), kwargs.get("alpha", 1), kwargs)
        return None

    def _gated(self, x: Array | None, axis: int) -> Array | None:
        if x is None:
            return None
        signal, gate = np.split(x, 2, axis)
        return self.functions.times(signal, self.functions.apply(gate, "sigmoid"))

    def _two(
        self, name: str, a: Any, b: Any, alpha: Any, kwargs: Mapping[str, Any]
    ) -> Array | None:
        if kwargs.get("rounding_mode"):
            return None
        first, second = (b, a) if name == "rsub" else (a, b)
        x, y, d = self.of(first), self.of(second), self.constant(second)
        if alpha != 1:
            y = self.functions.affine(y, alpha, 0)
            d = None if d is None else alpha * d
        return self.functions.two(_TWO[name], x, self.constant(first), y, d)

    def _sum(self, made: Array | None, other: Any, scale: float) -> Array | None:
        d = self.constant(other)
        y = self.functions.affine(self.of(other), scale, 0)
        return self.functions.two("add", made, None, y, None if d is None else scale * d)

    def _clamp(self, x: Array | None, low: Any, high: Any) -> Array | None:
        ends = [self.constant(one) for one in (low, high)]
        if any(one is not None and one.size != 1 for one in ends):
            return None
        if any(self.of(one) is not None for one in (low, high)):
            return None
        first, last = (None if one is None else float(one.ravel()[0]) for one in ends)
        return self.functions.clip(
            x, -np.inf if first is None else first, np.inf if last is None else last
        )

    def _linear(self, x: Array | None, weight: Any, bias: Any) -> Array | None:
        matrix, shift = self.constant(weight), self.constant(bias)
        if x is None or matrix is None or (bias is not None and shift is None):
            return None
        return self.recorder.product(x, matrix, shift)

    def _matmul(self, a: Any, b: Any) -> Array | None:
        x, y = self.of(a), self.of(b)
        if x is not None and y is None:
            weight = self.constant(b)
            if weight is None or weight.ndim > 2:
                return None
            made = self.recorder.product(x, weight.T if weight.ndim == 2 else weight[None], None)
            return made if made is None or weight.ndim == 2 else made[..., 0]
        weight = self.constant(a)
        if y is None or x is not None or weight is None or weight.ndim != 2 or y.ndim < 2:
            return None
        made = self.recorder.product(np.swapaxes(y, -1, -2), weight, None)
        return None if made is None else np.swapaxes(made, -1, -2)

    def _batch_norm(
        self, x: Array | None, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Array | None:
        atens = len(args) > 5 and isinstance(args[5], bool) and not isinstance(args[3], bool)
        names = (
            "x",
            "weight",
            "bias",
            "running_mean",
            "running_var",
            "training",
            "momentum",
            "eps",
        )
        if not atens:
            names = (
                "x",
                "running_mean",
                "running_var",
                "weight",
                "bias",
                "training",
                "momentum",
                "eps",
            )
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        if given.get("training") or given.get("running_mean") is None:
            return None
        scale, shift, mean, variance = (
            self.constant(given.get(name))
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        return self.functions.batch_norm(x, scale, shift, mean, variance, given.get("eps", 1e-5))

    def _convolution(self, x: Array | None, get: Callable[..., Any]) -> Array | None:
        weight, bias = self.constant(get(1, "weight")), self.constant(get(2, "bias"))
        if x is None or weight is None:
            return None
        space = weight.ndim - 2
        strides, dilations = (
            _each(get(*one, 1), space) for one in ((3, "stride"), (5, "dilation"))
        )
        sizes = [d * (k - 1) for d, k in zip(dilations, weight.shape[2:], strict=True)]
        padding = get(4, "padding", 0)
        if padding == "same":
            pads = [(size // 2, size - size // 2) for size in sizes]
        else:
            pads = [(one, one) for one in _each(0 if padding == "valid" else padding, space)]
        batched = x if x.ndim == space + 2 else x[None]
        groups = get(6, "groups", 1)
        matrix = self.by_tap(get(1, "weight"), groups)
        found = convolution(
            self.recorder, batched, weight, bias, pads, strides, dilations, groups, matrix
        )
        return found if found is None or x.ndim == space + 2 else found[0]

    def _reduced(self, x: Array | None, mean: bool, dims: Any, keep: bool) -> Array | None:
        if x is None:
            return None
        axes = range(x.ndim) if dims is None else dims if isinstance(dims, tuple | list) else [dims]
        return over_axes(self.recorder, x, list(axes), mean, keep)


def name_has_mode(func: Any) -> bool:
    """Whether it is `torch.nn.functional.pad`, not the operation of zeros only."""
    return "constant_pad_nd" not in getattr(func, "__name__", "")


def _training(func: Any, args: Any, kwargs: Any) -> bool:
    if "train" in kwargs or "training" in kwargs:
        return bool(kwargs.get("train", kwargs.get("training")))
    flags = [one for one in args[1:] if isinstance(one, bool)]
    if flags:
        return flags[0]
    try:
        return bool(signature(func).parameters["training"].default)
    except (ValueError, KeyError):
        return True


def _along(values: Array, axis: int, x: Array | None) -> Array:
    """A value a channel, or one for all, shaped to meet a tensor's."""
    if values.size == 1 or x is None or x.ndim < 2:
        return values.ravel()
    return values.reshape(-1, *[1] * (x.ndim - axis - 1))


def _each(value: Any, count: int) -> list[int]:
    """One number for each axis of space."""
    return [value] * count if isinstance(value, int) else list(value) * (count // len(value))
