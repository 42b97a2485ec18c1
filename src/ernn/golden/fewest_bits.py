"""The fewest bits with which integers are as good as is asked: found by trying, width by width.

More bits hardly ever make the error larger, so each width is found by halving its range.  First all
data together, which may use up to `SHARE` of the error; then the weights together, and each matrix
alone, that to which the outputs are least sensitive first; then so each kind of data.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from ernn.errors import UserError
from ernn.golden.trials import Array, Formats, Trials, some
from ernn.ir.network import Network
from ernn.quantization.drafts import DATA_BITS, WEIGHT_BITS
from ernn.quantization.quantize import QuantizeSpec
from ernn.quantization.widths import named, names

SHARE = 0.7
"""Of the error, that the data may cause before the weights do."""
MARGIN = 0.9
"""Of an error, what it is at most on the frames that it is measured on: on others it may be more;
less where these differ much (`Trials.likely`)."""
_WIDEST = QuantizeSpec(WEIGHT_BITS[1], DATA_BITS[1])
_ErrorOf = Callable[[QuantizeSpec], float]


def fewest_bits(
    network: Network, calibration: Sequence[Array], unseen: Sequence[Array], error: float
) -> QuantizeSpec:
    """Bits of weights and data with which the outputs are off by `error` at most, rms over rms: on
    all of `unseen` by a margin, for others to be so, too: more of one where utterances differ.

    calibration: utterances (time, inputs) that choose formats; unseen: those that measure.

    Raises UserError where 18 bits of everything are not enough.
    """
    trials = Trials(network, calibration, some(unseen))
    whole = Trials(network, calibration, unseen, trials.seen)
    least = whole.error(Formats(_WIDEST))
    if least > error:
        raise UserError(
            f"{WEIGHT_BITS[1]} bits of everything are {least:.2%} rms off the floats, more than "
            f"{error:.2%}: ask for less, or choose formats with other frames"
        )
    goal = max(error, _on_others(whole, _WIDEST))
    aim = max(MARGIN * error, least)
    while True:
        spec = _fewest(trials, max(aim, trials.error(Formats(_WIDEST))))
        found = _on_others(whole, spec)
        if found <= goal or spec == _WIDEST:
            return spec
        aim *= 0.99 * goal / found


def _on_others(trials: Trials, spec: QuantizeSpec) -> float:
    """The error that is to be expected of other frames, at most."""
    return max(trials.error(Formats(spec)) / MARGIN, trials.likely(Formats(spec)))


def _fewest(trials: Trials, error: float) -> QuantizeSpec:
    """Of an error on frames of `trials`."""

    def error_of(spec: QuantizeSpec) -> float:
        return trials.error(Formats(spec))

    by_data = max(SHARE * error, error_of(_WIDEST))
    spec = _least(*DATA_BITS, lambda n: replace(_WIDEST, data_bits=n), error_of, by_data)
    spec = _least(*WEIGHT_BITS, lambda n: replace(spec, weight_bits=n), error_of, error)
    parts = names(named(trials.network))
    spec = _each(parts, spec, spec.weight_bits, _with_weights, error_of, error)
    return _each(sorted(trials.kinds), spec, spec.data_bits, _with_data, error_of, error)


def _each(
    parts: Sequence[str],
    spec: QuantizeSpec,
    most: int,
    make: Callable[[QuantizeSpec, str, int], QuantizeSpec],
    error_of: _ErrorOf,
    error: float,
) -> QuantizeSpec:
    """With the fewest bits for one part after the other, the least sensitive first."""
    lower, before = max(2, most - 2), spec
    for part in sorted(parts, key=lambda part: error_of(make(before, part, lower))):
        if error_of(make(spec, part, 2)) != error_of(spec):  # else the network has none of it
            spec = _least(2, most, lambda n, p=part, s=spec: make(s, p, n), error_of, error)
    return spec


def _with_data(spec: QuantizeSpec, kind: str, bits: int) -> QuantizeSpec:
    own = None if bits == spec.data_bits else bits
    return replace(spec, data=replace(spec.data, **{kind: own}))


def _with_weights(spec: QuantizeSpec, matrix: str, bits: int) -> QuantizeSpec:
    others = {name: own for name, own in spec.weights.items() if name != matrix}
    return replace(spec, weights=others | ({} if bits == spec.weight_bits else {matrix: bits}))


def _least(
    low: int, high: int, make: Callable[[int], QuantizeSpec], error_of: _ErrorOf, error: float
) -> QuantizeSpec:
    """The fewest bits that are good enough, `high` being so."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if error_of(make(middle)) <= error else (middle + 1, high)
    return make(high)
