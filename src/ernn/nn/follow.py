"""Follow frames through a user's module: which recurrent and linear layers they pass, and that
nothing else runs.

The module runs once on example frames while every tensor that comes from them is watched (a
`TorchFunctionMode` sees each operation, hooks see each layer).  Unlike a symbolic trace this copes
with what people write around layers: asserts and branches on shapes, zeros made for the batch at
hand.  What it cannot see, a branch on the length or a state kept between calls, the importer's
check on random input finds afterwards.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from inspect import currentframe, signature
from traceback import walk_stack
from typing import Any, NoReturn

from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ernn.errors import UserError
from ernn.nn.cells import PeepholeLSTM, ResetBeforeGRU
from ernn.nn.described import DescribedCell
from ernn.nn.recurrent import GRU, LSTM

Recurrent = nn.LSTM | nn.GRU | PeepholeLSTM | ResetBeforeGRU | DescribedCell
Leaf = Recurrent | nn.Linear
_LEAVES = (nn.LSTM, nn.GRU, LSTM, GRU, PeepholeLSTM, ResetBeforeGRU, DescribedCell, nn.Linear)
CHAIN = "only LSTM, GRU, Linear and Dropout, one after another, become a network"


@dataclass(frozen=True, eq=False)
class Call:
    """One layer module called in the chain; `state`: the initial state given, (layers * directions,
    ...) each.
    """

    name: str
    module: Leaf
    state: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Sequence:
    """Frames after `calls`; `swapped`: batch and time exchanged against the input."""

    calls: tuple[Call, ...]
    swapped: bool = False


@dataclass(frozen=True)
class LastStep:
    """The last frame only, after `calls`."""

    calls: tuple[Call, ...]


@dataclass(frozen=True)
class EndState:
    """h_n or c_n of the last of `calls`, (layers * directions, ...)."""

    calls: tuple[Call, ...]
    name: str


@dataclass(frozen=True)
class OtherInput:
    """An input of the module that is not the frames."""

    position: int


Value = Sequence | LastStep | EndState | OtherInput


@dataclass(frozen=True)
class Chain:
    """What was found. `time_axis` is the input's; `swapped`: a sequence comes out with batch and
    time exchanged.
    """

    calls: tuple[Call, ...]
    last_step: bool
    time_axis: int
    swapped: bool


def follow(module: nn.Module, example: tuple[Any, ...]) -> Chain:
    """Run `module` (in evaluation mode) on `example`, whose first item is the frames (3 axes, or 2
    without a batch).

    Raises UserError naming the module and the rule at the first operation that a network cannot
    hold.
    """
    follower = _Follower(type(module).__name__, example)
    with ExitStack() as hooks:
        for name, part in module.named_modules():
            hooks.enter_context(
                part.register_forward_pre_hook(follower.entering(name), with_kwargs=True)
            )
            after = part.register_forward_hook(follower.leaving(name), with_kwargs=True)
            hooks.enter_context(after)
        hooks.enter_context(follower)
        result = _call(module, example)
    return follower.chain(result)


def _call(module: nn.Module, example: tuple[Any, ...]) -> Any:
    try:
        return module(*example)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{type(module).__name__} does not run on the example: {first_line(error)}"
        ) from error


class _Follower(TorchFunctionMode):
    def __init__(self, module: str, example: tuple[Any, ...]) -> None:
        super().__init__()
        self._module = module
        frames = example[0]
        self._known: dict[
            int, tuple[Tensor, Value]
        ] = {}  # by id; the tensor kept, so that no other takes its id
        self._stack: list[str] = []
        self._in_leaf = 0
        self._unbatched = frames.dim() == 2
        self._time_axis: int | None = 0 if self._unbatched else None
        for position, item in enumerate(example):
            for tensor in _tensors(item):
                self._learn(tensor, OtherInput(position))
        self._learn(frames, Sequence(()))

    def _learn(self, tensor: Tensor, value: Value) -> None:
        self._known[id(tensor)] = tensor, value

    def _value(self, tensor: Any) -> Value | None:
        known = self._known.get(id(tensor))
        return known[1] if known else None

    def _values(self, *arguments: Any) -> list[Value]:
        return [
            value for tensor in _tensors(arguments) if (value := self._value(tensor)) is not None
        ]

    def _refuse(self, does: str, rule: str = CHAIN) -> NoReturn:
        raise UserError(f"{self._stack[-1] if self._stack else self._module} {does}: {rule}")

    # Modules

    def entering(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._stack.append(describe(name, module))
            self._in_leaf += is_leaf(module)

        return hook

    def leaving(self, name: str) -> Callable[..., None]:
        def hook(
            module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
        ) -> None:
            if is_leaf(module):
                self._in_leaf -= 1
                if not self._in_leaf and self._values(args, kwargs):
                    self._pass(
                        name, module, signature(module.forward).bind(*args, **kwargs).args, result
                    )
            self._stack.pop()

        return hook

    def _pass(self, name: str, module: Any, args: tuple[Any, ...], result: Any) -> None:
        value = self._value(args[0])
        if isinstance(module, nn.Linear):
            if not isinstance(value, Sequence | LastStep):
                self._refuse(f"reads {_phrase(value)}")
            self._learn(result, replace(value, calls=(*value.calls, Call(name, module))))
            return
        if not isinstance(value, Sequence):
            self._refuse(f"reads {_phrase(value)}", "a recurrent layer reads a whole sequence")
        self._fix_time_axis(module, value)
        calls = (
            *value.calls,
            Call(name, module, self._given_state(args[1] if len(args) > 1 else None)),
        )
        outputs, states = result
        self._learn(outputs, replace(value, calls=calls))
        for state, kind in zip(_tensors(states), ("h_n", "c_n"), strict=False):
            self._learn(state, EndState(calls, kind))

    def _fix_time_axis(self, module: Recurrent, value: Sequence) -> None:
        if self._unbatched:
            return
        axis = int(module.batch_first) ^ value.swapped  # of the input
        if self._time_axis not in (None, axis):
            self._refuse(
                f"has batch_first={module.batch_first}, but its input has the "
                f"{'time' if module.batch_first else 'batch'} axis first",
                "it would run over the batch instead of time; set batch_first alike, or transpose "
                "between",
            )
        self._time_axis = axis

    def _given_state(self, state: Any) -> tuple[Tensor, ...]:
        for value in self._values(state):
            self._refuse(
                f"takes its initial state from {_phrase(value)}",
                "an initial state must be constant (zeros, a parameter or a buffer); to go on from "
                "an earlier call, "
                "give the state to ernn.ir.reference.run",
            )
        return tuple(tensor.detach().clone() for tensor in _tensors(state))

    # Operations

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        values = [] if self._in_leaf else self._values(args, kwargs)
        name = _name(func)
        if values and any(
            frame.f_code.co_name in _PACKING for frame, _ in walk_stack(currentframe())
        ):
            self._refuse(
                "packs sequences of different lengths",
                "import the module without packing; time runs forward, so frames that pad the end "
                "change no output "
                "before them, and ernn.ir.reference.run_all takes utterances of any lengths",
            )
        result = func(*args, **kwargs)
        if values and name not in _FACTS:
            if len(values) > 1 or not args or self._value(args[0]) is None:
                self._refuse(f"combines values by {name}")
            self._learn(result, self._after(name, values[0], func, args, kwargs, result))
        return result

    def _after(
        self, name: str, value: Value, func: Any, args: Any, kwargs: Any, result: Any
    ) -> Value:
        same = name in _COPIES or (name in _CASTS and result.dtype == args[0].dtype)
        if same or (name in _DROPOUTS and not _training(func, args, kwargs)):
            return value
        if (
            name in _SWAPS
            and isinstance(value, Sequence)
            and _swaps(name, args, kwargs)
            and not self._unbatched
        ):
            return replace(value, swapped=not value.swapped)
        if (
            name == "squeeze"
            and isinstance(value, EndState)
            and [*args[1:], *kwargs.values()] == [0]
        ):
            return self._end(value, 0, args[0].shape[0])
        if name == "__getitem__" and isinstance(value, Sequence | EndState):
            return self._item(value, args[0], args[1])
        if name in _DROPOUTS:
            self._refuse(
                f"applies {name} with training=True",
                "its output would be random; pass training=self.training",
            )
        self._refuse(f"applies {name} to {_phrase(value)}")

    def _item(self, value: Sequence | EndState, tensor: Tensor, index: Any) -> Value:
        axis, position = _position(index)
        if axis is None or position is None:
            self._refuse(
                f"takes {_index(index)} of {_phrase(value)}",
                "only the last step, [:, -1], can be taken",
            )
        if isinstance(value, EndState):
            if axis != 0:
                self._refuse(
                    f"takes {_index(index)} of {value.name}",
                    "only the last layer's, [-1], can be taken",
                )
            return self._end(value, position, tensor.shape[0])
        if not value.calls or self._time_axis is None:
            self._refuse(
                f"takes {_index(index)} of the input", "frames reach the first layer whole"
            )
        time_axis = self._time_axis ^ value.swapped
        if axis != time_axis:
            last = "[:, -1]" if time_axis else "[-1]"
            self._refuse(
                f"takes {_index(index)} of a sequence",
                f"that is not a step in time; the last step is {last}",
            )
        if position % tensor.shape[axis] != tensor.shape[axis] - 1:
            self._refuse(
                f"takes step {position} of a sequence", "only the last step, -1, can be taken"
            )
        return LastStep(value.calls)

    def _end(self, value: EndState, position: int, count: int) -> Value:
        module = value.calls[-1].module
        if value.name == "c_n":
            self._refuse(
                "uses c_n, the cells' end state",
                "a network gives outputs; take h_n or the last step instead",
            )
        if getattr(module, "bidirectional", False):
            self._refuse(
                "uses h_n of a bidirectional layer",
                "its backward half ends at the first frame, not the last; take the last step of "
                "the output instead",
            )
        if position % count != count - 1:
            self._refuse(
                f"uses h_n[{position}]",
                "that is a lower layer's; only the last layer's, h_n[-1], can be taken",
            )
        return LastStep(value.calls)

    # Result

    def chain(self, result: Any) -> Chain:
        """The chain that ends in the module's result: the outputs, or the outputs and end
        states.
        """
        first, *rest = result if isinstance(result, tuple | list) and result else (result,)
        value = self._value(first)
        if not isinstance(value, Sequence | LastStep):
            self._refuse("does not return its outputs first", f"it returned {_phrase(value)}")
        if not all(isinstance(self._value(tensor), EndState) for tensor in _tensors(rest)):
            self._refuse("returns more than its outputs and end states", "a network has one output")
        if self._time_axis is None or not any(
            not isinstance(call.module, nn.Linear) for call in value.calls
        ):
            self._refuse(
                "runs no LSTM or GRU on its input", "there is no recurrent network to import"
            )
        swapped = isinstance(value, Sequence) and value.swapped
        return Chain(value.calls, isinstance(value, LastStep), self._time_axis, swapped)


_FACTS = {
    "size", "shape", "dim", "ndim", "device", "dtype", "is_cuda", "numel", "__len__", "get_device",
    "is_floating_point", "zeros_like", "ones_like", "new_zeros", "new_ones", "new_full",
    "new_tensor", "requires_grad", "__format__", "__repr__",
}  # fmt: skip
"""Operations whose result tells of a tensor's shape and kind, never of its values."""
_COPIES = {"contiguous", "clone", "detach"}
_CASTS = {"to", "float", "double", "cpu"}
_DROPOUTS = {
    function.__name__
    for function in (functional.dropout, functional.dropout1d, functional.alpha_dropout)
}
_SWAPS = {"transpose", "swapaxes", "permute"}
_PACKING = {"pack_padded_sequence", "pack_sequence", "pad_packed_sequence"}


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


def first_line(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _tensors(item: Any) -> Iterator[Tensor]:
    if isinstance(item, Tensor):
        yield item
    elif isinstance(item, tuple | list | dict):
        for part in item.values() if isinstance(item, dict) else item:
            yield from _tensors(part)


def _name(func: Any) -> str:
    name = getattr(func, "__name__", repr(func))
    return func.__self__.__name__ if name == "__get__" else name  # a property, as Tensor.shape


def _phrase(value: Value | None) -> str:
    match value:
        case Sequence(calls=()):
            return "the frames"
        case Sequence():
            return "a sequence"
        case LastStep():
            return "the last step"
        case EndState():
            return f"{value.name} of {describe(value.calls[-1].name, value.calls[-1].module)}"
        case OtherInput():
            return f"input {value.position} of the module"
        case None:
            return "something that does not come from the frames"


def _training(func: Any, args: Any, kwargs: Any) -> bool:
    bound = signature(func).bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.arguments["training"]


def _swaps(name: str, args: Any, kwargs: Any) -> bool:
    """Whether it exchanges axes 0 and 1 of three and nothing else."""
    axes = [
        axis
        for item in (*args[1:], *kwargs.values())
        for axis in (item if isinstance(item, tuple | list) else [item])
    ]
    axes = [axis % 3 for axis in axes]
    return axes == [1, 0, 2] if name == "permute" else sorted(axes) == [0, 1]


def _position(index: Any) -> tuple[int | None, int | None]:
    """Axis and position of an index that takes one element of one axis, as [:, -1] or [-1, :]; else
    None.
    """
    items = list(index) if isinstance(index, tuple) else [index]
    numbers = [(axis, item) for axis, item in enumerate(items) if type(item) is int]
    whole = all(item == slice(None) for item in items if type(item) is not int)
    return numbers[0] if len(numbers) == 1 and whole else (None, None)


def _index(index: Any) -> str:
    def one(item: Any) -> str:
        if isinstance(item, slice):
            parts = [
                "" if part is None else str(part) for part in (item.start, item.stop, item.step)
            ]
            return ":".join(parts[:2] if item.step is None else parts)
        return "..." if item is Ellipsis else "a tensor" if isinstance(item, Tensor) else str(item)

    items = index if isinstance(index, tuple) else (index,)
    return f"[{', '.join(one(item) for item in items)}]"
