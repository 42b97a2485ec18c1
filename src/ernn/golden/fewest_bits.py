"""The fewest bits with which integers are as good as is asked: found by trying, width by width.

More bits hardly ever make the error larger, so each width is found by halving its range.  First all
data together, which may use up to `SHARE` of the error; then the weights together, and each matrix
alone, that to which the outputs are least sensitive first; then so each kind of data.  Last, with
weights that make up for one another's rounding, each matrix loses bits as long as that is good
enough, that of most weights first: a trial or two each, where a search of its own would take as
long again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ernn.errors import UserError
from ernn.golden.trials import Array, Formats, Trials, some
from ernn.ir.network import Network
from ernn.quantization.drafts import DATA_BITS, WEIGHT_BITS
from ernn.quantization.quantize import QuantizeSpec
from ernn.quantization.widths import named, names, sizes

SHARE = 0.7
"""Of the error, that the data may cause before the weights do."""
MARGIN = 0.9
"""Of an error, what it is at most on the frames that it is measured on: on others it may be more;
less where these differ much (`Trials.likely`)."""
_WIDEST = QuantizeSpec(WEIGHT_BITS[1], DATA_BITS[1])
_ErrorOf = Callable[[QuantizeSpec], float]


def fewest_bits(
    network: Network, calibration: Sequence[Array], unseen: Sequence[Array], error: float
) -> Formats:
    """Bits of weights and data, and how weights are rounded, with which the outputs are off by
    `error` at most, rms over rms: on all of `unseen` by a margin, for others to be so, too: more of
    one where utterances differ.  `Formats.integers` makes the model.

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
    goal = max(error, _on_others(whole, Formats(_WIDEST)))
    aim = max(MARGIN * error, least)
    while True:
        formats = _fewest(trials, max(aim, trials.error(Formats(_WIDEST))))
        found = _on_others(whole, formats)
        if found <= goal or formats.spec == _WIDEST:
            return formats
        aim *= 0.99 * goal / found


def _on_others(trials: Trials, formats: Formats) -> float:
    """The error that is to be expected of other frames, at most."""
    return max(trials.error(formats) / MARGIN, trials.likely(formats))


def _fewest(trials: Trials, error: float) -> Formats:
    """Of an error on frames of `trials`."""

    def error_of(spec: QuantizeSpec) -> float:
        return trials.error(Formats(spec))

    by_data = max(SHARE * error, error_of(_WIDEST))
    spec = _least(*DATA_BITS, lambda n: replace(_WIDEST, data_bits=n), error_of, by_data)
    spec = _least(*WEIGHT_BITS, lambda n: replace(spec, weight_bits=n), error_of, error)
    parts = names(named(trials.network))
    spec = _each(parts, spec, spec.weight_bits, _with_weights, error_of, error)
    kinds = trials.kinds(spec)
    spec = _each(kinds, spec, spec.data_bits, _with_data, error_of, error)
    if "cell" not in kinds and "cell" in trials.kinds(spec):  # since hidden ones have fewer bits
        low, high = spec.bits("hidden"), spec.data_bits  # with as few there are no copies
        spec = _least(low, high, lambda n: _with_data(spec, "cell", n), error_of, error)
    return _compensated(trials, spec, error)


def _compensated(trials: Trials, spec: QuantizeSpec, error: float) -> Formats:
    """With fewer bits of weights that make up for one another's rounding; as it is, if that does
    not help.
    """
    weights = sizes(named(trials.network))
    widths = before = {name: spec.weight_width(name) for name in weights}
    for name in sorted(weights, key=lambda name: -weights[name]):
        while widths[name] > WEIGHT_BITS[0]:
            fewer = widths | {name: widths[name] - 1}
            if trials.error(Formats(_of_widths(spec, fewer), compensate=True)) > error:
                break
            widths = fewer
    if widths == before:
        return Formats(spec)
    return Formats(_of_widths(spec, widths), compensate=True)


def _of_widths(spec: QuantizeSpec, widths: Mapping[str, int]) -> QuantizeSpec:
    """With bits of each matrix's weights."""
    most = max(widths.values(), default=spec.weight_bits)
    lower = {name: bits for name, bits in widths.items() if bits < most}
    return replace(spec, weight_bits=most, weights=lower)


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
