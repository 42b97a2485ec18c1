"""Where everything lies in the engine's memories. Pure arithmetic on a model and a design.

A *line* is `Design.words` words of k numbers side by side: a single word, where `words` is 1.

- spectra: words of k spectrum numbers in `Design.splits` banks, one region a signal and stream; the
  phase (which of two
  copies) is a further address bit.  Word w of a signal lies at place w + `shift(signal)` of its
  region, which goes through the banks in turns.
- gates: lines of product results, in the order they are computed
  (`ernn.scheduling.weight_banks.Rows`).
- values: what the vector unit keeps, in beats of as many numbers of each word as it has lanes;
  states and carried
  values whole and once a stream, the rest one chunk.
- constants: beats of biases and peepholes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil

import numpy as np

from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import Product, Signal
from ernn.scheduling.design import Design
from ernn.scheduling.vector_program import Constant, LayerStage, Step, Value, heights, stages
from ernn.scheduling.weight_banks import Column, Pass, Rows, columns_of_groups, passes


@dataclass(frozen=True, eq=False)
class MemoryMap:
    """Addresses for one model on one design."""

    model: IntegerModel
    design: Design

    @cached_property
    def stages(self) -> tuple[LayerStage, ...]:
        return tuple(stages(self.model))

    @property
    def line(self) -> int:
        """Numbers of a line."""
        return self.model.block * self.design.words

    def words(self, length: int) -> int:
        """Words that hold `length` numbers."""
        return ceil(length / self.model.block)

    def lines(self, length: int) -> int:
        """Lines that hold `length` numbers."""
        return ceil(length / self.line)

    @cached_property
    def lanes(self) -> int:
        """Numbers of a word that the vector unit takes a cycle."""
        return self.design.vector_lanes(self.model.block)

    @property
    def beat(self) -> int:
        """Numbers that the vector unit takes a cycle."""
        return self.lanes * self.design.words

    @cached_property
    def beats(self) -> int:
        """Cycles that the vector unit takes for a term of a line."""
        return self.model.block // self.lanes

    @cached_property
    def products(self) -> tuple[Product, ...]:
        return tuple(product for stage in self.stages for product in stage.products)

    @cached_property
    def accumulator_bits(self) -> int:
        """Bits of an element's exact sum over the most columns there are."""
        columns = max(product.block_columns for product in self.products)
        return self.model.input.format.width + self.model.weight_bits + columns.bit_length() + 1

    @cached_property
    def signals(self) -> tuple[Signal, ...]:
        """Signals that have a spectrum."""
        read = {operand.signal for product in self.products for operand in product.operands}
        return tuple(signal for signal in self.model.signals if signal.name in read)

    # --- spectra

    def shift(self, signal: str) -> int:
        """Where a signal's first word lies among the banks; results of the vector unit always begin
        in the first.
        """
        return self._input_shift if signal == self.model.input.name else 0

    @cached_property
    def _input_shift(self) -> int:
        """The shift of the input with which passes are shortest: it fills the banks that others
        leave emptier.
        """
        return min(range(self.design.splits), key=self._array_cycles)

    def _array_cycles(self, shift: int) -> int:
        cycles = 0
        for product in self.products:
            count = ceil(self.rows(product).count / self.design.pes)
            cycles += count * max(len(columns) for columns in self._columns(product, shift))
        return cycles

    def _columns(self, product: Product, shift: int) -> tuple[tuple[Column, ...], ...]:
        banks = {operand.signal: 0 for operand in product.operands} | {self.model.input.name: shift}
        return columns_of_groups(product, banks, self.design.splits)

    @property
    def turns(self) -> int:
        """Lines that fill the banks once: a line's words lie in `words` of them."""
        return self.design.splits // self.design.words

    @cached_property
    def _spectra(self) -> tuple[dict[str, int], int]:
        return _place((s.name, self._spectrum_words(s) * self.design.streams) for s in self.signals)

    def _spectrum_words(self, signal: Signal) -> int:
        """Words that a signal takes in every bank."""
        return ceil(
            (self.lines(signal.length) * self.design.words + self.shift(signal.name))
            / self.design.splits
        )

    def spectrum(self, signal: str, stream: int) -> int:
        """First word of a signal's spectrum in every bank, without the phase bit."""
        return self._spectra[0][signal] + stream * self._spectrum_words(self.model.signal(signal))

    @property
    def spectrum_words(self) -> int:
        """Words of a bank."""
        return self._spectra[1]

    # --- products

    def rows(self, product: Product) -> Rows:
        """The order in which a product's rows are computed."""
        return Rows(product, self.model.block, self.design.words, self._late.get(product.name, ()))

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
                late[product.name] = tuple(
                    g for g in gates if found[product.name, g] < max(found.values())
                )
        return late

    @cached_property
    def passes(self) -> tuple[tuple[Pass, ...], ...]:
        """Passes of each stage in the order of their weights, which lie one pass after the other in
        every bank.
        """
        stages, weights = [], 0
        for stage in self.stages:
            rows = [self.rows(product) for product in stage.products]
            columns = [self._columns(product, self._input_shift) for product in stage.products]
            made = []
            for one in passes(list(zip(rows, columns, strict=True)), self.design.pes):
                made.append(replace(one, weights=weights))
                weights += one.length
            stages.append(tuple(made))
        return tuple(stages)

    @cached_property
    def _gates(self) -> tuple[dict[str, int], int]:
        return _place((p.name, self.gate_words(p) * self.design.streams) for p in self.products)

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
    def steps(self) -> tuple[Step, ...]:
        return tuple(step for stage in self.stages for step in stage.steps)

    @cached_property
    def _values(self) -> tuple[dict[str, int], int]:
        kept = {step.keep.name: step.keep for step in self.steps if step.keep is not None}
        return _place((value.name, self._value_lines(value)) for value in kept.values())

    def _value_lines(self, value: Value) -> int:
        lines = self.lines(value.length)
        if value.state or value.carried:
            return lines * self.design.streams
        return min(lines, self.design.chunk) * self.design.overlap

    def value(self, value: Value, stream: int, first: int, slot: int = 0) -> int:
        """Address of the first beat of a value's line `first`, which begins a chunk; `slot`: the
        place among the chunks at work of what lives no longer than a chunk."""
        base, lines = self._values[0][value.name], self.lines(value.length)
        if value.state or value.carried:
            base += stream * lines + first
        else:
            base += slot * min(lines, self.design.chunk)
        return base * self.beats

    @property
    def value_beats(self) -> int:
        return max(1, self._values[1] * self.beats)

    @cached_property
    def constants(
        self,
    ) -> tuple[dict[tuple[int, int], int], tuple[tuple[np.ndarray, np.ndarray], ...]]:
        """Addresses by (id of bias, id of peephole), and the beats: pairs (biases, peepholes)."""
        bases: dict[tuple[int, int], int] = {}
        memory: list[tuple[np.ndarray, np.ndarray]] = []
        for step in self.steps:
            for term in step.terms:
                peephole = term.b if isinstance(term.b, Constant) else None
                key = (id(term.bias), id(peephole))
                if (term.bias or peephole) and key not in bases:
                    bases[key] = len(memory)
                    memory += zip(
                        self._constant(term.bias, step), self._constant(peephole, step), strict=True
                    )
        return bases, tuple(memory)

    def constant(self, bias: Constant | None, peephole: Constant | None) -> int:
        return self.constants[0].get((id(bias), id(peephole)), 0)

    def _constant(self, constant: Constant | None, step: Step) -> np.ndarray:
        flat = np.zeros(self.lines(step.length) * self.line, np.int64)
        if constant is not None:
            flat[: step.length] = constant.values
        words = flat.reshape(-1, self.design.words, self.beats, self.lanes)
        return words.swapaxes(1, 2).reshape(-1, self.beat)


def address_bits(count: int) -> int:
    """Bits that tell `count` things apart; a port or signal has at least one."""
    return max(1, (count - 1).bit_length())


def _place(sizes: Iterable[tuple[str, int]]) -> tuple[dict[str, int], int]:
    bases: dict[str, int] = {}
    total = 0
    for name, size in sizes:
        bases[name] = total
        total += size
    return bases, total
