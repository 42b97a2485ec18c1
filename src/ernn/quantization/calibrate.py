"""Ranges of a network's edges, observed by running the float reference over calibration frames."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ernn.errors import UserError
from ernn.ir.edges import edge_name
from ernn.ir.network import Network
from ernn.ir.reference import observe
from ernn.quantization.block_sizes import Blocks
from ernn.quantization.integer_fft import packed_spectra

Array = np.ndarray


SAMPLE = 32
"""Values of an edge that are kept of a frame."""


@dataclass(frozen=True)
class Range:
    """Largest absolute value of an edge, and of the packed spectra of its words.

    The second is 0 where no product reads it.
    """

    value: float = 0.0
    spectrum: float = 0.0

    def joined(self, *others: "Range") -> "Range":
        return Range(
            max([self.value, *(other.value for other in others)]),
            max([self.spectrum, *(other.spectrum for other in others)]),
        )


@dataclass(frozen=True, eq=False)
class Seen:
    """What was seen of a network's edges: ranges, largest absolute values number by number, and a
    sample.
    """

    ranges: Mapping[str, Range]
    units: Mapping[str, Array]
    samples: Mapping[str, Array]
    _known: dict[Hashable, float] = field(default_factory=dict)

    def once(self, key: Hashable, measure: Callable[[], float]) -> float:
        """What is measured on the samples; of a key but once."""
        if key not in self._known:
            self._known[key] = measure()
        return self._known[key]

    def reaching(self, units: Mapping[str, Array]) -> "Seen":
        """As if these were the largest absolute values of edges, number by number."""
        ranges = {
            edge: replace(self.ranges[edge], value=float(own.max())) for edge, own in units.items()
        }
        return replace(self, ranges={**self.ranges, **ranges}, units={**self.units, **units})


def range_of(values: Array, block: int, parts: int) -> Range:
    """The range of vectors (..., n), cut into words of `block` values in so many parts."""
    spectra = packed_spectra(values, block, parts)
    return Range(float(np.abs(values).max(initial=0)), float(np.abs(spectra).max(initial=0)))


def calibrate(network: Network, utterances: Sequence[Array], blocks: Blocks) -> Seen:
    """What is seen by edge, named as by `ernn.ir.reference.observe`; utterances are (time, inputs)
    each.

    Raises UserError where there is no frame at all, or a value is not finite.
    """
    ranges: dict[str, Range] = defaultdict(Range)
    samples: dict[str, list[Array]] = defaultdict(list)
    units: dict[str, Array] = {}
    rng = np.random.default_rng(0)
    spectral = {edge_name(source): blocks.parts(source) for source in network.multiplied}

    def record(edge: str, values: Array) -> None:
        if not np.isfinite(values).all():
            raise UserError(f"edge {edge}: a value is not finite; check the calibration frames")
        largest = Range(float(np.abs(values).max(initial=0)))
        parts = spectral.get(edge)
        seen = largest if parts is None else range_of(values, blocks.largest, parts)
        ranges[edge] = ranges[edge].joined(seen)
        if values.ndim == 2 and len(values):
            own = np.abs(values).max(0)
            units[edge] = np.maximum(units[edge], own) if edge in units else own
        if values.size:
            ends = [values.min(), values.max()]
            samples[edge].append(np.append(rng.choice(values.ravel(), SAMPLE * len(values)), ends))

    if sum(len(frames) for frames in utterances) == 0:
        raise UserError(
            "calibration needs at least one frame: give typical utterances as arrays (time, inputs)"
        )
    observe(network, utterances, record)
    return Seen(ranges, units, {edge: np.concatenate(parts) for edge, parts in samples.items()})
