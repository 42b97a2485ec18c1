"""What a layer is computed with, so that one description of the cells (`ernn.golden.cell`) serves
every execution.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ernn.golden import elementwise, fft, matvec
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import ActivationTable, Product

Array = np.ndarray
Value = Any
"""A vector of every stream: what it is, an `Arithmetic` decides."""


@dataclass(frozen=True, eq=False)
class Term:
    """+-v, or +-v*w, exact, with `frac` fraction bits."""

    factors: tuple[Value, ...]
    frac: int
    sign: int = 1

    def by(self, other: "Term") -> "Term":
        """The exact product."""
        return Term(self.factors + other.factors, self.frac + other.frac, self.sign * other.sign)

    def negated(self) -> "Term":
        return Term(self.factors, self.frac, -self.sign)


class Arithmetic(Protocol):
    """The operations of one model's layers. Values are integers in the formats of the edges they
    stand for.
    """

    @property
    def model(self) -> IntegerModel: ...

    def constant(self, values: Array) -> Value:
        """A bias or a peephole, the same for every stream."""
        ...

    def spectrum(self, signal: str, value: Value) -> Value:
        """A signal's spectrum; for products only."""
        ...

    def product(self, product: Product, spectra: Sequence[Value]) -> list[Value]:
        """Outputs, gate by gate, from the spectra of its operands."""
        ...

    def rounded_sum(self, target: FixedFormat, *terms: Term, positive: bool = False) -> Value:
        """The exact sum of the terms, rounded once to `target`; `positive`: 0 where that is below
        it.
        """
        ...

    def activate(self, table: ActivationTable, value: Value) -> Value:
        """The table's function of integers in its input format."""
        ...


@dataclass(frozen=True, eq=False)
class Plainly:
    """The contract's words, in NumPy: values are int64 with one leading axis of streams."""

    model: IntegerModel
    streams: int = 1

    def constant(self, values: Array) -> Array:
        return np.broadcast_to(values, (self.streams, len(values)))

    def spectrum(self, signal: str, value: Array) -> Array:
        model = self.model
        return fft.spectrum(model.forward, model.signal(signal), value, model.parts.get(signal, 1))

    def product(self, product: Product, spectra: Sequence[Array]) -> list[Array]:
        out = matvec.product(self.model, product, spectra)
        return [out[:, gate] for gate in range(product.gates)]

    def rounded_sum(self, target: FixedFormat, *terms: Term, positive: bool = False) -> Array:
        total = elementwise.rounded_sum(
            target, *[(term.sign * _times(term.factors), term.frac) for term in terms]
        )
        return np.maximum(total, 0) if positive else total

    def activate(self, table: ActivationTable, value: Array) -> Array:
        return elementwise.activate(table, value)


def _times(factors: tuple[Array, ...]) -> Array:
    first, *others = factors
    for other in others:
        first = first * other
    return first
