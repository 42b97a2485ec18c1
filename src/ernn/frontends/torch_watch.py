"""A user's module run while every operation and every layer in it is watched.

The module runs as it is, in Python, on frames (a `TorchFunctionMode` sees each operation, hooks see
each layer).  Unlike a symbolic trace this copes with what people write around layers: asserts and
branches on shapes, zeros made for the batch at hand, loops over time.  What it cannot see, a branch
on the length or a state kept between calls, the check on random input finds afterwards.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from inspect import signature
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ernn.nn.cells import PeepholeLSTM, ResetBeforeGRU
from ernn.nn.described import DescribedCell
from ernn.nn.recurrent import GRU, LSTM

Recurrent = nn.LSTM | nn.GRU | PeepholeLSTM | ResetBeforeGRU | DescribedCell
_LEAVES = (nn.LSTM, nn.GRU, LSTM, GRU, PeepholeLSTM, ResetBeforeGRU, DescribedCell, nn.Linear)


class Watcher(TorchFunctionMode):
    """Sees every operation and layer in the order in which they run; each has a key that is the
    same in every run.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.stack: list[str] = []
        self._in_leaf = 0
        self._seen: Counter[str] = Counter()

    @property
    def where(self) -> str:
        """The module that is running."""
        return self.stack[-1] if self.stack else type(self.module).__name__

    def run(self, *arguments: Any) -> Any:
        """What the module gives."""
        with ExitStack() as hooks:
            for name, part in self.module.named_modules():
                hooks.enter_context(
                    part.register_forward_pre_hook(self._entering(name), with_kwargs=True)
                )
                after = part.register_forward_hook(self._leaving(name), with_kwargs=True)
                hooks.enter_context(after)
            hooks.enter_context(self)
            return self.module(*arguments)

    def operation(self, key: str, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        """What an operation gives."""
        return func(*args, **kwargs)

    def layer(self, key: str, name: str, module: Any, args: Any, result: Any) -> Any:
        """What a layer at path `name` gives."""
        return result

    def _key(self, what: str) -> str:
        key = f"{what} of {self.where}"
        self._seen[key] += 1
        return f"{key}, call {self._seen[key]}"

    def _entering(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self.stack.append(describe(name, module))
            self._in_leaf += is_leaf(module)

        return hook

    def _leaving(self, name: str) -> Callable[..., Any]:
        def hook(
            module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
        ) -> Any:
            if is_leaf(module):
                if self._in_leaf == 1:
                    bound = signature(module.forward).bind(*args, **kwargs).args
                    result = self.layer(self._key("result"), name, module, bound, result)
                self._in_leaf -= 1
            self.stack.pop()
            return result

        return hook

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self._in_leaf:
            return func(*args, **(kwargs or {}))
        name = name_of(func)
        return self.operation(self._key(name), name, func, args, kwargs or {})


def is_leaf(module: nn.Module) -> bool:
    """Whether it is a layer whose forward is known: not a subclass or an instance that replaces
    it.
    """
    known = any(
        isinstance(module, kind) and type(module).forward is kind.forward for kind in _LEAVES
    )
    return known and "forward" not in vars(module)


def describe(name: str, module: nn.Module) -> str:
    """How messages name a module: its path and type."""
    return f"module {name!r} ({type(module).__name__})" if name else type(module).__name__


def name_of(func: Any) -> str:
    """An operation's name however it was called: `x.add_(y)`, `y + x`, aten.add.Tensor."""
    name = getattr(func, "__name__", repr(func))
    if name == "__get__":  # a property, as Tensor.shape
        return func.__self__.__name__
    name = name.split(".")[0]
    if name.startswith("__") and name.endswith("__"):
        name = name.strip("_")
        return _IN_PLACE.get(name, name)
    return name.rstrip("_") if name not in ("__getitem__",) else name


_IN_PLACE = {
    "iadd": "add", "isub": "sub", "imul": "mul", "itruediv": "div", "truediv": "div",
    "rtruediv": "rdiv", "radd": "add", "rmul": "mul", "imatmul": "matmul",
}  # fmt: skip


def tensors(item: Any) -> Iterator[Tensor]:
    """All tensors in what a module takes or gives."""
    if isinstance(item, Tensor):
        yield item
    elif isinstance(item, tuple | list | dict):
        for part in item.values() if isinstance(item, dict) else item:
            yield from tensors(part)
