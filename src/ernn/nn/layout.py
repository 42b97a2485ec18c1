"""Where all numbers of a pass lie, and what is done with them beside a cell's lines.

What a weight reads of a frame lies below each other in a room of its own; what it gives lies in the
region's gates, or, of a weight in blocks, as spectra in a room of sums. Between them are products
with small matrices: the transforms of `ernn.nn.spectra`, or copies.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import torch
from torch import Tensor

from ernn.ir.cell import Cell
from ernn.ir.network import Array
from ernn.nn.groups import Extent, Group, Reading, groups
from ernn.nn.loops import FRAMES, STRIP, Stage, tiled
from ernn.nn.rooms import Place, Places, behind_each_other
from ernn.nn.spectra import spectra, transforms
from ernn.nn.table import Operand, Room, Table, table

Row = tuple[int, ...]


@dataclass(frozen=True)
class Way:
    """Rows of products for `ernn.nn.loops`, two lists before a stage's lines and two after them,
    and of outer products.
    """

    lists: tuple[Sequence[Row], Sequence[Row], Sequence[Row], Sequence[Row]]
    outers: Sequence[Row] = ()

    def stage(self, lines: Array, size: int) -> Stage:
        """With lines, of vectors with `size` numbers."""
        a, b, c, d = (_array(rows, 14) for rows in self.lists)
        return Stage((a, b, c, d), lines, _array(self.outers, 7), size)


def _array(rows: Sequence[Row], columns: int) -> Array:
    return np.array(rows, dtype=np.int64).reshape(-1, columns)


@dataclass(frozen=True)
class Lines:
    """Lines from `first` on before `behind`, of vectors with `size` numbers.

    ways: what is done before and after them, there and back.
    """

    first: int
    behind: int
    size: int
    ways: tuple[Way, Way]


@dataclass(frozen=True)
class Both:
    """A product there and back. late: frames until its result is read."""

    stage: int
    row: Row
    back: Row | None
    late: int = 0


@dataclass(frozen=True)
class Start:
    """What is done before the first frame is run, there and back."""

    frames: range
    ways: tuple[Way, Way]


class Layout:
    """Places of `numbers` and of their `gradients`, also as rows for `ernn.nn.loops`; the products'
    `groups`; the `stages` that are run one after the other in each frame; what `starts` them.
    """

    def __init__(self, made: Table, extent: Extent) -> None:
        self.table, self.extent = made, extent
        self.groups = list(groups(made, extent))
        self._vectors = _vectors(made, extent)
        self._entries = [(o.room, o.row * self._vectors[o.room], o.delay) for o in made.operands]
        analysis = [both for group in self.groups for both in self._analysis(group)]
        self.stages = list(self._stages(analysis))
        self.starts = [*self._of_inputs(), *_of_states(analysis)]
        numbers, gradients = {}, {}
        for room, vector in self._vectors.items():
            numbers[room] = self._place(room, vector * self._rows(room))
            gradients[room] = self._place_back(room, vector * self._rows(room))
        for group in self.groups:
            numbers |= self._of_group(group)
            gradients |= self._of_group_back(group)
        self.numbers, self.gradients = behind_each_other(numbers), behind_each_other(gradients)
        self.rows, self.rows_back = self._resolved(self.numbers), self._resolved(self.gradients)

    def stages_of(self, lines: Array, back: bool) -> list[Stage]:
        """For `ernn.nn.loops`, with all of the table's `lines`."""
        return [
            one.ways[back].stage(lines[one.first : one.behind], one.size) for one in self.stages
        ]

    def starts_of(self, back: bool) -> list[Stage]:
        """The same for what starts the frames, or ends the way back."""
        none = np.zeros((0, 9), np.int64)
        return [one.ways[back].stage(none, 0) for one in self.starts]

    @property
    def inputs(self) -> list[Reading]:
        """All reads of inputs."""
        return [one for group in self.groups for one in group.inputs]

    def first(self, group: Group) -> int:
        """The first column of a group's weight whose read gets a gradient."""
        return 0 if self.extent.through else group.columns[len(group.inputs)]

    # Places

    def _rows(self, room: Room) -> int:
        kind, name = room
        if kind == "gates":
            return self.table.regions[int(name)].gates
        gates = {product.name: product.gates for product in self.table.cell.products}
        return gates[str(name)] if kind == "bias" else 1

    def _place(self, room: Room, size: int) -> Place:
        kind, keep = room[0], self.extent.keep
        if kind in ("vector", "bias"):
            return Place(0, 1, size)
        if kind == "gates" and not (keep and room in self.table.written):
            return Place(0, FRAMES, size)
        if kind in ("step", "kept") and not keep and room not in self.table.outputs:
            return self._passing(room, size)
        return self._lasting(room, size)

    def _place_back(self, room: Room, size: int) -> Place:
        if room[0] == "gates":
            return Place(0, FRAMES, size)
        if room[0] == "input" or room in self.table.outputs:
            return self._lasting(room, size)
        return self._passing(room, size)

    def _lasting(self, room: Room, size: int) -> Place:
        late = self.table.late.get(room, 0)
        return Place(0, self.extent.time + late, size, late, ring=False)

    def _passing(self, room: Room, size: int) -> Place:
        if Operand(room) in self.table.passing:
            return Place(0, 1, STRIP, strip=True)
        late = self.table.late.get(room, 0)
        return Place(0, 1 << late.bit_length(), size, late)

    def _of_group(self, group: Group) -> Iterator[tuple[Room, Place]]:
        frames, size = self.extent.time + group.late, group.spectra * self.extent.batch
        if not group.direct:
            yield ("read", group.number), Place(0, frames, size * group.columns[-1], ring=False)
        if group.block > 1:
            yield ("sums", group.number), Place(0, 1, self._sums(group))
            yield from self._given(group)

    def _of_group_back(self, group: Group) -> Iterator[tuple[Room, Place]]:
        frames, size = self.extent.time + group.late, group.spectra * self.extent.batch
        size *= group.columns[-1] - self.first(group)
        if size and not group.direct:
            ring = not (self.extent.through and group.inputs)
            frames = 1 << group.late.bit_length() if ring else frames
            yield ("read", group.number), Place(0, frames, size, ring=ring)
        if group.block > 1:
            yield ("sums", group.number), Place(0, FRAMES, self._sums(group))
            if self.extent.through:
                yield from self._given(group)

    def _given(self, group: Group) -> Iterator[tuple[Room, Place]]:
        """Inputs as they are given to a product in blocks."""
        for one in group.inputs:
            size = -(-one.units // group.block) * group.block * self.extent.batch
            yield ("given", one.number), Place(0, self.extent.time, size, ring=False)

    def _sums(self, group: Group) -> int:
        room = "gates", group.region
        return self._vectors[room] * self._rows(room) // group.block * group.spectra

    def _resolved(self, places: Places) -> Array:
        rows = [
            places[room].row(first, delay) if room in places else (0,) * 5
            for room, first, delay in self._entries
        ]
        return np.array(rows).reshape(-1, 5)

    # What is done

    def _entry(self, room: Room, first: int, delay: int = 0) -> int:
        self._entries.append((room, first, delay))
        return len(self._entries) - 1

    def _stages(self, analysis: Sequence[Both]) -> Iterator[Lines]:
        weights, outers = zip(*self._weights(), strict=True) if self.groups else ((), ())
        synthesis = [both for group in self.groups for both in self._synthesis(group)]
        for number, (first, behind) in enumerate(self.table.stages):
            lists = [
                [both for both in some if both.stage == number]
                for some in (weights, synthesis, analysis)
            ]
            there = [[both.row for both in some] for some in lists]
            back = [[both.back for both in some if both.back] for some in lists]
            own = [row for stage, row in outers if stage == number]
            ways = (
                Way((there[0], there[1], there[2], [])),
                Way((back[2], [], back[1], back[0]), own),
            )
            yield Lines(first, behind, self._vectors[self.table.lines[first].own.room], ways)

    def _weights(self) -> Iterator[tuple[Both, tuple[int, Row]]]:
        """Each group's weight, and its gradient; they lie one behind the other."""
        at = at_back = len(matrices(self.extent.block, torch.float32))
        batch, total = self.extent.batch, 0
        for group in self.groups:
            room, r, columns = ("gates", group.region), group.spectra, group.columns[-1]
            rows = self._vectors[room] * self._rows(room) // (group.block * batch)
            gives = self._entry(room if group.block == 1 else ("sums", group.number), 0)
            reads = self._entry(("read", group.number), 0)
            if group.direct:
                read = group.steps[0].read
                reads = self._entry(("step", read.name), 0, read.delay)
            to, of = (gives, batch, rows * batch), (reads, batch, columns * batch)
            row = *to, *of, at, rows * columns, r, rows, columns, batch, 0, 0
            outer = group.stage, (gives, reads, total, r, rows, columns, batch)
            at, total = at + r * rows * columns, total + r * rows * columns
            columns -= self.first(group)
            of = reads, batch, columns * batch
            back = *of, *to, at_back, rows * columns, r, columns, rows, batch, int(group.direct), 0
            at_back += r * rows * columns
            yield Both(group.stage, row, back if columns else None), outer

    def _synthesis(self, group: Group) -> Iterator[Both]:
        """From spectra to a region's gates."""
        if group.block == 1:
            return
        room, r, k = ("gates", group.region), group.spectra, group.block
        n, gates = self._vectors[room] // k, self._rows(room)
        _, synthesis, _, synthesis_back = _offsets(k)
        whole = self._entry(room, 0), n, n * k
        sums = self._entry(("sums", group.number), 0), gates * n, n
        row = *whole, *sums, synthesis, 0, gates, k, r, n, int(group.adds), 1
        back = *sums, *whole, synthesis_back, 0, gates, r, k, n, 0, 1
        yield Both(group.stage, row, back)

    def _analysis(self, group: Group) -> Iterator[Both]:
        """From steps to what products read."""
        if group.direct:
            return
        stage = {step.name: n for n, one in enumerate(self.table.cell.stages) for step in one.steps}
        for one, at in zip(group.steps, group.columns[len(group.inputs) :], strict=False):
            row, back = self._analysed(group, one, at, ("step", one.read.name))
            yield Both(stage[one.read.name], row, back, one.read.delay)

    def _of_inputs(self) -> Iterator[Start]:
        """From inputs to what products in blocks read."""
        for group in self.groups:
            for one, at in zip(group.inputs, group.columns, strict=False):
                if group.block > 1:
                    row, back = self._analysed(group, one, at, ("given", one.number))
                    rows = [back] if self.extent.through else []
                    yield _start(range(self.extent.time), [row], rows)

    def _analysed(self, group: Group, one: Reading, at: int, room: Room) -> tuple[Row, Row]:
        """From a room to columns from `at` on of what a group reads, some frames later."""
        late, of_step = (one.read.delay, 1) if room[0] == "step" else (0, 0)
        last, first, batch = group.columns[-1], self.first(group), self.extent.batch
        of, read = self._entry(room, 0), ("read", group.number)
        there = self._entry(read, at * batch, -late)
        d = self._entry(read, (at - first) * batch, -late)
        if group.block == 1:  # a copy, in the parts that others have
            k = self.extent.block
            n = one.units // k * batch
            row = there, n, n, of, n, n, 0, 0, k, 1, 1, n, 0, 1
            return row, (of, n, n, d, n, n, 0, 0, k, 1, 1, n, of_step, 1)
        r, k = group.spectra, group.block
        analysis, _, analysis_back, _ = _offsets(k)
        n = -(-one.units // k) * batch
        row = there, last * batch, 0, of, n, 0, analysis, 0, 1, r, k, n, 0, 1
        back = of, n, 0, d, (last - first) * batch, 0, analysis_back, 0, 1, k, r, n, of_step, 1
        return row, back


def _start(frames: range, rows: Sequence[Row], back: Sequence[Row]) -> Start:
    return Start(frames, (Way((rows, [], [], [])), Way((back, [], [], []))))


def _of_states(analysis: Sequence[Both]) -> Iterator[Start]:
    """Of the frames before the first one."""
    for t in range(-max((both.late for both in analysis), default=0), 0):
        some = [both for both in analysis if both.late >= -t]
        back = [both.back for both in some if both.back]
        yield _start(range(t, t + 1), [both.row for both in some], back)


def _vectors(made: Table, extent: Extent) -> dict[Room, int]:
    """Numbers of a vector of each room."""
    rows, found = dict(extent.rows), {}
    lengths = dict(extent.lengths)
    for number, region in enumerate(made.regions):
        found["gates", number] = rows[region.products[0].name] * extent.batch
    for line in made.lines:
        units = lengths.get(line.name) or rows[line.name.partition(".")[0]]
        found |= {place.room: units * extent.batch for place in line.places}
    return found


def _offsets(block: int) -> tuple[int, ...]:
    """Where `matrices` has the analysis, the synthesis, and what brings gradients back of each."""
    size = block * spectra(block)
    return tuple(range(1, 1 + 4 * size, size))


@cache
def matrices(block: int, dtype: torch.dtype) -> Tensor:
    """A 1, and the transforms of blocks, one behind the other, as `ernn.nn.loops` has weights."""
    one = torch.ones(1, dtype=dtype)
    if block == 1:
        return one
    analysis, synthesis = transforms(block, dtype)
    four = analysis, synthesis, analysis.t(), synthesis.t()
    return torch.cat([one, *map(tiled, four)])


@lru_cache(maxsize=64)
def layout(cell: Cell, rounds: int, extent: Extent) -> Layout:
    """Made once for the sizes that come again and again in training."""
    return Layout(table(cell, rounds), extent)
