"""A user's torch module as a program of which any part can be run.

The module itself runs, as it is, once more; what is known already is put in the place of what its
operations give.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ernn.errors import UserError, one_line
from ernn.frontends.torch_exported import in_python
from ernn.frontends.torch_trace import results
from ernn.frontends.torch_watch import Watcher, tensors

Array = np.ndarray


class TorchProgram:
    """A module and its arguments: `names` of the tensors in `example`, in order."""

    def __init__(self, module: nn.Module, example: tuple[Any, ...], names: Sequence[str]) -> None:
        self.module = module
        self._example = example
        self._names = names

    def compute(self, known: Mapping[str, Array], wanted: Sequence[str]) -> list[Array]:
        """The tensors `wanted`, where others are `known` already."""
        own = {name: known[name] for name in wanted if name in known}
        rest = [name for name in wanted if name not in known]
        if rest:
            replay = _Replay(self.module, known, rest)
            own |= replay.found(self.arguments(known))
        return [own[name] for name in wanted]

    def arguments(self, known: Mapping[str, Array]) -> tuple[Any, ...]:
        """The module's arguments, of inputs by name."""
        places = iter(self._names)
        return tuple(_filled(one, known, places) for one in self._example)


def _filled(item: Any, known: Mapping[str, Array], names: Any) -> Any:
    """An argument with its tensors in it."""
    if isinstance(item, Tensor):
        return like(known[next(names)], item)
    if isinstance(item, tuple | list):
        return type(item)(_filled(one, known, names) for one in item)
    if isinstance(item, dict):
        return {key: _filled(one, known, names) for key, one in item.items()}
    return item


def like(values: Any, tensor: Tensor) -> Tensor:
    """Values as a tensor of the kind and on the device of another."""
    return torch.from_numpy(np.array(values)).to(tensor)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode, in Python, without gradients, and afterwards each part as it was."""
    with in_python(module):
        training = [part for part in module.modules() if part.training]
        for part in training:
            part.training = False
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.filterwarnings(
                    "ignore", "LSTM with projections is not supported with oneDNN"
                )  # only slower
                yield
        finally:
            for part in training:
                part.training = True


class _Done(BaseException):
    """Everything that is wanted has been found."""


class _Replay(Watcher):
    def __init__(
        self, module: nn.Module, known: Mapping[str, Array], wanted: Sequence[str]
    ) -> None:
        super().__init__(module)
        self._given, self._wanted = known, set(wanted)
        self._found: dict[str, Array] = {}
        self._used = set[str]()
        self._ended = False

    def found(self, arguments: tuple[Any, ...]) -> dict[str, Array]:
        """What is wanted."""
        shapes = ", ".join(str(tuple(one.shape)) for one in tensors(arguments))
        with evaluating(self.module):
            try:
                for name, tensor in results(self.run(*arguments)).items():
                    self._keep(name, tensor)
                self._ended = True
            except _Done:
                pass
            except UserError:
                raise
            except Exception as error:
                raise UserError(
                    f"{type(self.module).__name__} runs on the example, but not on frames of shape "
                    f"{shapes}: {type(error).__name__}: {one_line(error)}; a network must run at "
                    "any length"
                ) from error
        missing = self._wanted - self._found.keys()
        if self._ended:
            missing |= {one for one in self._given if ", call " in one} - self._used
        if missing:
            raise UserError(
                f"{type(self.module).__name__} runs other operations on frames of shape {shapes} "
                f"than on the example: {min(missing)} is not among them"
            )
        return self._found

    def _keep(self, key: str, tensor: Tensor) -> None:
        if key in self._wanted and key not in self._found:
            self._found[key] = tensor.detach().cpu().numpy().copy()

    def _replaced(self, key: str, result: Any) -> Any:
        """A result with what is known in it."""
        own = list(tensors(result))
        for number, tensor in enumerate(own):
            name = f"{key}.{number}"
            if name in self._given:
                tensor.data = like(self._given[name], tensor).reshape(tensor.shape).data
                self._used.add(name)
            self._keep(name, tensor)
        if self._wanted <= self._found.keys():
            raise _Done
        return result

    def operation(self, key: str, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        return self._replaced(key, func(*args, **kwargs))

    def layer(self, key: str, name: str, module: Any, args: Any, result: Any) -> Any:
        return self._replaced(key, result)
