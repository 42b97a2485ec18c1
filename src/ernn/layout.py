"""Where everything lies in the engine's memories. Pure arithmetic on a model and a design.

- spectra: words of k spectrum numbers, one region a signal and stream; the phase (which of two copies) is a further
  address bit.
- gates: words of k product results; word w of gate g of a product lies at base + w * gates + g.
- values: what the vector unit keeps, in beats of as many numbers as it has lanes; states and carried values whole and
  once a stream, the rest one chunk.
- constants: beats of biases and peepholes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

from ernn.design import Design
from ernn.integer_model import IntegerModel, Product, Signal
from ernn.program import Constant, LayerStage, Step, Value, stages


@dataclass(frozen=True, eq=False)
class Layout:
    """Addresses for one model on one design."""

    model: IntegerModel
    design: Design

    @cached_property
    def stages(self) -> tuple[LayerStage, ...]:
        return tuple(stages(self.model))

    def words(self, length: int) -> int:
        """Words of k that hold `length` numbers."""
        return ceil(length / self.model.block)

    @cached_property
    def lanes(self) -> int:
        """Numbers of a word that the vector unit takes a cycle."""
        return self.design.vector_lanes(self.model.block)

    @cached_property
    def beats(self) -> int:
        """Cycles that the vector unit takes for a term of a word."""
        return self.model.block // self.lanes

    @cached_property
    def products(self) -> tuple[Product, ...]:
        return tuple(product for stage in self.stages for product in stage.products)

    @cached_property
    def signals(self) -> tuple[Signal, ...]:
        """Signals that have a spectrum."""
        read = {operand.signal for product in self.products for operand in product.operands}
        return tuple(signal for signal in self.model.signals if signal.name in read)

    @cached_property
    def _spectra(self) -> tuple[dict[str, int], int]:
        return _place((s.name, self.words(s.length) * self.design.streams) for s in self.signals)

    def spectrum(self, signal: str, stream: int) -> int:
        """First word of a signal's spectrum, without the phase bit."""
        return self._spectra[0][signal] + stream * self.words(self.model.signal(signal).length)

    @property
    def spectrum_words(self) -> int:
        return self._spectra[1]

    @cached_property
    def _gates(self) -> tuple[dict[str, int], int]:
        return _place((p.name, self.gate_words(p) * self.design.streams) for p in self.products)

    def gate_words(self, product: Product) -> int:
        return product.gates * self.words(product.length)

    def gates(self, product: Product, stream: int) -> int:
        """First word of a product's results."""
        return self._gates[0][product.name] + stream * self.gate_words(product)

    @property
    def gates_total(self) -> int:
        return self._gates[1]

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        return tuple(step for stage in self.stages for step in stage.steps)

    @cached_property
    def _values(self) -> tuple[dict[str, int], int]:
        kept = {step.keep.name: step.keep for step in self.steps if step.keep is not None}
        return _place((value.name, self._value_words(value)) for value in kept.values())

    def _value_words(self, value: Value) -> int:
        words = self.words(value.length)
        return words * self.design.streams if value.state or value.carried else min(words, self.design.chunk)

    def value(self, value: Value, stream: int, first_word: int) -> int:
        """Address of the first beat of a value's word `first_word`, which begins a chunk."""
        base = self._values[0][value.name]
        if value.state or value.carried:
            base += stream * self.words(value.length) + first_word
        return base * self.beats

    @property
    def value_beats(self) -> int:
        return max(1, self._values[1] * self.beats)

    @cached_property
    def constants(self) -> tuple[dict[tuple[int, int], int], tuple[tuple[np.ndarray, np.ndarray], ...]]:
        """Addresses by (id of bias, id of peephole), and the beats: pairs (biases, peepholes)."""
        bases: dict[tuple[int, int], int] = {}
        memory: list[tuple[np.ndarray, np.ndarray]] = []
        for step in self.steps:
            for term in step.terms:
                peephole = term.b if isinstance(term.b, Constant) else None
                key = (id(term.bias), id(peephole))
                if (term.bias or peephole) and key not in bases:
                    bases[key] = len(memory)
                    memory += zip(self._constant(term.bias, step), self._constant(peephole, step), strict=True)
        return bases, tuple(memory)

    def constant(self, bias: Constant | None, peephole: Constant | None) -> int:
        return self.constants[0].get((id(bias), id(peephole)), 0)

    def _constant(self, constant: Constant | None, step: Step) -> np.ndarray:
        flat = np.zeros(self.words(step.length) * self.model.block, np.int64)
        if constant is not None:
            flat[: step.length] = constant.values
        return flat.reshape(-1, self.lanes)


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
