"""Where everything lies in the engine's memories. Pure arithmetic on a model and a design.

A *line* is `Design.words` words of k numbers side by side: a single word, where `words` is 1.

- spectra: `ernn.scheduling.spectra_map`.
- gates: lines of product results, in the order they are computed
  (`ernn.scheduling.weight_banks.Rows`).
- values: `ernn.scheduling.value_map`.
- constants: beats of biases and other constant vectors.
- the input's numbers, where a step reads them: lines, each stream's in `ARRIVALS` copies by turns.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from math import ceil

import numpy as np

from ernn.errors import UserError
from ernn.ir.edges import operand_bits
from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import Product
from ernn.scheduling.design import Design, multipliers_per_pe
from ernn.scheduling.head import head_of
from ernn.scheduling.initial import Initial
from ernn.scheduling.layer_stages import stages
from ernn.scheduling.lines import Lines, placed
from ernn.scheduling.slices import Slice, slices
from ernn.scheduling.spectra_map import SpectraMap
from ernn.scheduling.timing import pipeline_of
from ernn.scheduling.value_map import ValueMap, in_beats
from ernn.scheduling.vector_program import Arrived, Constant, LayerStage, Step, heights
from ernn.scheduling.weight_banks import Columns, Pass, Rows, in_parts, passes, placed_by_zeros

ARRIVALS = 4
"""Frames of the input whose numbers are kept for steps.

A step has read a frame's two intervals after the beginning of its round at the latest; by then the
array has given up no more than this frame and the next two, so the fourth behind it is not yet let
in.
"""

FEW = 64
"""Products of an array a cycle that may well have adders and sums of their own."""
TURNS = 4
"""Parts of a pass whose operands come one by one, at most."""


@dataclass(frozen=True, eq=False)
class MemoryMap:
    """Addresses for one model on one design."""

    model: IntegerModel
    design: Design

    @cached_property
    def stages(self) -> tuple[LayerStage, ...]:
        found = stages(self.model)
        return tuple(stage.at_once() for stage in found) if self.design.forwarding else found

    @cached_property
    def head(self) -> int:
        """The first stage that is run for a sequence's last frame only; as many as there are where
        every frame has all.  Raises UserError where nothing can be left out."""
        if not self.design.once:
            return len(self.stages)
        if not self.model.last_step:
            raise UserError(
                "a design with once=True leaves out outputs, and this network gives every frame's: "
                "take once=False, or a network with last_step=True"
            )
        found = head_of(self.stages, self.model.input.name)
        if found is None:
            raise UserError(
                "a design with once=True runs a head for a sequence's last frame only, and this "
                "network has none: what gives its outputs reads the input, or is read by later "
                "frames; take once=False"
            )
        return found

    @cached_property
    def head_edges(self) -> frozenset[str]:
        """Edges that only a sequence's last frame has (`head`)."""
        stages = self.stages[self.head :]
        products = (product.name for stage in stages for product in stage.products)
        steps = [step for stage in stages for step in stage.results]
        spectra = (f"{step.signal}.spectrum" for step in steps if step.signal)
        return frozenset((*products, *spectra, *(step.name for step in steps)))

    @cached_property
    def cut(self) -> Lines:
        return Lines(self.model.block, self.design)

    @property
    def line(self) -> int:
        """Numbers of a line."""
        return self.cut.line

    def lines(self, length: int) -> int:
        """Lines that hold `length` numbers."""
        return self.cut.lines(length)

    @cached_property
    def lanes(self) -> int:
        """Numbers of a word that the vector unit takes a cycle."""
        return self.cut.lanes

    @property
    def beat(self) -> int:
        """Numbers that the vector unit takes a cycle."""
        return self.cut.beat

    @cached_property
    def beats(self) -> int:
        """Cycles that the vector unit takes for a term of a line."""
        return self.cut.beats

    @cached_property
    def products(self) -> tuple[Product, ...]:
        return tuple(product for stage in self.stages for product in stage.products)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        return tuple(step for stage in self.stages for step in stage.steps)

    @cached_property
    def results(self) -> tuple[Step, ...]:
        """Steps, and those made with them."""
        return tuple(step for stage in self.stages for step in stage.results)

    @cached_property
    def looked_up(self) -> tuple[tuple[int, int], ...]:
        """How results are read by the tables of steps made with them: more fraction bits, and bits
        in all."""
        found = ((step.finer, step.then.target.width) for step in self.steps if step.then)
        return tuple(sorted(set(found)))

    @cached_property
    def accumulator_bits(self) -> int:
        """Bits of every exact sum of a row, whatever its weights multiply.  What an element adds up
        on the way there may need more: it wraps around, and the sum is right all the same.
        """
        largest = max(product.heaviest for product in self.products) << operand_bits(self.model) - 1
        return largest.bit_length() + 1

    @cached_property
    def initial(self) -> Initial:
        return Initial(self.model)

    @property
    def multipliers(self) -> int:
        """All multipliers: the array's, and in every vector lane one for products and, where there
        are tables, one for interpolation.
        """
        return self.array_slots // self.design.sharing + self._vector_multipliers

    @property
    def array_slots(self) -> int:
        """Products that the array makes a cycle."""
        return self.design.elements * multipliers_per_pe(self.model.block)

    @property
    def slots(self) -> int:
        """Products that all multipliers make a cycle."""
        return self.array_slots + self._vector_multipliers

    @property
    def _vector_multipliers(self) -> int:
        return (2 if self.model.tables else 1) * self.beat

    @cached_property
    def spectra(self) -> SpectraMap:
        return SpectraMap(self.initial, self.cut, self.products)

    @cached_property
    def values(self) -> ValueMap:
        return ValueMap(self.cut, self.results, self.initial.values)

    # --- what comes in and goes out

    @cached_property
    def arrival_lines(self) -> int:
        """Lines of the input's numbers, of all streams; 0 where no step reads them."""
        terms = (term for step in self.steps for term in step.terms)
        if not any(isinstance(term.addend, Arrived) for term in terms):
            return 0
        return self.lines(self.model.input.length) * self.design.streams

    @cached_property
    def output_stages(self) -> tuple[int, ...]:
        """Stages that send something out."""
        pairs = enumerate(self.stages)
        return tuple(n for n, stage in pairs if any(step.output for step in stage.steps))

    @cached_property
    def output_lines(self) -> int:
        """Lines of a frame's outputs: each begins a line."""
        return sum(self.lines(signal.length) for signal in self.model.results)

    @cached_property
    def output_numbers(self) -> np.ndarray:
        """Where the outputs' numbers lie among all those of a frame's lines."""
        lengths = [signal.length for signal in self.model.results]
        lines = np.cumsum([0, *(self.lines(length) for length in lengths)])
        return np.concatenate(
            [n * self.line + np.arange(size) for n, size in zip(lines[:-1], lengths, strict=True)]
        )

    # --- products

    @cached_property
    def kept(self) -> tuple[int, ...]:
        """Numbers that rows have, the most first: block sizes, 1 of dense matrices."""
        return tuple(sorted({product.kept for product in self.products}, reverse=True))

    def rows(self, product: Product) -> Rows:
        """The order in which a product's rows are computed."""
        return self._rows[product.name]

    @cached_property
    def _rows(self) -> dict[str, Rows]:
        block, words, begins = self.model.block, self.design.words, self.initial.of_operands
        return {
            one.name: Rows(one, block, words, self._late.get(one.name, ()), begins[one.name])
            for one in self.products
        }

    @cached_property
    def _late(self) -> dict[str, tuple[int, ...]]:
        """Gates of each product that fewer steps follow than others of their stage, in a deferred
        design.
        """
        late: dict[str, tuple[int, ...]] = {}
        for stage in self.stages if self.design.deferred else ():
            found = heights(stage)
            for product in stage.products:
                gates = range(product.gates)
                most = max(found.values(), default=0)
                late[product.name] = tuple(
                    g for g in gates if found.get((product.name, g), 0) < most
                )
        return late

    @cached_property
    def passes(self) -> tuple[tuple[Pass, ...], ...]:
        """Passes of each stage, with the addresses of their weights in every bank."""
        made, kept = list[list[Pass]](), 0
        for stage in self.stages:
            rows = [self.rows(product) for product in stage.products]
            columns = [self.spectra.columns(product) for product in stage.products]
            whole = passes(list(zip(rows, columns, strict=True)), self.design.pes)
            made.append([])
            for one in whole:
                parts = self._parts(stage, one, whole, kept)
                kept += len(parts) > 1
                made[-1] += parts
        found = iter(placed_by_zeros([one for stage in made for one in stage]))
        return tuple(tuple(next(found) for _ in stage) for stage in made)

    @cached_property
    def slices(self) -> dict[int, tuple[Slice, ...]]:
        """What banks are cut into, the slice of all words first, by how many elements have one."""
        return self.sliced(self.model.weight_bits)

    def sliced(self, most: int) -> dict[int, tuple[Slice, ...]]:
        """The same if no weight had more than so many bits."""
        fewer = self.model.weight_bits - most
        every = (zeros for stage in self.passes for one in stage for zeros in one.zeros)
        zeros = sorted(max(0, one - fewer) for one in every)
        block, design = self.model.block, self.design
        return {
            elements: slices(zeros, most, elements * block, design.tail, design.parity)
            for elements in design.banks
        }

    def _parts(
        self, stage: LayerStage, one: Pass, every: Sequence[Pass], place: int
    ) -> tuple[Pass, ...]:
        """A pass in parts, whose sums are kept in a place, or as it is."""
        before = self._beforehand(stage, one)
        first, *others = in_parts(one, before or self._in_turn(stage, one, every), place)
        return (replace(first, before=bool(before and others)), *others)

    def _beforehand(self, stage: LayerStage, one: Pass) -> list[Columns]:
        """Columns of each group of what a pass takes from the frame before, and of the input; none
        where they are not made beforehand."""
        early, operands = self._early(stage, one.product), one.product.operands
        late = [number for number in range(len(operands)) if number not in early]
        known = all(operands[n].delay == 1 and not one.parts[0].rows.begins[n] for n in late)
        inputs = all(operands[n].signal == self.model.input.name for n in early)
        if not (self.design.beforehand and known and inputs):
            return []
        return [
            tuple(tuple(c for c in own if (c[0] in late) is when) for own in one.columns)
            for when in (True, False)
        ]

    def _in_turn(self, stage: LayerStage, one: Pass, every: Sequence[Pass]) -> list[Columns]:
        """Columns of each group that a lone stream's pass multiplies one after the other: of
        operands that are there first, and of the others.  Where all come alike, other passes wait
        for the same, and no steps for the first rows, a few columns at a time: as many as results
        need to leave.  Where sums leave, which takes the bus, those of late gates come whole."""
        early = self._early(stage, one.product)
        alone = all(other is one or other.columns != one.columns for other in every)
        whole = early or alone or len(stage.steps) > 1
        if not self.in_parts or (whole and self.sums_leave and (one.late or not self.design.ahead)):
            return [one.columns]
        if whole:
            return [
                tuple(tuple(c for c in own if (c[0] in early) is when) for own in one.columns)
                for when in (True, False)
            ]
        few = max(self.design.pes // self.design.words, ceil(one.length / TURNS))
        beside = self.design.staggered and len({stage.layer for stage in self.stages}) > 1
        least = few if beside else 1  # layers side by side leave no time for a short part's rows
        cuts = sorted({0, one.length, *range(one.length, least - 1, -few)})
        return [tuple(own[a:b] for own in one.columns) for a, b in pairwise(cuts)]

    @cached_property
    def taken_in_turn(self) -> frozenset[str]:
        """Signals of which passes take a few columns at a time."""
        pairs = zip(self.stages, self.passes, strict=True)
        found = ((stage, one) for stage, made in pairs for one in made if one.keeps is not None)
        products = (one.product for stage, one in found if not self._early(stage, one.product))
        return frozenset(read.signal for product in products for read in product.operands)

    def _early(self, stage: LayerStage, product: Product) -> set[int]:
        """Operands that a lone stream's product does not wait for: where it reads results of this
        frame, those of earlier ones and the input; else what is not the layer's own."""
        reads = list(enumerate(product.operands))
        late = {n for n, one in reads if not one.delay and one.signal != self.model.input.name}
        if not late:
            own = (one.steps for one in self.stages if one.layer == stage.layer)
            given = {step.signal for steps in own for step in steps}
            late = {n for n, one in reads if one.signal in given}
        return {n for n, _ in reads} - late

    @property
    def in_parts(self) -> bool:
        """Whether passes may be made in parts: of a lone stream, where it is asked for, or at the
        cost of a few sums only."""
        return self.design.ahead or (self.sums_leave and self.design.streams == 1)

    @property
    def sums_leave(self) -> bool:
        """Whether what is kept of passes in parts leaves the elements, and lies behind the groups'
        sums: where adding it there is no cycle more, and many elements would need an adder."""
        many = self.array_slots > FEW or self.design.beforehand
        return many and not pipeline_of(self.design).levels

    @property
    def sums_in_elements(self) -> int:
        """Sums that an element keeps of passes in parts."""
        return 0 if self.sums_leave else self._sums_kept

    @property
    def sums_at_exit(self) -> int:
        """Rows whose sums are kept behind those of the groups, of each bus."""
        return self._sums_kept * self.design.pes // self.design.words if self.sums_leave else 0

    @cached_property
    def _sums_kept(self) -> int:
        every = (one.keeps for stage in self.passes for one in stage)
        return max((place + 1 for place in every if place is not None), default=0)

    @cached_property
    def _gates(self) -> tuple[dict[str, int], int]:
        return placed((p.name, self.gate_words(p) * self.design.streams) for p in self.products)

    def gate_words(self, product: Product) -> int:
        """Words of a product's results in every bank."""
        return product.gates * self.lines(product.length)

    def gates(self, product: Product, stream: int) -> int:
        """First line of a product's results, which lie in the order they are computed."""
        return self._gates[0][product.name] + stream * self.gate_words(product)

    def gate(self, product: Product, gate: int, stream: int, line: int) -> tuple[int, int]:
        """Where a line of a gate lies, and the distance to the next."""
        place, distance = self.rows(product).place(gate)
        return self.gates(product, stream) + place + line * distance, distance

    @property
    def gates_total(self) -> int:
        return self._gates[1]

    @cached_property
    def constants(
        self,
    ) -> tuple[dict[tuple[int, int], int], tuple[tuple[np.ndarray, np.ndarray], ...]]:
        """Addresses by (id of bias, id of factor), and the beats: pairs (biases, factors)."""
        bases: dict[tuple[int, int], int] = {}
        memory: list[tuple[np.ndarray, np.ndarray]] = []
        for step in self.steps:
            for term in step.terms:
                key = (id(term.bias), id(term.factor))
                if (term.bias or term.factor) and key not in bases:
                    bases[key] = len(memory)
                    pair = (self._constant(one, step) for one in (term.bias, term.factor))
                    memory += zip(*pair, strict=True)
        return bases, tuple(memory)

    def constant(self, bias: Constant | None, factor: Constant | None) -> int:
        return self.constants[0].get((id(bias), id(factor)), 0)

    def _constant(self, constant: Constant | None, step: Step) -> np.ndarray:
        values = np.zeros(step.length, np.int64) if constant is None else constant.values
        return in_beats(self.cut, values)
