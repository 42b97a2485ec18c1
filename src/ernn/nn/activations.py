"""torch's functions by the names that steps have for them (`ernn.ir.activations`)."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional

FUNCTIONS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": torch.relu,
        # torch's own has a gradient of single precision
        "hard_sigmoid": lambda x: (x / 6 + 0.5).clamp(0, 1),
        "hard_tanh": functional.hardtanh,
        "softplus": functional.softplus,
        "silu": functional.silu,
        "gelu": functional.gelu,
    }
)
