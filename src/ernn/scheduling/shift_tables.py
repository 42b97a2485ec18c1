"""The few constant shifts an engine needs: formats are fixed per edge, so every alignment is one of
a short list.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ernn.ir.integer_parts import Product
from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.vector_program import Step, Term

Choices = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ShiftTables:
    """Distinct shifts at each place; a tape selects one by its index.

    Right shifts with rounding (negative: left): `rows`, `output`, `spectrum`, `round`.
    Exact left shifts: `product`, `addend`, `bias`.  Bits that are saturated to: `widths`, of rows
    before the inverse transform; `outputs`, after it; `spectra`; `values`, of a step's sum.
    """

    layout: MemoryMap
    rows: Choices
    widths: Choices
    output: Choices
    spectrum: Choices
    product: Choices
    addend: Choices
    bias: Choices
    round: Choices
    outputs: Choices
    spectra: Choices
    values: Choices

    @classmethod
    def of(cls, layout: MemoryMap) -> "ShiftTables":
        terms = [(step, term) for step in layout.steps for term in step.terms]
        empty = cls(layout, *[()] * 11)
        return cls(
            layout,
            rows=_distinct(
                empty.rows_shift(product) + int(more)
                for product in layout.products
                for more in np.unique(0 if product.exponents is None else product.exponents)
            ),
            widths=_distinct(product.rows.width for product in layout.products),
            output=_distinct(empty.output_shift(p) for p in layout.products),
            spectrum=_distinct(
                empty.spectrum_shift(signal.name) for signal in layout.spectra.signals
            ),
            product=_distinct(empty.product_shift(*pair) for pair in terms),
            addend=_distinct(empty.addend_shift(*pair) for pair in terms),
            bias=_distinct(empty.bias_shift(*pair) for pair in terms),
            round=_distinct(step.frac - step.target.frac for step in layout.steps),
            outputs=_distinct(product.output.width for product in layout.products),
            spectra=_distinct(
                empty.spectrum_width(signal.name) for signal in layout.spectra.signals
            ),
            values=_distinct(step.target.width for step in layout.steps),
        )

    def rows_shift(self, product: Product) -> int:
        """Before the inverse transform, of a row without an exponent."""
        return self.layout.model.product_frac(product) - product.rows.frac

    @cached_property
    def of_rows(self) -> tuple[Choices, ...] | None:
        """Where rows have shifts of their own, by bus: each row's index in `rows`, where its result
        lies among all products' results, in the smallest rows there are; None where each product
        has one shift for all.
        """
        layout = self.layout
        if all(product.exponents is None for product in layout.products):
            return None
        words, least = layout.design.words, layout.kept[-1]
        found = np.zeros((words, layout.gates_total * layout.model.block // least), np.int64)
        for product in layout.products:
            shifts = self._row_shifts(product)
            lines, buses = np.divmod(np.arange(len(shifts)), words)
            for stream in range(layout.design.streams):
                first = layout.gates(product, stream) * layout.model.block // least
                found[buses, first + lines * (product.kept // least)] = shifts
        return tuple(map(tuple, found.tolist()))

    def _row_shifts(self, product: Product) -> list[int]:
        """A product's rows, in the order they are computed, as indices in `rows`."""
        order, least = self.layout.rows(product), self.rows_shift(product)
        if product.exponents is None:
            return [self.rows.index(least)] * order.count
        placed = map(order.locate, range(order.count))
        last = product.block_rows - 1  # what lies beyond it is of no matter
        more = (int(product.exponents[gate, min(row, last)]) for gate, row in placed)
        return [self.rows.index(least + one) for one in more]

    def output_shift(self, product: Product) -> int:
        """After the inverse transform, which is not divided by k."""
        return product.rows.frac + self.layout.model.block.bit_length() - 1 - product.output.frac

    def spectrum_shift(self, name: str | None) -> int:
        """After the forward transform."""
        signal = self.layout.model.signal(str(name))
        assert signal.spectrum is not None
        return signal.format.frac + self.layout.model.forward.guard - signal.spectrum.frac

    def spectrum_width(self, name: str | None) -> int:
        """What a spectrum is saturated to."""
        spectrum = self.layout.model.signal(str(name)).spectrum
        assert spectrum is not None
        return spectrum.width

    def product_shift(self, step: Step, term: Term) -> int:
        return 0 if term.product_frac is None else step.frac - term.product_frac

    def addend_shift(self, step: Step, term: Term) -> int:
        return 0 if term.addend is None else step.frac - term.addend.format.frac

    def bias_shift(self, step: Step, term: Term) -> int:
        return 0 if term.bias is None else step.frac - term.bias.format.frac


def _distinct(values: Iterable[int]) -> Choices:
    return tuple(sorted(set(values)))
