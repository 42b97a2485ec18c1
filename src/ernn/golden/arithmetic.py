"""The two costly operations of a layer, so that one description of the cells runs on either implementation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ernn.golden import fft, matvec
from ernn.integer_model import IntegerModel, Product

Array = np.ndarray


class Arithmetic(Protocol):
    """Spectra and products for one model; arrays are int64, with one leading axis of utterances."""

    @property
    def model(self) -> IntegerModel: ...

    def spectrum(self, signal: str, values: Array) -> Array:
        """Vectors (utterances, length) of a signal to spectra (utterances, words, k)."""
        ...

    def product(self, product: Product, spectra: Mapping[str, Array]) -> Array:
        """Spectra by signal's name to outputs (utterances, gates, length)."""
        ...


@dataclass(frozen=True, eq=False)
class Plain:
    """The obvious implementation: the contract's words, in NumPy."""

    model: IntegerModel

    def spectrum(self, signal: str, values: Array) -> Array:
        return fft.spectrum(self.model.forward, self.model.signal(signal), values)

    def product(self, product: Product, spectra: Mapping[str, Array]) -> Array:
        return matvec.product(self.model, product, spectra)
