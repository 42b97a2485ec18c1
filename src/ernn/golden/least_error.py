"""Integers with the least error of the outputs, of no more bits than are given.

`ernn.quantization` chooses formats edge by edge, each by the error of its own numbers.  Of few bits
that leaves the outputs to luck: a cell that climbs by less than half a step stands still, a gate is
off the same way in every frame, and with a bit more anywhere it may be for the better or the worse.
So where the outputs are off by more than `GOOD`, on frames that choose formats, other formats are
tried there and kept as long as they are better, by more than chance from utterance to utterance:
cells that saturate earlier and have finer steps, formats of a bit less, which are among those that
more bits allow, units for hidden numbers, and weights that make up for one another's rounding.
More bits are hardly ever worse then (`benchmarks/widths.py`, docs/explanation/formats.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
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

GOOD = 0.005
"""An error of the outputs with which nothing else is tried."""
WORTH = 0.98
"""Of an error, what other formats must have at most."""
OTHER_WAYS: tuple[Mapping[str, bool], ...] = (
    {"fill_hidden": True},
    {"compensate": True},
    {"fill_hidden": True, "compensate": True},
)
"""Of choosing formats and rounding weights (`ernn.golden.trials.Formats`)."""
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
        error = replace(error, remedies=remedies(others, found, limit))
    return replace(model, error=error), found.spec


def best(trials: Trials, spec: QuantizeSpec) -> Formats:
    """The best of the formats found from these bits, and from a bit less of all data: else what is
    found there may be too many steps away; then from the best of `OTHER_WAYS`, if that is better.
    """
    found = _found_from(trials, Formats(spec))
    if GOOD < trials.error(found) < inf:
        others = [_found_from(trials, Formats(one)) for one in _less_data(spec)]
        found = min([found, *(o for o in others if _is_better(trials, o, found))], key=trials.error)
        other = min((found._replace(**more) for more in OTHER_WAYS), key=trials.error)
        other = _found_from(trials, other)  # better only a step from there, perhaps
        found = other if _is_better(trials, other, found) else found
    return found


def _found_from(trials: Trials, found: Formats) -> Formats:
    """By the best step each time: a bit less of something, or other steps of cells."""
    finest = ceil(log2(max(1.0, trials.observed(found).furthest / LEVEL)))
    finer = (found._replace(finer_cells=one) for one in range(1, finest + 1))
    others = [*finer, *_near(trials, found, finest)]
    while GOOD < trials.error(found) < inf:
        other = min(others, key=trials.error, default=found)
        if not _is_better(trials, other, found):
            break
        found, others = other, _near(trials, other, finest)
    return found


def _is_better(trials: Trials, other: Formats, found: Formats) -> bool:
    return trials.error(other) <= WORTH * trials.error(found) and trials.surely(other, found)


def _near(trials: Trials, formats: Formats, finest: int) -> list[Formats]:
    finer = formats.finer_cells
    cells = [one for one in (finer - 1, finer + 1) if 0 <= one <= finest]
    return [
        *(formats._replace(spec=one) for one in _fewer(formats.spec, trials.kinds(formats.spec))),
        *(formats._replace(finer_cells=one) for one in cells),
    ]


def _fewer(spec: QuantizeSpec, kinds: Sequence[Kind]) -> Iterator[QuantizeSpec]:
    if spec.weight_bits > WEIGHT_BITS[0]:
        yield replace(spec, weight_bits=spec.weight_bits - 1)
    yield from _less_data(spec)
    for kind in kinds:
        if (bits := spec.bits(kind)) > 2:
            yield replace(spec, data=replace(spec.data, **{kind: bits - 1}))


def _less_data(spec: QuantizeSpec) -> Iterator[QuantizeSpec]:
    if spec.data_bits > DATA_BITS[0]:
        yield replace(spec, data_bits=spec.data_bits - 1)
