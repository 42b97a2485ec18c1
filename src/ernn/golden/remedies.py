"""What would help integers that are too far off the floats: more bits, and of what, by trying."""

from collections.abc import Iterator
from dataclasses import replace

from ernn.golden.trials import Formats, Trials
from ernn.ir.precision import Remedy
from ernn.quantization.drafts import DATA_BITS, WEIGHT_BITS
from ernn.quantization.quantize import QuantizeSpec

HELPS = 0.9
"""Of an error, what a remedy must leave at most."""
WIDE = 16
"""Bits of one kind of data that are tried; of all data and of weights, the most there are."""


def remedies(trials: Trials, found: Formats, limit: float) -> tuple[Remedy, ...]:
    """One after the other, each with those before it, that which helps most: until the outputs are
    off by no more than `limit`, or nothing helps.
    """
    chosen: list[Remedy] = []
    while trials.error(found) > limit:
        wider = dict(_wider(trials, found.spec))
        (what, bits), spec = min(wider.items(), key=lambda one: _error(trials, found, one[1]))
        error = _error(trials, found, spec)
        if error > HELPS * trials.error(found):
            break
        found = found._replace(spec=spec)
        chosen.append(Remedy(what, bits, error))
    return tuple(chosen)


def _error(trials: Trials, found: Formats, spec: QuantizeSpec) -> float:
    return trials.error(found._replace(spec=spec))


def _wider(trials: Trials, spec: QuantizeSpec) -> Iterator[tuple[tuple[str, int], QuantizeSpec]]:
    """What may have more bits, and how many; the narrowest change first, as of equals that is
    taken."""
    for kind in trials.kinds(spec):
        if spec.bits(kind) < WIDE:
            yield (kind, WIDE), replace(spec, data=replace(spec.data, **{kind: WIDE}))
    yield ("weights", WEIGHT_BITS[1]), replace(spec, weight_bits=WEIGHT_BITS[1], weights={})
    yield ("data", DATA_BITS[1]), replace(spec, data_bits=DATA_BITS[1])
