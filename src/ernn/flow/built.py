"""What a placed engine takes and how fast it is."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Built:
    """An engine placed on a device."""

    device: str
    """The part's name."""
    clock_mhz: float
    """The median over the seeds, by nextpnr's timing model (no vendor sign-off)."""
    frames_per_second: float
    """Of all streams together, at that clock."""
    latency_us: float
    """Microseconds of one frame through an idle engine, at that clock."""
    area: Mapping[str, int]
    """What is used of each kind: "lut", "ff", "dsp", "block RAM"."""

    def __str__(self) -> str:
        used = ", ".join(f"{count:,} {kind}" for kind, count in self.area.items())
        return (
            f"{self.device}: {self.clock_mhz:.1f} MHz placed, {self.frames_per_second:,.0f} "
            f"frames/s, {self.latency_us:.1f} us a frame; {used}"
        )
