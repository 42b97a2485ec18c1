"""Any described cell over time, with its gradient written out.

A frame is a product for each group of reads, then a stage's lines (`ernn.nn.loops`). Products that
are worth sharing out among threads, and those of columns that fill no vector register, are calls of
torch's (`ernn.nn.products`), one a frame; all others are part of the compiled loops, which then
take many frames at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ernn.ir.network import Array
from ernn.nn.groups import Group
from ernn.nn.layout import Layout, Row, Way, matrices
from ernn.nn.loops import VECTOR, Loops, Stage, move
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

    inputs: Sequence[Tensor | None]
    weights: Sequence[Tensor | None]
    filled: Sequence[Tensor | None]

    def flat(self) -> tuple[Tensor | None, ...]:
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

    def stages(self, back: bool, products: bool) -> list[Stage]:
        """Those of every frame; `products`: with theirs."""
        found = []
        for one in self.layout.stages:
            way, lines = one.backward if back else one.forward, self.lines[one.first : one.behind]
            outers = one.outers if back and products else ()
            found.append(_stage(way, lines, one.size, products, outers))
        return found

    def starts(self, back: bool) -> list[Stage]:
        """What starts the frames, or ends the way back."""
        rows = [one.rows_back if back else one.rows for one in self.layout.starts]
        return [_stage(Way((), (), one), self.lines[:0], 0) for one in rows]


def _stage(
    way: Way, lines: Array, size: int, products: bool = False, outers: Sequence[Row] = ()
) -> Stage:
    first, before = _rows(way.products if products else (), 8), _rows(way.before, 9)
    return Stage(first, before, lines, _rows(way.after, 9), _rows(outers, 7), size)


def _rows(rows: Sequence[Row], columns: int) -> Array:
    return np.array(rows, dtype=np.int64).reshape(-1, columns)


class Scan(torch.autograd.Function):
    """(plan, tensors of `Given`) to the outputs (time, batch, units), units in their usual order, and
    the last frames (units, batch) of the steps that are read late.
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

    def input(self, group: Group, n: int) -> Tensor | None:
        """Input n of a group, (time, batch, units / block, block)."""
        time, batch = self._extent.time, self._extent.batch
        if group.block > 1:
            place = self._places.get(("given", group.inputs[n].number))
            if place is None:
                return None
            parts = Frames(self.flat, place, (group.block, -1, batch)).all
            return parts.permute(0, 3, 2, 1)
        reads, (first, behind) = self.reads(group), group.columns[n : n + 2]
        if reads is None:
            return None
        return reads.all[:time, first:behind].transpose(1, 2)[..., None]

    def reads(self, group: Group) -> Frames | None:
        """What a group reads, ([r,] columns, batch) by frame."""
        if group.direct:
            read, batch = group.steps[0].read, self._extent.batch
            return Frames(self.flat, self._places["step", read.name], (-1, batch), read.delay)
        return self._frames(("read", group.number), group)

    def gives(self, group: Group) -> Frames:
        """What a group gives, ([r,] rows, batch) by frame."""
        room = ("gates", group.region) if group.block == 1 else ("sums", group.number)
        found = self._frames(room, group)
        assert found is not None
        return found

    def _frames(self, room: Room, group: Group) -> Frames | None:
        lead = (group.spectra,) if group.block > 1 else ()
        shape = (*lead, -1, self._extent.batch)
        return Frames(self.flat, self._places[room], shape) if room in self._places else None


class Forward:
    """The numbers of a pass. together: whether products are part of the loops."""

    def __init__(self, plan: Plan, given: Given) -> None:
        self.plan, self.layout, extent = plan, plan.layout, plan.layout.extent
        weights = [one.detach() for one in given.weights if one is not None]
        some = next(one for one in given.flat() if one is not None)
        flat = blank(self.layout.numbers, some)
        self.numbers = Numbers(self.layout, self.layout.numbers, flat)
        self.matrices = matrices(extent.block, flat.dtype)
        for room, tensor in zip(plan.filled, given.filled, strict=True):
            self._fill(room, tensor)
        inputs = dict(zip((x.number for x in self.layout.inputs), given.inputs, strict=True))
        self.products = [self._product(group, weights, inputs) for group in self.layout.groups]
        self.largest = max((one.weight.numel() for one in self.products), default=0) * extent.batch
        alone = torch.get_num_threads() == 1 or self.largest < WORTH
        self.together = alone and extent.batch * flat.element_size() % VECTOR == 0

    def _fill(self, room: Room, tensor: Any) -> None:
        frames, ahead = self.numbers.vectors(room).all, self.layout.numbers[room].ahead
        match room[0]:
            case "step":
                frames[:ahead] = tensor
            case "input":
                frames[:ahead] = 0
                frames[ahead:] = tensor
            case _:
                frames[0] = tensor[:, None]

    def _product(self, group: Group, weights: Sequence[Tensor], inputs: Any) -> Product:
        for n, one in enumerate(group.inputs):
            x, there = inputs[one.number].detach(), self.numbers.input(group, n)
            assert there is not None
            move(x.unflatten(2, (-1, group.block)), there)
        reads = self.numbers.reads(group)
        assert reads is not None
        some = [weights[one.number] for one in group.reads]
        weight = some[0] if len(some) == 1 else torch.cat(some, -1)
        return Product(weight, reads, self.numbers.gives(group))

    def run(self) -> None:
        layout, time = self.layout, self.layout.extent.time
        weights = [one.weight.transpose(-1, -2) for one in self.products] if self.together else []
        rows, numbers = layout.rows, self.numbers.flat
        tables = self.tables(weights, rows, numbers, rows, numbers)
        starts = Loops(self.plan.starts(False), tables, False)
        for stage, start in enumerate(layout.starts):
            starts.run(stage, start.frames.start, start.frames.stop)
        loops = Loops(self.plan.stages(False, self.together), tables, False)
        if self.together:
            loops.run_all(0, time)
            return
        stages = layout.by_stage(self.products)
        with threads_for(self.largest):
            for span in (span for chunk in layout.chunks for span in layout.spans(chunk)):
                for stage, products in enumerate(stages):
                    for product in products:
                        for t in span:
                            product.forward(t)
                    loops.run(stage, span.start, span.stop)

    def tables(
        self, weights: Sequence[Tensor], rows: Array, numbers: Tensor, back: Array, d: Tensor
    ) -> list[Array]:
        """As `Loops` takes them."""
        flat = [one.reshape(-1) for one in weights] or [numbers.new_empty(0)]
        plan, floats = self.plan, (self.matrices, torch.cat(flat).numpy())
        known = *floats, plan.formats, plan.results, numbers.numpy(), d.numpy()
        return [self.layout.table.arrays[1], rows, back, *known, known[-1]]

    def results(self) -> tuple[Tensor, ...]:
        """Outputs, and the last frames of the steps that are read late."""
        cell, last = self.layout.table.cell, self.layout.extent.time - 1
        outputs = []
        for frames in map(self.numbers.usual, cell.outputs):
            outputs.append(frames.new_empty(frames.shape[0], *frames.shape[1:]))
            move(frames, outputs[-1])
        outputs = [one.flatten(2) for one in outputs]
        ends = [self.numbers.vectors(("step", name))[last].clone() for name in remembered(cell)]
        return (*outputs, *ends)


class Backward:
    """The gradients of a pass."""

    def __init__(self, ahead: Forward, gradients: Sequence[Tensor]) -> None:
        self.ahead, self.plan, self.layout = ahead, ahead.plan, ahead.layout
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
        layout, ahead, products = self.layout, self.ahead, self.ahead.products
        weights = [one.weight[..., one.first :] for one in products] if ahead.together else []
        known = layout.rows, ahead.numbers.flat, layout.rows_back, self.numbers.flat
        tables = [*ahead.tables(weights, *known)[:-1], self.totals.numpy()]
        loops = Loops(self.plan.stages(True, ahead.together), tables, True)
        for chunk in reversed(layout.chunks):
            if ahead.together:
                loops.run_all(chunk.start, chunk.stop)
            else:
                self._run_stages(loops, chunk)
                for product in products:
                    product.gather(chunk.start, chunk.stop)
        starts = Loops(self.plan.starts(True), tables, True)
        for stage, start in reversed(list(enumerate(layout.starts))):
            starts.run(stage, start.frames.start, start.frames.stop)

    def _run_stages(self, loops: Loops, chunk: range) -> None:
        stages = list(enumerate(self.layout.by_stage(self.ahead.products)))[::-1]
        with threads_for(self.ahead.largest):
            for span in reversed(self.layout.spans(chunk)):
                for stage, products in stages:
                    loops.run(stage, span.start, span.stop)
                    for product in products:
                        for t in span:
                            product.backward(t)

    def results(self) -> Given:
        layout = self.layout
        weights: list[Tensor | None] = [None] * len(layout.extent.spectral)
        inputs = []
        for group, product in zip(layout.groups, self.ahead.products, strict=True):
            places = zip(group.reads, group.columns, group.columns[1:], strict=False)
            for one, first, behind in places:
                weights[one.number] = product.total[..., first:behind]
            inputs += [self._input(group, n) for n in range(len(group.inputs))]
        return Given(inputs, weights, [self._filled(room) for room in self.plan.filled])

    def _input(self, group: Group, n: int) -> Tensor | None:
        d = self.numbers.input(group, n) if self.layout.extent.through else None
        if d is None:
            return None
        found = d.new_empty(d.shape)
        move(d, found)
        return found.flatten(2)

    def _filled(self, room: Room) -> Tensor:
        frames, ahead = self.numbers.vectors(room).all, self.layout.gradients[room].ahead
        match room[0]:
            case "step":
                return frames[:ahead].sum(0)
            case "input":
                return frames[ahead:].clone()
            case _:
                return frames[0].sum(1)
