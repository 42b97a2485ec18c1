"""How far integers are from the floats that they stand for: what every quantization says of itself.

An error is the root mean square of the difference over that of the floats; in decibels, the ratio
of signal to quantization noise is -20 log10 of it.
"""

from dataclasses import dataclass
from math import log10

Shares = tuple[tuple[str, float], ...]
"""Edges, and of each the share of values, 0..1, at the ends of its format."""
LIMIT = 0.01
"""An error above it is said."""
MOST_DECIBELS = 400.0
"""Said where nothing differs."""


def decibels(error: float) -> float:
    """Signal to quantization noise of an error."""
    return -20 * log10(error) if error else MOST_DECIBELS


@dataclass(frozen=True)
class EdgeError:
    """Of one edge of an integer model against the float network."""

    edge: str
    """Its name, as in `ernn.ir.edges`."""
    rms: float
    """Of the difference, over that of the floats."""
    largest: float
    """Of the difference, in the edge's own unit."""
    at_ends: float
    """Share of values, 0..1, that are the lowest or the highest integer of the format."""


@dataclass(frozen=True)
class Remedy:
    """More bits, and the outputs' error then."""

    what: str
    """A kind of data, `data` for all of them, or `weights`."""
    bits: int
    """That were tried."""
    rms: float
    """Error of the outputs with these bits and those of the remedies before, on the first of the
    frames."""

    def __str__(self) -> str:
        return f"{self.what} {self.bits} bits ({self.rms:.2%})"


@dataclass(frozen=True)
class Error:
    """How far the integers are from the floats, on some frames."""

    rms: float
    """Of the difference of the outputs, over that of the floats: 0.01 is one per cent."""
    largest: float
    """Of the difference, in the outputs' own unit."""
    frames: int
    """How many frames of outputs were compared."""
    edges: tuple[EdgeError, ...] = ()
    """Every edge, on the first of these frames."""
    saturating: tuple[str, ...] = ()
    """States, kept from frame to frame, with values at the ends of their formats."""
    over_time: tuple[float, ...] = ()
    """Error of the worst edge over the longest utterance, in equal stretches of it."""
    remedies: tuple[Remedy, ...] = ()
    """What would help, each together with those before it; empty where that was not tried."""

    @property
    def snr(self) -> float:
        """Signal to quantization noise of the outputs, in decibels."""
        return decibels(self.rms)

    @property
    def worst(self) -> EdgeError | None:
        """The edge with the largest error."""
        return max(self.edges, key=lambda edge: edge.rms, default=None)

    def concern(self, limit: float = LIMIT) -> str:
        """What is wrong, and what to do, in one line; empty where all is as it should be.

        limit: the largest error of the outputs that is good enough.
        """
        ends = ((edge.edge, edge.at_ends) for edge in self.edges if edge.edge in self.saturating)
        found = [saturated(tuple(ends))]
        if self.rms > limit:
            most = f", most at {self.worst.edge} ({self.worst.rms:.2g})" if self.worst else ""
            more = ", then ".join(map(str, self.remedies)) or "weights or data more bits"
            found.append(
                f"the integers are {self.rms:.2%} rms off the floats, more than {limit:.2%}{most}: "
                f"give {more}"
            )
        return "; ".join(one for one in found if one)

    def __str__(self) -> str:
        return (
            f"integers against floats: {self.rms:.2%} rms, at most {self.largest:.2g}, over "
            f"{self.frames:,} frames"
        )


def saturated(shares: Shares) -> str:
    """A line on states with values at the ends; empty where there is none."""
    if not shares:
        return ""
    named = ", ".join(f"{edge} ({share:.2g} of its values)" for edge, share in shares)
    return (
        f"states at the ends of their formats: {named}; choose formats with frames that reach as "
        "far, with more headroom, or give cells more bits"
    )
