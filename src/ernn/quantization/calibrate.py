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
TOGETHER = 64
"""Frames that are looked at at once: one by one the looks take longer than the network."""


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
    if sum(len(frames) for frames in utterances) == 0:
        raise UserError(
            "calibration needs at least one frame: give typical utterances as arrays (time, inputs)"
        )
    looks = _Looks({edge_name(one): blocks.parts(one) for one in network.multiplied}, blocks)
    observe(network, utterances, looks.record)
    return looks.seen()


@dataclass
class _Looks:
    """What is recorded of a network's edges, a frame at a time, and looked at many at once.

    spectral: of edges that products read, how many parts a word has.
    """

    spectral: Mapping[str, int]
    blocks: Blocks
    _rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    _new: dict[str, list[Array]] = field(default_factory=lambda: defaultdict(list))
    _ranges: dict[str, Range] = field(default_factory=lambda: defaultdict(Range))
    _samples: dict[str, list[Array]] = field(default_factory=lambda: defaultdict(list))
    _units: dict[str, Array] = field(default_factory=dict[str, Array])

    def record(self, edge: str, values: Array) -> None:
        if values.size:
            some = self._rng.integers(0, values.size, SAMPLE * len(values))
            self._samples[edge].append(values.ravel()[some])
            self._new[edge].append(values)
            if len(self._new[edge]) >= TOGETHER:
                self._look(edge, self._new.pop(edge))

    def seen(self) -> Seen:
        for edge, new in self._new.items():
            self._look(edge, new)
        samples = {edge: np.concatenate(parts) for edge, parts in self._samples.items()}
        return Seen(self._ranges, self._units, samples)

    def _look(self, edge: str, new: Sequence[Array]) -> None:
        values = np.concatenate(new)
        if not np.isfinite(values).all():
            raise UserError(f"edge {edge}: a value is not finite; check the calibration frames")
        largest = Range(float(np.abs(values).max()))
        parts = self.spectral.get(edge)
        seen = largest if parts is None else range_of(values, self.blocks.largest, parts)
        self._ranges[edge] = self._ranges[edge].joined(seen)
        if values.ndim == 2:
            own = np.abs(values).max(0)
            self._units[edge] = np.maximum(self._units[edge], own) if edge in self._units else own
        starts = np.cumsum([0, *(one.size for one in new[:-1])])
        ends = [of.reduceat(values.ravel(), starts) for of in (np.minimum, np.maximum)]
        self._samples[edge] += ends
