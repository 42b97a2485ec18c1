"""Delta networks in integers: products see what they were last told (Neil et al., ICML 2017).

A signal is told word by word: k numbers, one where k = 1.  A word is told, all of it, when any of
its numbers has moved by more than the threshold from what was told last; before the first frame
that is zero.  Products read the spectrum of what was told, steps read the signal itself.  A
product's sum is exact, so the sum of all columns is what updates column by column come to: nothing
drifts, and with threshold 0 every integer is the model's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import floor, isfinite

import numpy as np

from ernn.deltas.updates import Updates
from ernn.errors import UserError
from ernn.golden.arithmetic import Plainly, Term
from ernn.golden.cell import frame_through
from ernn.golden.frames import check_frames, last_step
from ernn.golden.machine import start
from ernn.golden.part import Part, whole
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import ActivationTable, Product

Array = np.ndarray


def run_deltas(
    model: IntegerModel, utterances: Sequence[Array], threshold: float | Mapping[str, float]
) -> tuple[list[Array], Updates]:
    """Outputs (time, outputs) of each utterance (time, inputs), and the columns that were updated.

    `threshold`: in the values' own unit, so that all formats have the same; or one a signal by its
    name ('x', 'l0.h'), 0 for those that are not there.  Raises UserError for a model with a layer
    in both directions or initial states.
    """
    part = _one_way(model)
    limits = {
        signal.name: _limit(threshold, signal.name, signal.format) for signal in model.signals
    }
    if isinstance(threshold, Mapping) and (unknown := set(threshold) - set(limits)):
        raise UserError(f"no signal is called {min(unknown)!r}; they are {', '.join(limits)}")
    outputs, columns = [], {product.name: [] for layer in part.layers for product in layer.products}
    for frames in utterances:
        check_frames(model, frames)
        arithmetic = _Told(Plainly(model), limits, columns)
        memory = start(model, part)
        found = np.empty((len(frames), model.output_size), np.int64)
        for t, frame in enumerate(frames):
            given, memory = frame_through(arithmetic, part, [frame[None]], memory, _ignore)
            found[t] = np.concatenate(given, axis=1)[0]
        outputs.append(last_step(model, found))
    widths = {
        product.name: product.block_columns for layer in part.layers for product in layer.products
    }
    return outputs, Updates(
        model, {n: np.array(c, bool).reshape(-1, widths[n]) for n, c in columns.items()}
    )


@dataclass(eq=False)
class _Told:
    """`ernn.golden.arithmetic.Arithmetic` of one utterance, with what
    products were told of each signal.
    """

    plain: Plainly
    limits: Mapping[str, int]
    columns: dict[str, list[Array]]
    told: dict[str, Array] = field(default_factory=dict)
    changed: dict[str, Array] = field(default_factory=dict)

    @property
    def model(self) -> IntegerModel:
        return self.plain.model

    def constant(self, values: Array) -> Array:
        return self.plain.constant(values)

    def spectrum(self, signal: str, value: Array) -> Array:
        """Of what is told, now that the signal is `value` (1, length)."""
        k, length = self.model.block, value.shape[1]
        words = np.pad(value, [(0, 0), (0, -length % k)]).reshape(-1, k)
        before = self.told.get(signal, np.zeros_like(words))
        changed = np.asarray((np.abs(words - before) > self.limits[signal]).any(axis=1))
        self.changed[signal] = changed
        self.told[signal] = np.where(changed[:, None], words, before)
        return self.plain.spectrum(signal, self.told[signal].reshape(1, -1)[:, :length])

    def product(self, product: Product, spectra: Sequence[Array]) -> list[Array]:
        """All columns, the sum of those that changed; before the first frame nothing was told."""
        none = {
            operand.signal: np.zeros(operand.matrix.weights.shape[2], bool)
            for operand in product.operands
        }
        seen = none | self.changed
        self.columns[product.name].append(
            np.concatenate([seen[operand.signal] for operand in product.operands])
        )
        return self.plain.product(product, spectra)

    def rounded_sum(self, target: FixedFormat, *terms: Term, positive: bool = False) -> Array:
        return self.plain.rounded_sum(target, *terms, positive=positive)

    def activate(self, table: ActivationTable, value: Array) -> Array:
        return self.plain.activate(table, value)


def _one_way(model: IntegerModel) -> Part:
    if model.backward:
        raise UserError("a layer that runs backward is not run by deltas: train one way")
    for layer in model.layers:
        for name, first in zip(layer.cell.remembered, layer.initial, strict=False):
            if first is not None and np.any(first):
                raise UserError(f"{layer.name} has a non-zero initial {name}: deltas begin at zero")
    return whole(model)


def _limit(threshold: float | Mapping[str, float], signal: str, format: FixedFormat) -> int:
    """An integer has moved by more than the threshold just where it has moved by more than this."""
    value = threshold.get(signal, 0.0) if isinstance(threshold, Mapping) else threshold
    if not (isfinite(value) and value >= 0):
        raise UserError(f"a threshold is a number of at least 0, not {value}")
    return floor(value * 2.0**format.frac)


def _ignore(edge: str, *values: Array) -> None:
    """Record nothing."""
