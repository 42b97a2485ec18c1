"""A network in integers of any bits, each made and measured once."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ernn.errors import PrecisionWarning, UserError
from ernn.golden.boundary import dequantize_output, quantize_inputs
from ernn.golden.compiled import Compiled
from ernn.golden.run import run_all
from ernn.ir import reference
from ernn.ir.edges import Kind, kind_of
from ernn.ir.integer_model import IntegerModel
from ernn.ir.network import Network
from ernn.quantization.hidden import hidden
from ernn.quantization.quantize import Observed, QuantizeSpec, integers, looked, observed

Array = np.ndarray

FRAMES = 500
"""So many, and the rest of an utterance, are enough to compare formats on."""
FEW, PARTS = 3, 8
"""Of fewer utterances than that, together so many parts are taken: a lone one would say nothing of
chance, and two hardly more."""
SURE = 2.0
"""Standard errors by which an error may be larger than it was measured."""


def some(utterances: Sequence[Array]) -> Sequence[Array]:
    """The first utterances, to compare formats on."""
    counts = np.cumsum([len(frames) for frames in utterances])
    return utterances[: 1 + int(np.searchsorted(counts, FRAMES))]


class Formats(NamedTuple):
    """What integers are made by."""

    spec: QuantizeSpec
    finer_cells: int = 0
    """Fraction bits that cells get beyond those that hold all that was seen; they saturate."""
    fill_hidden: bool = False
    """Whether hidden numbers have units of their own (`ernn.quantization.hidden`)."""
    compensate: bool = False
    """Whether weights make up for one another's rounding (`ernn.quantization.compensation`)."""

    @property
    def how(self) -> tuple[int, bool, bool]:
        """All beside the bits."""
        return self.finer_cells, self.fill_hidden, self.compensate

    def integers(self, network: Network, calibration: Sequence[Array]) -> IntegerModel:
        """A network made so, formats from utterances (time, inputs)."""
        return integers(observed(network, calibration, self.spec, *self.how), self.spec)


@dataclass(eq=False)
class Trials:
    """Integers of a network, and their errors.

    calibration: utterances (time, inputs) that choose formats; measured: those that measure.
    """

    network: Network
    calibration: Sequence[Array]
    measured: Sequence[Array]
    seen: dict[tuple[int, int, int, bool, bool, bool], Observed] = field(default_factory=dict)
    _looked: dict[bool, Observed] = field(default_factory=dict)
    _squares: dict[Formats, Array] = field(default_factory=dict)

    @cached_property
    def expected(self) -> list[Array]:
        """Outputs of the floats, an utterance each."""
        return reference.run_all(self.network, self.measured)

    @cached_property
    def _scales(self) -> Array:
        """The sums of the squares of these."""
        return _sums(self.expected)

    @property
    def _scale(self) -> float:
        return float(self._scales.sum()) or 1.0

    def kinds(self, spec: QuantizeSpec) -> list[Kind]:
        """Of data, that the network has; hidden numbers are cells, too, where copies are read."""
        found: set[Kind] = {"input", "gates"}
        for cell in (layer.cell for layer in self.network.layers):
            found |= {kind_of(cell, step) for step in cell.steps}
            found |= {"cell"} if spec.keeps_states and cell.circular else set()
        return sorted(found)

    def has_hidden(self, spec: QuantizeSpec) -> bool:
        """Whether hidden numbers can have units of their own."""
        return bool(hidden(self._first(spec.keeps_states).network))

    def model(self, formats: Formats) -> IntegerModel:
        """The integers of these formats."""
        return integers(self.observed(formats), formats.spec)

    def observed(self, formats: Formats) -> Observed:
        """What they are chosen from."""
        spec = formats.spec
        how = formats.how
        keeps = spec.keeps_states
        key = spec.data_bits, spec.bits("input"), *how, keeps  # it depends on nothing else
        if key not in self.seen:
            same = (one for other, one in self.seen.items() if other[2:] == key[2:])
            found = next((one for one in same if one.any_bits), None)
            self.seen[key] = found or self._observed(formats)
        return self.seen[key]

    def _observed(self, formats: Formats) -> Observed:
        first = self._first(formats.spec.keeps_states)
        return observed(self.network, self.calibration, formats.spec, *formats.how, first)

    def _first(self, copies: bool) -> Observed:
        if copies not in self._looked:
            self._looked[copies] = looked(self.network, self.calibration, copies)
        return self._looked[copies]

    def error(self, formats: Formats) -> float:
        """Of the outputs, rms over rms; infinite where no such integers can be."""
        return self._relative(self._off(formats).sum())

    def likely(self, formats: Formats) -> float:
        """What it is on other such utterances at most, most likely: `SURE` standard errors of its
        square more, by how much these differ."""
        off = self._off(formats)
        if np.isinf(off.sum()):
            return np.inf
        spread = _deviation(off - self._scales * (off.sum() / self._scale))
        return self._relative(off.sum() + SURE * spread)

    def surely(self, better: Formats, worse: Formats) -> bool:
        """Whether some formats are better than others by more than chance, from utterance to
        utterance, or where they are few from part to part: a standard error of the difference."""
        apart = self._off(better) - self._off(worse)
        return bool(apart.sum() + _deviation(apart) <= 0)

    def _relative(self, squares: float) -> float:
        return np.inf if np.isinf(squares) else float(np.sqrt(squares / self._scale))

    def _off(self, formats: Formats) -> Array:
        """The sums of the squares of what outputs are off by."""
        if formats not in self._squares:
            try:
                self._squares[formats] = self._measured(self.model(formats))
            except UserError:  # sums that need more than 62 bits
                self._squares[formats] = np.array([np.inf])
        return self._squares[formats]

    def _measured(self, model: IntegerModel) -> Array:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PrecisionWarning)  # what is clipped is in the error
            given = quantize_inputs(model, self.measured)
        outputs = run_all(model, given, Compiled)
        pairs = zip(outputs, self.expected, strict=True)
        return _sums([dequantize_output(model, found) - one for found, one in pairs])


def _sums(outputs: Sequence[Array]) -> Array:
    """Of each utterance, or where they are few of each one's parts, the sum of the squares."""
    each = PARTS // max(1, len(outputs)) if len(outputs) < FEW else 1
    parts = (part for one in outputs for part in np.array_split(one, each))
    return np.array([np.square(one).sum() for one in parts])


def _deviation(values: Array) -> float:
    """Standard error of the sum of what utterances or their parts give."""
    count = len(values)
    return float(np.sqrt(np.square(values - values.mean()).sum() * count / max(1, count - 1)))
