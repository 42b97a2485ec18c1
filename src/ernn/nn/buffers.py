"""One tensor per time step, and the same memory as arrays for the compiled loops."""

from collections.abc import Sequence

from torch import Tensor

from ernn.ir.network import Array


def slots(like: Tensor, steps: int, kept: int, *shape: int) -> list[Tensor]:
    """`steps` tensors of `shape`, of which `kept` are apart in memory: step t shares that of step t
    + kept.
    """
    apart = like.new_empty(kept, *shape).unbind(0)
    return [apart[t % kept] for t in range(steps)]


def array(tensor: Tensor) -> Array:
    """The same memory."""
    return tensor.detach().numpy()


def arrays(tensors: Sequence[Tensor]) -> list[Array]:
    return [tensor.numpy() for tensor in tensors]
