"""Where all numbers of a pass lie, and what is done with them beside a cell's lines.

What a product reads of a frame lies below each other in a room of its own; what it gives lies in
the region's gates, or, of a weight in blocks, as spectra in a room of sums. Mixes are the
transforms between them (`ernn.nn.spectra`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TypeVar

import numpy as np
import torch

from ernn.ir.cell import Cell
from ernn.ir.network import Array
from ernn.nn.groups import Extent, Group, Reading, groups
from ernn.nn.loops import STRIP, Stage
from ernn.nn.rooms import Place, Places, behind_each_other
from ernn.nn.spectra import spectra, transforms
from ernn.nn.table import Operand, Room, Table, table

T = TypeVar("T")
Row = tuple[int, ...]


@dataclass(frozen=True)
class Way:
    """Rows for `ernn.nn.loops` of a stage, one way."""

    products: Sequence[Row] = ()
    before: Sequence[Row] = ()
    after: Sequence[Row] = ()
    outers: Sequence[Row] = ()

    def stage(self, lines: Array, size: int, products: bool) -> Stage:
        """With lines, of vectors with `size` numbers; `products`: with those, too."""
        first, outers = (one if products else () for one in (self.products, self.outers))
        rows = [_array(one, n) for one, n in ((first, 8), (self.before, 9), (self.after, 9))]
        return Stage(rows[0], rows[1], lines, rows[2], _array(outers, 7), size)


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
class Mix:
    """A transform as `ernn.nn.loops` has it, and its reverse. leads: before the stage's lines.
    late: frames until its result is read.
    """

    stage: int
    leads: bool
    row: Row
    back: Row
    late: int = 0


@dataclass(frozen=True)
class Start:
    """Mixes of what is known before the first frame is run, there and back."""

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
        self._lines = made.stages if self.waits else ((0, len(made.lines)),)
        mixes = [m for one in self.groups for m in (*self._synthesis(one), *self._analysis(one))]
        self.stages = list(self._stages(mixes))
        self.starts = [*self._of_inputs(), *_of_states(mixes)]
        numbers, gradients = {}, {}
        for room, vector in self._vectors.items():
            numbers[room] = self._place(room, vector * self._rows(room))
            gradients[room] = self._place_back(room, vector * self._rows(room))
        for group in self.groups:
            numbers |= self._of_group(group)
            gradients |= self._of_group_back(group)
        self.numbers, self.gradients = behind_each_other(numbers), behind_each_other(gradients)
        self.rows, self.rows_back = self._resolved(self.numbers), self._resolved(self.gradients)

    @property
    def waits(self) -> bool:
        """Whether products read steps, so that each frame waits for the one before."""
        return any(group.steps for group in self.groups)

    def stages_of(self, lines: Array, back: bool, products: bool) -> list[Stage]:
        """For `ernn.nn.loops`, with all of the table's `lines`; `products`: with those, too."""
        return [
            one.ways[back].stage(lines[one.first : one.behind], one.size, products)
            for one in self.stages
        ]

    def starts_of(self, back: bool) -> list[Stage]:
        """The same for what starts the frames, or ends the way back."""
        none = np.zeros((0, 9), np.int64)
        return [one.ways[back].stage(none, 0, False) for one in self.starts]

    @property
    def inputs(self) -> list[Reading]:
        """All reads of inputs."""
        return [one for group in self.groups for one in group.inputs]

    @property
    def chunks(self) -> list[range]:
        """Frames whose gradients are gathered at once."""
        starts = range(0, self.extent.time, self.extent.together)
        return [range(t, min(t + self.extent.together, self.extent.time)) for t in starts]

    def spans(self, chunk: range) -> list[range]:
        """Frames that are run at once, stage by stage."""
        return [range(t, t + 1) for t in chunk] if self.waits else [chunk]

    def by_stage(self, products: Sequence[T]) -> list[list[T]]:
        """What there is of each group, by the stage that waits for it."""
        pairs = list(zip(self.groups, products, strict=True))
        return [
            [one for group, one in pairs if group.stage == stage or not self.waits]
            for stage in range(len(self._lines))
        ]

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
            return Place(0, self.extent.together, size)
        if kind in ("step", "kept") and not keep and room not in self.table.outputs:
            return self._passing(room, size)
        return self._lasting(room, size)

    def _place_back(self, room: Room, size: int) -> Place:
        if room[0] == "gates":
            return Place(0, self.extent.together, size)
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
            frames = 1 if self.waits else self.extent.together
            yield ("sums", group.number), Place(0, frames, self._sums(group))
            yield from self._given(group)

    def _of_group_back(self, group: Group) -> Iterator[tuple[Room, Place]]:
        frames, size = self.extent.time + group.late, group.spectra * self.extent.batch
        size *= group.columns[-1] - self.first(group)
        if size and not group.direct:
            ring = not (self.extent.through and group.inputs)
            frames = 1 << group.late.bit_length() if ring else frames
            yield ("read", group.number), Place(0, frames, size, ring=ring)
        if group.block > 1:
            yield ("sums", group.number), Place(0, self.extent.together, self._sums(group))
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

    def _stages(self, mixes: Sequence[Mix]) -> Iterator[Lines]:
        products = self.by_stage(list(self._products()))
        for number, (first, behind) in enumerate(self._lines):
            some = [mix for mix in mixes if mix.stage == number or not self.waits]
            leads = [mix for mix in some if mix.leads]
            others = [mix for mix in some if not mix.leads]
            rows, back, outers = ([rows[n] for rows in products[number]] for n in range(3))
            ahead = Way(rows, [mix.row for mix in leads], [mix.row for mix in others])
            before, after = ([mix.back for mix in some] for some in (others, leads))
            ways = ahead, Way([row for row in back if row], before, after, outers)
            yield Lines(first, behind, self._vectors[self.table.lines[first].own.room], ways)

    def _products(self) -> Iterator[tuple[Row, Row, Row]]:
        """Of each group, there and back, and the weight's gradient; weights lie one behind the
        other.
        """
        at, at_back, batch = 0, 0, self.extent.batch
        for group in self.groups:
            room, number = ("gates", group.region), group.number
            rows = self._vectors[room] * self._rows(room) // (group.block * batch)
            gives = self._entry(room if group.block == 1 else ("sums", number), 0)
            reads = self._entry(("read", number), 0)
            if group.direct:
                read = group.steps[0].read
                reads = self._entry(("step", read.name), 0, read.delay)
            columns, r = group.columns[-1], group.spectra
            row = gives, reads, at, r, rows, columns, batch, 0
            outer = gives, reads, at, r, rows, columns, batch
            at, columns = at + r * rows * columns, columns - self.first(group)
            back = (reads, gives, at_back, r, columns, rows, batch, int(group.direct))
            at_back += r * rows * columns
            yield row, back if columns else (), outer

    def _synthesis(self, group: Group) -> Iterator[Mix]:
        """From spectra to a region's gates."""
        if group.block == 1:
            return
        room, r, k = ("gates", group.region), group.spectra, group.block
        n, gates = self._vectors[room] // k, self._rows(room)
        _, synthesis, _, synthesis_back = _offsets(k)
        for gate in range(gates):
            sums = self._entry(("sums", group.number), gate * n)
            whole = self._entry(room, gate * n * k)
            row = whole, sums, k, n, r, gates * n, n, synthesis, int(group.adds)
            back = sums, whole, r, gates * n, k, n, n, synthesis_back, 0
            yield Mix(group.stage, True, row, back)

    def _analysis(self, group: Group) -> Iterator[Mix]:
        """From steps to what products read."""
        if group.direct:
            return
        stage = {step.name: n for n, one in enumerate(self.table.cell.stages) for step in one.steps}
        for one, at in zip(group.steps, group.columns[len(group.inputs) :], strict=False):
            row, back = self._analysed(group, one, at, ("step", one.read.name), one.read.delay)
            yield Mix(stage[one.read.name], False, row, back, one.read.delay)

    def _of_inputs(self) -> Iterator[Start]:
        """From inputs to what products in blocks read."""
        for group in self.groups:
            for one, at in zip(group.inputs, group.columns, strict=False):
                if group.block > 1:
                    row, back = self._analysed(group, one, at, ("given", one.number), 0)
                    ways = Way(after=[row]), Way(after=[back] if self.extent.through else [])
                    yield Start(range(self.extent.time), ways)

    def _analysed(
        self, group: Group, one: Reading, at: int, room: Room, late: int
    ) -> tuple[Row, Row]:
        """From a room to columns from `at` on of what a group reads, `late` frames later."""
        r, k, last, batch = group.spectra, group.block, group.columns[-1], self.extent.batch
        analysis, _, analysis_back, _ = _offsets(k)
        first, n = self.first(group), -(-one.units // k) * batch
        of, read = self._entry(room, 0), ("read", group.number)
        there = self._entry(read, at * batch, -late)
        d = self._entry(read, (at - first) * batch, -late)
        row = there, of, r, last * batch, k, n, n, analysis, 0
        back = of, d, k, n, r, (last - first) * batch, n, analysis_back, int(room[0] == "step")
        return row, back


def _of_states(mixes: Sequence[Mix]) -> Iterator[Start]:
    """Of the frames before the first one."""
    for t in range(-max((mix.late for mix in mixes), default=0), 0):
        some = [mix for mix in mixes if mix.late >= -t]
        ways = Way(after=[mix.row for mix in some]), Way(after=[mix.back for mix in some])
        yield Start(range(t, t + 1), ways)


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
    """Where `matrices` has the analysis, the synthesis, and their transposes; 1 where dense."""
    size = block * spectra(block)
    return tuple(range(1, 1 + 4 * size, size)) if block > 1 else (0,) * 4


@cache
def matrices(block: int, dtype: torch.dtype) -> Array:
    """A 1, and the transforms of blocks, one behind the other."""
    if block == 1:
        return torch.ones(1, dtype=dtype).numpy()
    analysis, synthesis = transforms(block, dtype)
    all_ = (analysis, synthesis, analysis.t(), synthesis.t())
    return torch.cat([analysis.new_ones(1), *(one.flatten() for one in all_)]).numpy()


@lru_cache(maxsize=64)
def layout(cell: Cell, rounds: int, extent: Extent) -> Layout:
    """Made once for the sizes that come again and again in training."""
    return Layout(table(cell, rounds), extent)
