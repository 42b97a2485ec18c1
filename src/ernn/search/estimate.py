"""Estimated cycles of networks with repeated matrices (`ernn.ir.kronecker`), which no engine runs.

Assumed is the engine there is, but that it takes the small matrices of a core one after the other,
each with the words that it meets, and keeps their weights once.  Only rows of one small matrix read
the same words, so only they share a pass.  Then, a frame:

    array  = over all products: small matrices
             * ceil(rows / pes) * max(ceil(columns / splits), pes / words)
    vector = terms of all steps, a line a cycle
    loop   = of the layer that takes longest, stage by stage: what its passes or its terms take,
             whichever is more, and the latencies of a product, of the steps that wait for each
             other and of a spectrum
    cycles = max(streams * array, streams * vector, loop) / streams

Multiplications over the multipliers there are, and what passes and pipelines cost besides.  Of the
area, multipliers and weight banks are held against the device, logic is not.  On networks that the
engine does run, tests hold this between 0.7 and 1.15 times what is scheduled.
"""

from dataclasses import dataclass, replace
from math import inf

from ernn.errors import UserError
from ernn.estimate.clock import Clock
from ernn.estimate.device import Device
from ernn.ir.integer_model import IntegerModel
from ernn.scheduling.design import Design
from ernn.scheduling.memory_map import MemoryMap
from ernn.search.joining import joined
from ernn.search.space import Space
from ernn.search.work import kernels_of, loops, works

MEMORY = 0.9
"""Share of a device's block RAM that weight banks may take."""


@dataclass(frozen=True)
class Estimate:
    """Cycles on a design, a frame's (`array`, `vector`) or a layer's (`loop`): see the module."""

    design: Design
    multipliers: int
    array: int
    vector: int
    loop: int

    @property
    def cycles_per_frame(self) -> float:
        return max(self.array, self.vector, self.loop / self.design.streams)

    def time(self, clock: Clock) -> float:
        """Microseconds of a frame, by the clock that counts."""
        return self.cycles_per_frame / clock.counted(self.design, self.multipliers)


def estimate(model: IntegerModel, design: Design) -> Estimate:
    """Of a model on a design, in the steady state with all streams busy."""
    layout = MemoryMap(model, design)
    found = works(layout)
    array = sum(one.array(design) for one in found)
    vector = layout.beats * sum(one.terms for one in found)
    loop = max(loops(found, design, layout.beats))
    return Estimate(design, layout.multipliers, array, vector, loop)


def best_estimate(model: IntegerModel, device: Device, streams: int) -> Estimate:
    """Of the design that takes least time, at the clock that is assumed for the device.

    Raises UserError where the device holds no such engine.
    """
    clock, least, best = Clock.assumed(device), inf, None
    for shape in Space(model, device, clock, "throughput").shapes():
        if shape.time >= least:
            break  # none of the others promises as much
        design = next(shape.designs(streams))
        found = estimate(model, design)
        time = found.time(clock)
        if time < least and _banks(model, design, device) <= MEMORY * device.block_ram.value:
            least, best = time, found
    if best is None:
        raise UserError(
            f"{device.name} has no room for an engine of this network: choose a larger device"
        )
    return best


def _banks(model: IntegerModel, design: Design, device: Device) -> int:
    """kbit of block RAM of all weight banks."""
    layout = MemoryMap(model, design)
    once = (replace(one, times=1) for one in kernels_of(layout.products, layout))
    words = sum(one.cycles(design) for one in once)
    return joined(model, design, words, device.family)[1]
