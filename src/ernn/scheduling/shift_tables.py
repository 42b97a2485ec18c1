"""The few constant shifts an engine needs: formats are fixed per edge, so every alignment is one of
a short list.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ernn.ir.integer_parts import Product
from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.vector_program import Step, Term

Choices = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ShiftTables:
    """Distinct shifts at each place; a tape selects one by its index.

    Right shifts with rounding (negative: left): `rows`, `output`, `spectrum`, `round`.
    Exact left shifts: `product`, `addend`, `bias`.  `widths`: of rows before the inverse transform.
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

    @classmethod
    def of(cls, layout: MemoryMap) -> "ShiftTables":
        terms = [(step, term) for step in layout.steps for term in step.terms]
        empty = cls(layout, (), (), (), (), (), (), (), ())
        return cls(
            layout,
            rows=_distinct(layout.model.product_frac(p) - p.rows.frac for p in layout.products),
            widths=_distinct(product.rows.width for product in layout.products),
            output=_distinct(empty.output_shift(p) for p in layout.products),
            spectrum=_distinct(
                empty.spectrum_shift(signal.name) for signal in layout.spectra.signals
            ),
            product=_distinct(empty.product_shift(*pair) for pair in terms),
            addend=_distinct(empty.addend_shift(*pair) for pair in terms),
            bias=_distinct(empty.bias_shift(*pair) for pair in terms),
            round=_distinct(step.frac - step.target.frac for step in layout.steps),
        )

    def output_shift(self, product: Product) -> int:
        """After the inverse transform, which is not divided by k."""
        return product.rows.frac + self.layout.model.block.bit_length() - 1 - product.output.frac

    def spectrum_shift(self, name: str | None) -> int:
        """After the forward transform."""
        signal = self.layout.model.signal(str(name))
        assert signal.spectrum is not None
        return signal.format.frac + self.layout.model.forward.guard - signal.spectrum.frac

    def product_shift(self, step: Step, term: Term) -> int:
        return 0 if term.product_frac is None else step.frac - term.product_frac

    def addend_shift(self, step: Step, term: Term) -> int:
        return 0 if term.addend is None else step.frac - term.addend.format.frac

    def bias_shift(self, step: Step, term: Term) -> int:
        return 0 if term.bias is None else step.frac - term.bias.format.frac


def _distinct(values: Iterable[int]) -> Choices:
    return tuple(sorted(set(values)))
