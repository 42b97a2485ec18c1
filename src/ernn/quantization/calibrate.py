"""Ranges of a network's edges, observed by running the float reference over calibration frames."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ernn.errors import UserError
from ernn.ir.network import Network
from ernn.ir.reference import observe
from ernn.quantization.integer_fft import packed_rfft

Array = np.ndarray

_READ_BY_PRODUCTS = {"input", "m", "h", "rh"}
"""Edges of `ernn.ir.reference` that a product may read, and so need a spectrum."""


@dataclass(frozen=True)
class Range:
    """Largest absolute value of an edge, and of the packed spectra of its words (0 where no product
    reads it).
    """

    value: float = 0.0
    spectrum: float = 0.0

    def joined(self, other: "Range") -> "Range":
        return Range(max(self.value, other.value), max(self.spectrum, other.spectrum))


def range_of(values: Array, block: int) -> Range:
    """The range of vectors (..., n), cut into words of `block` values."""
    padded = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, -values.shape[-1] % block)])
    words = padded.reshape(*values.shape[:-1], padded.shape[-1] // block, block)
    return Range(
        float(np.abs(values).max(initial=0)), float(np.abs(packed_rfft(words)).max(initial=0))
    )


def calibrate(
    network: Network, utterances: Sequence[Array], block: int
) -> dict[tuple[int, str], Range]:
    """Ranges by (layer, edge), edges named as by `ernn.ir.reference.observe`; utterances are (time,
    inputs) each.

    Raises UserError where there is no frame at all, or a value is not finite.
    """
    ranges: dict[tuple[int, str], Range] = defaultdict(Range)

    def record(layer: int, edge: str, values: Array) -> None:
        if not np.isfinite(values).all():
            raise UserError(
                f"layer {layer}, edge {edge}: a value is not finite; check the calibration frames"
            )
        spectral = edge.split(".")[-1] in _READ_BY_PRODUCTS or edge.startswith("signal.")
        seen = range_of(values, block) if spectral else Range(float(np.abs(values).max(initial=0)))
        ranges[layer, edge] = ranges[layer, edge].joined(seen)

    if sum(len(frames) for frames in utterances) == 0:
        raise UserError(
            "calibration needs at least one frame: give typical utterances as arrays (time, inputs)"
        )
    observe(network, utterances, record)
    return dict(ranges)
