"""Any described cell over time, with its gradient written out.

A frame is a product for each group of reads, then a stage's lines (`ernn.nn.loops`). Products that
are worth sharing out among threads, and those of columns that fill no vector register, are calls of
torch's (`ernn.nn.products`), one a frame; all others are part of the compiled loops, which then
take many frames at once.
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
from ernn.nn.loops import VECTOR, Loops, Tables, move
from ernn.nn.products import Product
from ernn.nn.rooms import Frames, Places, blank
from ernn.nn.table import Room, remembered
from ernn.nn.threads import WORTH, threads_for


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
    `ernn.nn.loops` has them. filled: the rooms of `Given.filled`.
    """

    layout: Layout
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
    """The numbers of a pass, or their gradients, and where they lie."""

    def __init__(self, layout: Layout, places: Places, flat: Tensor) -> None:
        self.flat, self._extent, self._places = flat, layout.extent, places

    def vectors(self, room: Room) -> Frames:
        """(units, batch) by frame."""
        return Frames(self.flat, self._places[room], (-1, self._extent.batch))

    def usual(self, name: str) -> Tensor:
        """A step, (time, batch, units / block, block)."""
        frames = self.vectors(("step", name)).some(0, self._extent.time)
        return frames.unflatten(1, (self._extent.block, -1)).permute(0, 3, 2, 1)

    def input(self, group: Group, n: int) -> Tensor:
        """Input n of a group, (time, batch, units / block, block)."""
        time, batch = self._extent.time, self._extent.batch
        if group.block > 1:
            place = self._places["given", group.inputs[n].number]
            return Frames(self.flat, place, (group.block, -1, batch)).all.permute(0, 3, 2, 1)
        first, behind = group.columns[n : n + 2]
        reads = self._frames(("read", group.number), group)
        return reads.all[:time, first:behind].transpose(1, 2)[..., None]

    def reads(self, group: Group) -> Frames | None:
        """What a group reads, ([r,] columns, batch) by frame; None where nothing has a gradient."""
        if group.direct:
            read, batch = group.steps[0].read, self._extent.batch
            return Frames(self.flat, self._places["step", read.name], (-1, batch), read.delay)
        room = "read", group.number
        return self._frames(room, group) if room in self._places else None

    def gives(self, group: Group) -> Frames:
        """What a group gives, ([r,] rows, batch) by frame."""
        dense = group.block == 1
        return self._frames(("gates", group.region) if dense else ("sums", group.number), group)

    def _frames(self, room: Room, group: Group) -> Frames:
        lead = (group.spectra,) if group.block > 1 else ()
        return Frames(self.flat, self._places[room], (*lead, -1, self._extent.batch))


class Forward:
    """The numbers of a pass. together: whether products are part of the loops."""

    def __init__(self, plan: Plan, given: Given) -> None:
        self.plan, self.layout, extent = plan, plan.layout, plan.layout.extent
        self.given = Given(*([x.detach() for x in some] for some in given.parts()))
        flat = blank(self.layout.numbers, next(iter(self.given.flat())))
        self.numbers = Numbers(self.layout, self.layout.numbers, flat)
        for room, tensor in zip(plan.filled, self.given.filled, strict=True):
            self._fill(room, tensor)
        inputs = iter(self.given.inputs)
        for group in self.layout.groups:
            for n in range(len(group.inputs)):
                x = next(inputs).unflatten(2, (-1, group.block))
                move(x, self.numbers.input(group, n))
        self.products = [self._product(group) for group in self.layout.groups]
        self.largest = max((one.weight.numel() for one in self.products), default=0) * extent.batch
        alone = torch.get_num_threads() == 1 or self.largest < WORTH
        self.together = alone and extent.batch * flat.element_size() % VECTOR == 0

    def _fill(self, room: Room, tensor: Tensor) -> None:
        frames, ahead = self.numbers.vectors(room).all, self.layout.numbers[room].ahead
        match room[0]:
            case "step":
                frames[:ahead] = tensor
            case "input":
                frames[:ahead] = 0
                frames[ahead:] = tensor
            case _:
                frames[0] = tensor[:, None]

    def _product(self, group: Group) -> Product:
        some = [self.given.weights[one.number] for one in group.reads]
        weight = some[0] if len(some) == 1 else torch.cat(some, -1)
        reads = self.numbers.reads(group)
        assert reads is not None
        return Product(weight, reads, self.numbers.gives(group))

    @cached_property
    def tables(self) -> Tables:
        plan, layout, flat = self.plan, self.layout, self.numbers.flat
        weights = [one.weight.transpose(-1, -2) for one in self.products] if self.together else []
        return Tables(
            terms=layout.table.arrays[1],
            places=layout.rows,
            d_places=layout.rows_back,
            matrices=matrices(layout.extent.block, flat.dtype),
            weights=one_behind_the_other(weights, flat),
            formats=plan.formats,
            results=plan.results,
            numbers=flat.numpy(),
            gradients=flat[:0].numpy(),
            totals=flat[:0].numpy(),
        )

    def run(self) -> None:
        layout, lines = self.layout, self.plan.lines
        starts = Loops(layout.starts_of(back=False), self.tables, back=False)
        for number, start in enumerate(layout.starts):
            starts.run(number, start.frames)
        stages = layout.stages_of(lines, back=False, products=self.together)
        loops = Loops(stages, self.tables, back=False)
        if self.together:
            loops.run_all(range(layout.extent.time))
        else:
            with threads_for(self.largest):
                self._run_stages(loops)

    def _run_stages(self, loops: Loops) -> None:
        stages = list(enumerate(self.layout.by_stage(self.products)))
        for frames in (span for chunk in self.layout.chunks for span in self.layout.spans(chunk)):
            for stage, products in stages:
                for product in products:
                    for t in frames:
                        product.forward(t)
                loops.run(stage, frames)

    def results(self) -> tuple[Tensor, ...]:
        """Outputs, and the last frames of the steps that are read late."""
        cell, last = self.layout.table.cell, self.layout.extent.time - 1
        outputs = [moved(self.numbers.usual(name)).flatten(2) for name in cell.outputs]
        ends = [self.numbers.vectors(("step", name))[last].clone() for name in remembered(cell)]
        return (*outputs, *ends)


class Backward:
    """The gradients of a pass."""

    def __init__(self, ahead: Forward, gradients: Sequence[Tensor]) -> None:
        self.ahead, self.layout = ahead, ahead.layout
        flat = blank(self.layout.gradients, ahead.numbers.flat).zero_()
        self.numbers = Numbers(self.layout, self.layout.gradients, flat)
        cell, last = self.layout.table.cell, self.layout.extent.time - 1
        for name, d in zip(cell.outputs, gradients, strict=False):
            frames = self.numbers.usual(name)
            move(d.unflatten(2, frames.shape[2:]), frames)
        for name, d in zip(remembered(cell), gradients[len(cell.outputs) :], strict=True):
            self.numbers.vectors(("step", name))[last].add_(d)
        counts = [product.weight.numel() for product in ahead.products]
        self.totals = flat.new_zeros(sum(counts))
        totals = zip(ahead.products, self.totals.split(counts), strict=True)
        for group, (product, total) in zip(self.layout.groups, totals, strict=True):
            d, to = self.numbers.gives(group), self.numbers.reads(group)
            product.start_back(d, to, self.layout.first(group), group.direct, total)

    def run(self) -> None:
        layout, ahead, flat = self.layout, self.ahead, self.numbers.flat
        weights = [one.weight[..., one.first :] for one in ahead.products] if ahead.together else []
        tables = replace(
            ahead.tables,
            weights=one_behind_the_other(weights, flat),
            gradients=flat.numpy(),
            totals=self.totals.numpy(),
        )
        stages = layout.stages_of(ahead.plan.lines, back=True, products=ahead.together)
        loops = Loops(stages, tables, back=True)
        for chunk in reversed(layout.chunks):
            if ahead.together:
                loops.run_all(chunk)
            else:
                with threads_for(ahead.largest):
                    self._run_stages(loops, chunk)
        starts = Loops(layout.starts_of(back=True), tables, back=True)
        for number, start in reversed(list(enumerate(layout.starts))):
            starts.run(number, start.frames)

    def _run_stages(self, loops: Loops, chunk: range) -> None:
        products = self.ahead.products
        stages = list(enumerate(self.layout.by_stage(products)))[::-1]
        for frames in reversed(self.layout.spans(chunk)):
            for stage, some in stages:
                loops.run(stage, frames)
                for product in some:
                    for t in frames:
                        product.backward(t)
        for product in products:
            product.gather(chunk.start, chunk.stop)

    def results(self) -> Given:
        layout, inputs = self.layout, []
        weights: list[Tensor | None] = [None] * len(layout.extent.spectral)
        for group, product in zip(layout.groups, self.ahead.products, strict=True):
            places = zip(group.reads, group.columns, group.columns[1:], strict=False)
            for one, first, behind in places:
                weights[one.number] = product.total[..., first:behind]
            for n in range(len(group.inputs)):
                through = layout.extent.through
                inputs.append(moved(self.numbers.input(group, n)).flatten(2) if through else None)
        return Given(inputs, weights, [self._filled(room) for room in self.ahead.plan.filled])

    def _filled(self, room: Room) -> Tensor:
        frames, ahead = self.numbers.vectors(room).all, self.layout.gradients[room].ahead
        match room[0]:
            case "step":
                return frames[:ahead].sum(0)
            case "input":
                return frames[ahead:].clone()
            case _:
                return frames[0].sum(1)


def one_behind_the_other(tensors: Sequence[Tensor], like: Tensor) -> Array:
    """All their numbers."""
    return torch.cat([like[:0], *(one.reshape(-1) for one in tensors)]).numpy()


def moved(frames: Tensor) -> Tensor:
    """The same numbers in the sequence of their axes."""
    found = frames.new_empty(frames.shape)
    move(frames, found)
    return found
