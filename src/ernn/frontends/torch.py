"""A user's torch module to a network and what stays on the host."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from inspect import signature
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.nn.utils.rnn import PackedSequence

from ernn.errors import UserError, one_line
from ernn.frontends.check import TOLERANCE, checked, difference
from ernn.frontends.imported import Imported, Traced, finished
from ernn.frontends.inputs import Axes, Inputs
from ernn.frontends.torch_exported import as_module, fixed_sizes, require_one_sequence
from ernn.frontends.torch_layers import Structures, WeightReader
from ernn.frontends.torch_program import TorchProgram, evaluating
from ernn.frontends.torch_trace import OneSequence, Trace, WrongAxis
from ernn.frontends.torch_watch import tensors

Array = np.ndarray

_LONGEST = 32  # frames of the example: rounding of float32 grows with time, mistakes show at once


def import_torch(
    module: nn.Module | ExportedProgram,
    example: Tensor | tuple[Any, ...],
    *,
    structures: Structures | None = None,
) -> Imported:
    """What `module` computes: a network, every layer as a frozen value, and the host's part.

    module: any module with recurrent layers, an `AcousticModel` for one; or what
    `torch.jit.script`, `torch.jit.trace`, `torch.compile` or `torch.export` made of it. It is put
    in evaluation mode for the import. example: frames as the module takes them, (batch, time, ...)
    or (time, batch, ...) or (time, inputs), or the tuple of the module's arguments beginning with
    the frames. Of the frames only shape, type and device matter; what else the module is given is
    what it will be given. structures: what each matrix is, e.g. {"lstm.weight_ih_l0":
    BlockCirculant(8)}; it must be so already.

    The import checks itself: module and network run on random frames, at two lengths. Raises
    UserError where they differ by more than `ernn.frontends.check.TOLERANCE`, and where nothing of
    the module streams (docs/how-to/own-network.md).
    """
    own: nn.Module = as_module(module)
    packed = isinstance(example, PackedSequence)
    arguments = example if isinstance(example, tuple) and not packed else (example,)
    frames = _checked_frames(own, arguments[0] if arguments else None)
    call = _Call(own, (frames, *arguments[1:]))
    with evaluating(own):
        call.check_again()
        traced, axes = call.traced(structures)
    require_one_sequence(own, frames.dim(), axes.batch)
    name = call.names[0]
    static, timed = call.others(axes)
    inputs = Inputs(name, axes, static, call.sequence(axes).shape[1:], timed)
    first, *rest = traced.results
    if not static and all(traced.is_state(one) for one in rest):  # states nobody can give again
        traced = replace(traced, results={first: traced.results[first]})
    program = TorchProgram(own, call.arguments, call.names)
    imported = finished(traced, program, inputs)
    name = type(own).__name__
    return checked(name, imported, call.sequence(axes), _lengths(own, frames.shape, axes))


def _lengths(module: nn.Module, shape: tuple[int, ...], axes: Axes) -> list[int]:
    """Of the sequences that the check runs on."""
    length = shape[axes.time]
    if fixed_sizes(module, len(shape))[axes.time]:
        return [length]
    return [min(length, _LONGEST), min(length, _LONGEST) + 3]


def _checked_frames(module: nn.Module, frames: Any) -> Tensor:
    """A copy of the example's frames: the module may write to it."""
    if not isinstance(module, nn.Module):
        raise UserError(
            f"the module must be a torch.nn.Module, not {type(module).__name__}: make one of your "
            "class first, give it the saved weights (module.load_state_dict)"
        )
    if any(one.is_meta for one in module.parameters()):
        raise UserError(
            "the module's weights have no numbers yet (device 'meta'): load them before the import"
        )
    if isinstance(frames, PackedSequence):
        raise UserError(
            "the example is a packed sequence: give frames of one length, (batch, time, inputs)"
        )
    if not isinstance(frames, Tensor) or not 0 < frames.dim() < 5 or 0 in frames.shape:
        shape = tuple(frames.shape) if isinstance(frames, Tensor) else type(frames).__name__
        raise UserError(
            "the example must be a tensor of frames, (time, inputs) or with a batch axis, not "
            f"{shape}"
        )
    if frames.dim() == 1 and frames.dtype.is_floating_point:
        raise UserError(
            f"the example must be a tensor of frames, (time, inputs) or with a batch axis, not "
            f"{tuple(frames.shape)}"
        )
    return frames.clone()


class _Call:
    """A module and the arguments of the example."""

    def __init__(self, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        self.module, self.arguments = module, arguments
        self.names = list(_names(module, arguments))

    def check_again(self) -> None:
        """The same input must give the same output."""
        name = type(self.module).__name__
        first, again = (
            next(tensors(self._called(self.module, _copied(self.arguments))), torch.zeros(0))
            for _ in range(2)
        )
        pair = (one.detach().cpu().double().numpy() for one in (first, again))
        if difference(*pair) > TOLERANCE:
            raise UserError(
                f"{name} gives another output for the same input when called again: it keeps a "
                "state between calls or draws random numbers; let each call start from a constant "
                "state, and to go on from an earlier call give the state to the model's stream"
            )

    def traced(self, structures: Structures | None) -> tuple[Traced, Axes]:
        """The module's graph, and which axes of the frames are time and the batch."""
        errors: list[tuple[int, UserError]] = []
        found: list[tuple[Traced, Axes]] = []
        for grounded in (False, True):
            for axes in _ways(self.arguments[0]):
                try:
                    found.append((self._trace(structures, grounded, axes, errors), axes))
                except WrongAxis:
                    continue
                except OneSequence:
                    if not found:
                        raise
                    continue
                if found[-1][0].streams:
                    return found[-1]
        if found and not errors:
            return found[0]
        raise max(errors, key=lambda one: one[0])[1]

    def _trace(
        self,
        structures: Structures | None,
        grounded: bool,
        axes: Axes,
        errors: list[tuple[int, UserError]],
    ) -> Traced:
        """With the frames of one sequence twice, if may be, so that a mistaken axis is seen."""
        for arguments in self._doubled(axes):
            reader = WeightReader(structures)
            trace = Trace(self.module, reader, grounded)
            try:
                traced = self._run(trace, arguments, axes)
                reader.check_names(self.module)
                return traced
            except OneSequence:
                if arguments[0].shape == self.arguments[0].shape:
                    raise
            except WrongAxis as error:
                errors.append((len(trace.recorder.signals), error))
                raise
        raise AssertionError("the arguments as they are come last")

    def _run(self, trace: Trace, arguments: tuple[Any, ...], axes: Axes) -> Traced:
        names = iter(self.names)
        first, *others = tensors(arguments)
        trace.give(next(names), first, axes.time, axes.batch)
        for name, tensor in zip(names, others, strict=True):
            if _has_frames(tensor, first, axes):
                trace.give(name, tensor, axes.time, axes.batch)
            else:
                trace.give(name, tensor, None, _batch_axis(tensor, first, axes))
        return trace.traced(self._called(trace.run, arguments))

    def _called(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        try:
            return call(*arguments)
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"{type(self.module).__name__} does not run on the example: "
                f"{type(error).__name__}: {one_line(error)}"
            ) from error

    def _doubled(self, axes: Axes) -> Iterator[tuple[Any, ...]]:
        """The arguments with the frames twice, if they are one sequence's and may be, then as they
        are.
        """
        frames, *others = self.arguments
        if axes.batch is not None and frames.shape[axes.batch] == 1 and not others:
            twice = torch.cat([frames, frames], axes.batch)
            try:
                self.module(twice.clone())
                yield (twice,)
            except Exception:  # it takes one only
                pass
        yield _copied(self.arguments)

    def others(
        self, axes: Axes
    ) -> tuple[dict[str, Array], dict[str, tuple[Axes, tuple[int, ...]]]]:
        """The other tensors among the arguments by name: of one sequence; or, where they have
        frames too, their axes and shapes.
        """
        first, *others = tensors(self.arguments)
        static, timed = {}, {}
        for name, tensor in zip(self.names[1:], others, strict=True):
            if _has_frames(tensor, first, axes):
                rest = [n for at, n in enumerate(tensor.shape) if at not in (axes.time, axes.batch)]
                timed[name] = axes, tuple(rest)
            else:
                axis = _batch_axis(tensor, first, axes)
                one = tensor if axis is None else tensor.narrow(axis, 0, 1)
                static[name] = one.detach().cpu().numpy()
        return static, timed

    def sequence(self, axes: Axes) -> Array:
        """The first sequence of the frames, (time, ...)."""
        frames = self.arguments[0].detach().cpu().numpy()
        if axes.batch is None:
            return np.moveaxis(frames, axes.time, 0)
        time = axes.time - (axes.batch < axes.time)
        return np.moveaxis(np.take(frames, 0, axes.batch), time, 0)


def _copied(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The frames copied: the module may write to them."""
    frames, *others = arguments
    return frames.clone(), *others


def _names(module: nn.Module, arguments: tuple[Any, ...]) -> Iterator[str]:
    """A name for each tensor among the arguments: the parameter's."""
    try:
        parameters = list(signature(module.forward).parameters)
    except ValueError:
        parameters = []
    for place, argument in enumerate(arguments):
        name = parameters[place] if place < len(parameters) else f"input {place}"
        count = len(list(tensors(argument)))
        yield from ([name] if count == 1 else [f"{name}_{number}" for number in range(count)])


def _ways(frames: Tensor) -> list[Axes]:
    """Which axes may be time and the batch, the likeliest first."""
    whole = not frames.dtype.is_floating_point
    match frames.dim():
        case 1:
            return [Axes(0, None)]
        case 2:
            batched = [Axes(1, 0), Axes(0, 1)]
            return [*batched, Axes(0, None)] if whole else [Axes(0, None)]
        case 3:
            return [Axes(1, 0), Axes(0, 1), Axes(2, 0)]
    return [Axes(1, 0), Axes(0, 1), Axes(frames.dim() - 1, 0)]


def _has_frames(tensor: Tensor, frames: Tensor, axes: Axes) -> bool:
    """Whether another argument has a frame for each of the first's: real, of the same axes."""
    if tensor.dim() != frames.dim() or not tensor.dtype.is_floating_point:
        return False
    alike = [axis for axis in (axes.time, axes.batch) if axis is not None]
    return frames.shape[axes.time] > 1 and all(tensor.shape[a] == frames.shape[a] for a in alike)


def _batch_axis(tensor: Tensor, frames: Tensor, axes: Axes) -> int | None:
    """The axis of the batch of another argument: of a state (layers, batch, values) the second."""
    if axes.batch is None:
        return None
    count = frames.shape[axes.batch]
    order = [1, 0, 2] if tensor.dim() == 3 else range(tensor.dim())
    return next((axis for axis in order if tensor.shape[axis] == count), None)
