"""The fewest bits with which integers are as good as is asked: found by trying, width by width.

More bits hardly ever make the error larger (`benchmarks/widths.py`), so each width is found by
halving its range.  First all data together, which may use up to `SHARE` of the error; then the
weights together, and each matrix alone, that to which the outputs are least sensitive first; then
so each kind of data.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

from ernn.errors import PrecisionWarning, UserError
from ernn.golden.boundary import dequantize_output, quantize_inputs
from ernn.golden.compiled import Compiled
from ernn.golden.run import run_all
from ernn.ir import reference
from ernn.ir.edges import DataBits
from ernn.ir.network import Network
from ernn.quantization.quantize import Observed, QuantizeSpec, integers, observed
from ernn.quantization.widths import named, names

Array = np.ndarray

FEWEST, MOST = 4, 18
"""Bits that are tried."""
SHARE = 0.7
"""Of the error, that the data may cause before the weights do."""
FRAMES = 500
"""So many, and the rest of an utterance, are compared."""


def fewest_bits(
    network: Network, calibration: Sequence[Array], unseen: Sequence[Array], error: float
) -> QuantizeSpec:
    """Bits of weights and data with which the outputs are off by `error` at most, rms over rms.

    calibration: utterances (time, inputs) that choose formats; unseen: those that measure.

    Raises UserError where 18 bits of everything are not enough.
    """
    trial = _Trial(network, calibration, _some(unseen))
    widest = QuantizeSpec(MOST, MOST)
    if (least := trial.error(widest)) > error:
        raise UserError(
            f"{MOST} bits of everything are {least:.2%} rms off the floats, more than {error:.2%}: "
            "ask for less, or choose formats with other frames"
        )
    by_data = max(SHARE * error, least)
    spec = _least(FEWEST, MOST, lambda n: replace(widest, data_bits=n), trial, by_data)
    spec = _least(FEWEST, MOST, lambda n: replace(spec, weight_bits=n), trial, error)
    spec = _each(names(named(network)), spec, spec.weight_bits, _with_weights, trial, error)
    kinds = [one.name for one in fields(DataBits)]
    return _each(kinds, spec, spec.data_bits, _with_data, trial, error)


_With = Callable[[QuantizeSpec, str, int], QuantizeSpec]


def _each(
    parts: Sequence[str], spec: QuantizeSpec, most: int, make: _With, trial: "_Trial", error: float
) -> QuantizeSpec:
    """With the fewest bits for one part after the other, the least sensitive first."""
    lower, before = max(2, most - 2), spec
    for part in sorted(parts, key=lambda part: trial.error(make(before, part, lower))):
        if trial.error(make(spec, part, 2)) != trial.error(spec):  # else the network has none of it
            spec = _least(2, most, lambda n, p=part, s=spec: make(s, p, n), trial, error)
    return spec


def _with_data(spec: QuantizeSpec, kind: str, bits: int) -> QuantizeSpec:
    own = None if bits == spec.data_bits else bits
    return replace(spec, data=replace(spec.data, **{kind: own}))


def _with_weights(spec: QuantizeSpec, matrix: str, bits: int) -> QuantizeSpec:
    others = {name: own for name, own in spec.weights.items() if name != matrix}
    return replace(spec, weights=others | ({} if bits == spec.weight_bits else {matrix: bits}))


def _least(
    low: int, high: int, make: Callable[[int], QuantizeSpec], trial: "_Trial", error: float
) -> QuantizeSpec:
    """The fewest bits that are good enough, `high` being so."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if trial.error(make(middle)) <= error else (middle + 1, high)
    return make(high)


def _some(utterances: Sequence[Array]) -> Sequence[Array]:
    counts = np.cumsum([len(frames) for frames in utterances])
    return utterances[: 1 + int(np.searchsorted(counts, FRAMES))]


@dataclass(eq=False)
class _Trial:
    """Errors of a network at any bits, each measured once."""

    network: Network
    calibration: Sequence[Array]
    unseen: Sequence[Array]
    seen: dict[tuple[int, int], Observed] = field(default_factory=dict)
    errors: dict[QuantizeSpec, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.expected = np.concatenate(reference.run_all(self.network, self.unseen))

    def error(self, spec: QuantizeSpec) -> float:
        """Of the outputs, rms over rms; infinite where no such integers can be."""
        if spec not in self.errors:
            self.errors[spec] = self._measured(spec)
        return self.errors[spec]

    def _measured(self, spec: QuantizeSpec) -> float:
        bits = spec.data_bits, spec.bits("input")
        if bits not in self.seen:
            self.seen[bits] = observed(self.network, self.calibration, spec)
        try:
            model = integers(self.seen[bits], spec)
        except UserError:  # sums that need more than 62 bits
            return np.inf
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PrecisionWarning)  # what is clipped is in the error
            given = quantize_inputs(model, self.unseen)
        outputs = run_all(model, given, Compiled)
        found = np.concatenate([dequantize_output(model, one) for one in outputs])
        scale = float(np.linalg.norm(self.expected))
        return float(np.linalg.norm(found - self.expected)) / (scale or 1.0)
