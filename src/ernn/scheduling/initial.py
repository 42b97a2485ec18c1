"""What memories hold of the time before a sequence: initial values that are not zero.

They have names, '<layer>.<input or step>': two layers may begin with different values of what both
read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ernn.ir.fixed_point import requantize
from ernn.ir.integer_model import IntegerLayer, IntegerModel

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Initial:
    """Initial values of a model."""

    model: IntegerModel

    @cached_property
    def values(self) -> Mapping[str, Array]:
        """Integers (length,) by name, of those that are not all zero."""
        return {
            f"{layer.name}.{name}": values
            for layer in self.model.layers
            for name, values in zip(layer.cell.remembered, layer.initial, strict=False)
            if values is not None and values.any()
        }

    def name(self, layer: IntegerLayer, read: str, delay: int) -> str:
        """Of what a layer reads before its first frame; empty where that is zero, or nothing."""
        name = f"{layer.name}.{read}"
        return name if delay and name in self.values else ""

    @cached_property
    def of_operands(self) -> Mapping[str, tuple[str, ...]]:
        """Names by product, one for each operand."""
        return {
            product.name: tuple(self.name(layer, read.name, read.delay) for read in named.reads)
            for layer in self.model.layers
            for named, product in zip(layer.cell.products, layer.products, strict=True)
        }

    @cached_property
    def signals(self) -> Mapping[str, str]:
        """Signals by the names of their initial values that products read."""
        return {
            name: operand.signal
            for layer in self.model.layers
            for product in layer.products
            for name, operand in zip(self.of_operands[product.name], product.operands, strict=True)
            if name
        }

    def spectrum(self, name: str) -> Array:
        """Words (words, k) of the spectrum of initial values, as `ernn.ir.integer_model` has it."""
        signal, guard = self.model.signal(self.signals[name]), self.model.forward.guard
        assert signal.spectrum is not None
        values, block = self.values[name], self.model.block
        parts = self.model.parts[signal.name]
        words = np.pad(values, (0, -len(values) % block)).reshape(-1, parts, block // parts)
        words = words.swapaxes(1, 2).reshape(-1, block) << guard
        for stage in self.model.forward.stages:
            words = (words @ stage.matrix.T + (1 << stage.shift >> 1)) >> stage.shift
        return requantize(words, signal.format.frac + guard, signal.spectrum)
