"""Integers with the least error of the outputs, of no more bits than are given.

`ernn.quantization` chooses formats edge by edge, each by the error of its own numbers.  Of few bits
that leaves the outputs to luck: a cell that climbs by less than half a step stands still, a gate is
off the same way in every frame, and with a bit more anywhere it may be for the better or the worse.
So where the outputs are off by more than `GOOD`, on frames that choose formats, other formats are
tried there and kept as long as they are better, by more than chance from utterance to utterance:
cells that saturate earlier and have finer steps, formats of a bit less, which are among those that
more bits allow, units for hidden numbers, and weights that make up for one another's rounding; the
last two, which take a trial or three, down to `FINE`, as what is worse than `GOOD` ends there, too.
More bits are hardly ever worse then (`benchmarks/widths.py`, docs/explanation/formats.md).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import takewhile
from math import ceil, inf, log2

from ernn.golden.precision import precision
from ernn.golden.remedies import remedies
from ernn.golden.trials import Array, Formats, Trials, some
from ernn.ir.edges import Kind
from ernn.ir.integer_model import IntegerModel
from ernn.ir.network import Network
from ernn.ir.precision import LIMIT
from ernn.quantization.drafts import DATA_BITS, WEIGHT_BITS
from ernn.quantization.quantize import DEFAULT, QuantizeSpec

FINE, GOOD = 0.001, 0.005
"""Errors of the outputs with which nothing else is tried, and little more than what is given."""
WORTH = 0.98
"""Of an error, what other formats must have at most."""
HOPELESS = 1.5
"""Times an error; a bit less makes it twice as large where it comes of what has the bits."""
Fewer = Callable[[QuantizeSpec], Iterator[QuantizeSpec]]
Find = Callable[[Trials, QuantizeSpec], Formats]
LEVEL = 8.0
"""Cells need not reach further: functions that level off are read over +-4 or +-8."""


def least_error(
    network: Network,
    calibration: Sequence[Array],
    unseen: Sequence[Array],
    spec: QuantizeSpec = DEFAULT,
    limit: float = LIMIT,
) -> tuple[IntegerModel, QuantizeSpec]:
    """The network in integers, as `ernn.quantization.quantize` gives them or better, with their
    error, and their bits.

    calibration: typical utterances (time, inputs) of the training data; the first of them compare
        formats. unseen: those that measure the error. spec: the most bits of weights and data.
        limit: of the error; beyond it the error says what would help.

    Raises UserError as `quantize` does.
    """
    trials = Trials(network, calibration, some(calibration))
    found = best(trials, spec)
    model = trials.model(found)
    error = precision(network, model, unseen)
    if error.rms > limit:
        others = Trials(network, calibration, some(unseen), trials.seen)
        more = remedies(others, found._replace(spec=spec), limit)  # bits that were taken come back
        error = replace(error, remedies=more)
    return replace(model, error=error), found.spec


def best(trials: Trials, spec: QuantizeSpec) -> Formats:
    """The best of what these bits find and what a bit less of all weights finds, and so on as long
    as each is better than the one before: else that may be too many steps away.
    """
    given = Formats(spec)
    if not FINE < trials.error(given) < inf:
        return given
    if trials.error(given) <= GOOD:
        return _better(trials, _nearly_given(trials, given), given)
    found = min(_found_by_less(trials, spec, _less_weights, _with_any_data), key=trials.error)
    return _by_steps(trials, found, spec)


def _with_any_data(trials: Trials, spec: QuantizeSpec) -> Formats:
    """The best found from these bits, and what fewer of data find; then from fewer bits of both
    that are better as they are."""
    found = min(_found_by_less(trials, spec, _less_data, _found_from), key=trials.error)
    beyond = min(_hopeful(trials, Formats(spec), found), key=trials.error)
    if _is_better(trials, beyond, found):
        found = _better(trials, _found_from(trials, beyond.spec), beyond)
    return found


def _nearly_given(trials: Trials, given: Formats) -> Formats:
    """The best of the same bits in another way, and of a bit less of all data or of weights."""
    less = (next(fewer(given.spec), given.spec) for fewer in (_less_data, _less_weights))
    ways = (_in_another_way(trials, given), *map(Formats, less))
    return min(ways, key=trials.error)


def _found_by_less(
    trials: Trials, spec: QuantizeSpec, fewer: Fewer, find: Find
) -> Iterator[Formats]:
    """What is found from these bits and, just as when they are given, from a bit less, and so on as
    long as each is better than the one before."""
    yield find(trials, spec)
    before: Formats | None = None
    for less in fewer(spec):
        found = find(trials, less)
        if before and not _is_better(trials, found, before):
            return
        yield found
        before = found


def _hopeful(trials: Trials, given: Formats, found: Formats) -> Iterator[Formats]:
    """Fewer and fewer bits of data and of weights, until these have `HOPELESS` times an error that
    was found."""

    def some(fewer: Iterator[QuantizeSpec]) -> Iterator[Formats]:
        most = HOPELESS * trials.error(found)
        return takewhile(lambda less: trials.error(less) < most, map(Formats, fewer))

    for data in (given, *some(_less_data(given.spec))):
        yield from (data, *some(_less_weights(data.spec)))


def _less_data(spec: QuantizeSpec) -> Iterator[QuantizeSpec]:
    """With a bit less of all data, and so on."""
    for bits in reversed(range(DATA_BITS[0], spec.data_bits)):
        yield replace(spec, data_bits=bits)


def _less_weights(spec: QuantizeSpec) -> Iterator[QuantizeSpec]:
    """With a bit less of all weights, and so on."""
    for bits in reversed(range(WEIGHT_BITS[0], spec.weight_bits)):
        yield replace(spec, weight_bits=bits)


def _found_from(trials: Trials, spec: QuantizeSpec) -> Formats:
    """By steps; and by steps from another way, there or with all bits: perhaps it is better only a
    step on.
    """
    given = Formats(spec)
    found = _by_steps(trials, given, spec)
    other = _by_steps(trials, _in_another_way(trials, found, given), spec)
    return _better(trials, other, found)


def _in_another_way(trials: Trials, *formats: Formats) -> Formats:
    """The best of other ways of choosing formats and rounding weights
    (`ernn.golden.trials.Formats`).
    """
    ways = [one._replace(compensate=True) for one in formats]
    if trials.has_hidden(formats[0].spec):
        ways += [one._replace(fill_hidden=True) for one in (*formats, *ways)]
    return min(ways, key=trials.error)


def _by_steps(trials: Trials, found: Formats, most: QuantizeSpec) -> Formats:
    """By the best step each time: a bit less of something, or more, up to `most`, or other steps of
    cells.
    """
    finest = ceil(log2(max(1.0, trials.observed(found).furthest / LEVEL)))
    finer = (found._replace(finer_cells=one) for one in range(1, finest + 1))
    others = [*finer, *_near(trials, found, finest, most)]
    while FINE < trials.error(found) < inf:
        other = min(others, key=trials.error, default=found)
        if not _is_better(trials, other, found):
            break
        found, others = other, _near(trials, other, finest, most)
    return found


def _better(trials: Trials, other: Formats, found: Formats) -> Formats:
    return other if _is_better(trials, other, found) else found


def _is_better(trials: Trials, other: Formats, found: Formats) -> bool:
    return trials.error(other) <= WORTH * trials.error(found) and trials.surely(other, found)


def _near(trials: Trials, formats: Formats, finest: int, most: QuantizeSpec) -> list[Formats]:
    finer, kinds = formats.finer_cells, trials.kinds(formats.spec)
    cells = [one for one in (finer - 1, finer + 1) if 0 <= one <= finest]
    return [
        *(formats._replace(spec=one) for one in _beside(formats.spec, kinds, most)),
        *(formats._replace(finer_cells=one) for one in cells),
    ]


def _beside(
    spec: QuantizeSpec, kinds: Sequence[Kind], most: QuantizeSpec
) -> Iterator[QuantizeSpec]:
    """With a bit less of something; then with a bit more, up to `most`."""
    for by in (-1, 1):
        if WEIGHT_BITS[0] <= (bits := spec.weight_bits + by) <= most.weight_bits:
            yield replace(spec, weight_bits=bits)
        if DATA_BITS[0] <= (bits := spec.data_bits + by) <= most.data_bits:
            yield replace(spec, data_bits=bits)
        for kind in kinds:
            if 2 <= (bits := spec.bits(kind) + by) <= most.bits(kind):
                yield replace(spec, data=replace(spec.data, **{kind: bits}))
