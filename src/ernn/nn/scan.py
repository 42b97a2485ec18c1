"""Any described cell over time, with its gradient written out.

The numbers of a pass, there and back, lie in one flat tensor each (`ernn.nn.layout`); what is done
with them frame by frame is compiled (`ernn.nn.loops`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ernn.ir.network import Array
from ernn.nn.groups import Group
from ernn.nn.layout import Layout, matrices
from ernn.nn.loops import Loops, Tables, move, tiled
from ernn.nn.rooms import Places, blank
from ernn.nn.table import Room, remembered

WORTH = 5_000_000
"""Multiplications of a frame from which threads share them: some 70 us of one core (measured on AMD
EPYC with AVX-512).
"""


@dataclass(frozen=True, eq=False)
class Given:
    """Tensors of a pass, or their gradients.

    inputs: (time, batch, units) for each read of an input by a region. weights: for each read of a
    region (rows, units), or spectra (r, block rows, block columns). filled: for each room that is
    filled beforehand: (units, batch) of a step that is read late, (units,) of a vector or bias,
    (time, units, batch) of an input that steps read. Units and rows in the order of
    `ernn.nn.order`, but for inputs.
    """

    inputs: Sequence[Any]
    weights: Sequence[Any]
    filled: Sequence[Any]

    def parts(self) -> tuple[Sequence[Any], ...]:
        return self.inputs, self.weights, self.filled

    def flat(self) -> tuple[Any, ...]:
        """All, one behind the other."""
        return (*self.inputs, *self.weights, *self.filled)


@dataclass(frozen=True, eq=False)
class Plan:
    """A pass. lines: the table's, with where results begin; formats and results as
    `ernn.nn.loops` has them. filled: the rooms of `Given.filled`. batch: sequences.
    """

    layout: Layout
    batch: int
    lines: Array
    formats: Array
    results: Array
    filled: tuple[Room, ...]

    def given(self, tensors: Sequence[Any]) -> Given:
        """The reverse of `Given.flat`."""
        first = len(self.layout.inputs)
        second = first + len(self.layout.extent.spectral)
        return Given(tensors[:first], tensors[first:second], tensors[second:])


class Scan(torch.autograd.Function):
    """(plan, tensors of `Given`) to the outputs (time, batch, units), units in their usual order,
    and the last frames (units, batch) of the steps that are read late.
    """

    @staticmethod
    def forward(ctx: Any, plan: Plan, *tensors: Tensor) -> tuple[Tensor, ...]:
        ahead = Forward(plan, plan.given(tensors))
        ahead.run()
        if plan.layout.extent.keep:
            ctx.ahead = ahead
        return ahead.results()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        back = Backward(ctx.ahead, gradients)
        back.run()
        return None, *back.results().flat()


class Numbers:
    """The numbers of a pass, or their gradients, and where they lie. batch: columns that are
    somebody's, the others fill up vectors.
    """

    def __init__(self, layout: Layout, places: Places, flat: Tensor, batch: int) -> None:
        self.flat, self._extent, self.places, self._batch = flat, layout.extent, places, batch

    def vectors(self, room: Room) -> Tensor:
        """All frames of a room, (frames, units, batch), with the columns that fill up."""
        return self.places[room].view(self.flat, -1, self._extent.batch)

    def last(self, step: str) -> Tensor:
        """A step's last frame, (units, batch)."""
        place = self.places["step", step]
        at = (self._extent.time - 1 + place.ahead) & place.mask
        return self.vectors(("step", step))[at, :, : self._batch]

    def usual(self, step: str) -> Tensor:
        """A step that is an output, (time, batch, units / block, block)."""
        frames = self.vectors(("step", step))[-self._extent.time :, :, : self._batch]
        return frames.unflatten(1, (self._extent.block, -1)).permute(0, 3, 2, 1)

    def input(self, group: Group, n: int) -> Tensor:
        """Input n of a group, (time, batch, units / block, block)."""
        batch = self._extent.batch
        if group.block > 1:
            place = self.places["given", group.inputs[n].number]
            parts = place.view(self.flat, group.block, -1, batch)[..., : self._batch]
            return parts.permute(0, 3, 2, 1)
        first, behind = group.columns[n : n + 2]
        reads = self.vectors(("read", group.number))[: self._extent.time, first:behind]
        return reads[..., : self._batch].transpose(1, 2)[..., None]


class Forward:
    """The numbers of a pass."""

    def __init__(self, plan: Plan, given: Given) -> None:
        self.plan, self.layout = plan, plan.layout
        self.given = Given(*([x.detach() for x in some] for some in given.parts()))
        flat = blank(self.layout.numbers, next(iter(self.given.flat())))
        if plan.batch < self.layout.extent.batch:
            flat.zero_()  # what fills up vectors goes into sums
        self.numbers = Numbers(self.layout, self.layout.numbers, flat, plan.batch)
        for room, tensor in zip(plan.filled, self.given.filled, strict=True):
            self._fill(room, tensor)
        inputs = iter(self.given.inputs)
        for group in self.layout.groups:
            for n in range(len(group.inputs)):
                x = next(inputs).unflatten(2, (-1, group.block))
                move(x, self.numbers.input(group, n))
        self.weights = [self._weight(group) for group in self.layout.groups]
        frame = sum(one.numel() for one in self.weights) * self.layout.extent.batch
        self.threads = torch.get_num_threads() if frame >= WORTH else 1

    def _fill(self, room: Room, tensor: Tensor) -> None:
        frames, ahead = self.numbers.vectors(room), self.layout.numbers[room].ahead
        match room[0]:
            case "step":
                frames[:ahead, :, : self.plan.batch] = tensor
            case "input":
                frames[:ahead] = 0
                frames[ahead:, :, : self.plan.batch] = tensor
            case _:
                frames[0] = tensor[:, None]

    def _weight(self, group: Group) -> Tensor:
        some = [self.given.weights[one.number] for one in group.reads]
        return some[0] if len(some) == 1 else torch.cat(some, -1)

    @cached_property
    def tables(self) -> Tables:
        plan, layout, flat = self.plan, self.layout, self.numbers.flat
        return Tables(
            terms=layout.table.arrays[1],
            places=layout.rows,
            d_places=layout.rows_back,
            weights=self.behind_matrices(self.weights),
            formats=plan.formats,
            results=plan.results,
            numbers=flat.numpy(),
            gradients=flat[:0].numpy(),
            totals=flat[:0].numpy(),
        )

    def behind_matrices(self, weights: Sequence[Tensor]) -> Array:
        """The numbers of weights, one behind the other."""
        first = matrices(self.layout.extent.block, self.numbers.flat.dtype)
        return torch.cat([first, *map(tiled, weights)]).numpy()

    def run(self) -> None:
        layout = self.layout
        starts = Loops(layout.starts_of(back=False), self.tables, back=False)
        for number, start in enumerate(layout.starts):
            starts.run(number, start.frames)
        loops = Loops(layout.stages_of(self.plan.lines, back=False), self.tables, back=False)
        loops.run_all(range(layout.extent.time), self.threads)

    def results(self) -> tuple[Tensor, ...]:
        """Outputs, and the last frames of the steps that are read late."""
        cell = self.layout.table.cell
        outputs = [moved(self.numbers.usual(name)).flatten(2) for name in cell.outputs]
        return (*outputs, *(self.numbers.last(name).clone() for name in remembered(cell)))


class Backward:
    """The gradients of a pass."""

    def __init__(self, ahead: Forward, gradients: Sequence[Tensor]) -> None:
        self.ahead, self.layout = ahead, ahead.layout
        flat = blank(self.layout.gradients, ahead.numbers.flat).zero_()
        self.numbers = Numbers(self.layout, self.layout.gradients, flat, ahead.plan.batch)
        cell = self.layout.table.cell
        for name, d in zip(cell.outputs, gradients, strict=False):
            frames = self.numbers.usual(name)
            move(d.unflatten(2, frames.shape[2:]), frames)
        for name, d in zip(remembered(cell), gradients[len(cell.outputs) :], strict=True):
            self.numbers.last(name).add_(d)
        self.totals = flat.new_zeros(sum(weight.numel() for weight in ahead.weights))

    def run(self) -> None:
        layout, ahead, flat = self.layout, self.ahead, self.numbers.flat
        weights = [
            weight[..., layout.first(group) :].transpose(-1, -2)
            for group, weight in zip(layout.groups, ahead.weights, strict=True)
        ]
        tables = replace(
            ahead.tables,
            weights=ahead.behind_matrices(weights),
            gradients=flat.numpy(),
            totals=self.totals.numpy(),
        )
        loops = Loops(layout.stages_of(ahead.plan.lines, back=True), tables, back=True)
        loops.run_all(range(layout.extent.time), ahead.threads)
        starts = Loops(layout.starts_of(back=True), tables, back=True)
        for number, start in reversed(list(enumerate(layout.starts))):
            starts.run(number, start.frames)

    def results(self) -> Given:
        layout, inputs = self.layout, []
        weights: list[Tensor | None] = [None] * len(layout.extent.spectral)
        totals = self.totals.split([weight.numel() for weight in self.ahead.weights])
        for group, weight, total in zip(layout.groups, self.ahead.weights, totals, strict=True):
            places = zip(group.reads, group.columns, group.columns[1:], strict=False)
            for one, first, behind in places:
                weights[one.number] = total.view(weight.shape)[..., first:behind]
            for n in range(len(group.inputs)):
                through = layout.extent.through
                inputs.append(moved(self.numbers.input(group, n)).flatten(2) if through else None)
        return Given(inputs, weights, [self._filled(room) for room in self.ahead.plan.filled])

    def _filled(self, room: Room) -> Tensor:
        frames, ahead = self.numbers.vectors(room), self.layout.gradients[room].ahead
        match room[0]:
            case "step":
                return frames[:ahead, :, : self.ahead.plan.batch].sum(0)
            case "input":
                return frames[ahead:, :, : self.ahead.plan.batch].clone()
            case _:
                return frames[0].sum(1)


def moved(frames: Tensor) -> Tensor:
    """The same numbers in the sequence of their axes."""
    found = frames.new_empty(frames.shape)
    move(frames, found)
    return found
