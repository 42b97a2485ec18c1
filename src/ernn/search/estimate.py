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

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from math import ceil, inf

from ernn.errors import UserError
from ernn.estimate.clock import Clock
from ernn.estimate.device import Device
from ernn.estimate.memories import Memory, mapped
from ernn.ir.integer_model import IntegerModel
from ernn.scheduling.design import Design
from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.timing import Timing
from ernn.scheduling.vector_program import LayerStage, heights
from ernn.search.space import Space, kernels

MEMORY = 0.9
"""Share of a device's block RAM that weight banks may take."""


@dataclass(frozen=True)
class Estimate:
    """Cycles on a design, a frame's (`array`, `vector`) or a layer's (`loop`): see the module."""

    design: Design
    array: int
    vector: int
    loop: int

    @property
    def cycles_per_frame(self) -> float:
        return max(self.array, self.vector, self.loop / self.design.streams)


@dataclass(frozen=True)
class _Busy:
    """What a stage takes of the array and the vector unit, and the delay of its last result."""

    layer: str
    array: int
    vector: int
    wait: int


def estimate(model: IntegerModel, design: Design) -> Estimate:
    """Of a model on a design, in the steady state with all streams busy."""
    layout, timing = MemoryMap(model, design), Timing.of(model, design)
    stages = [_busy(stage, layout, timing) for stage in layout.stages]
    loops = [
        sum(max(one.array, one.vector) + one.wait for one in layer)
        for _, layer in groupby(stages, lambda s: s.layer)
    ]
    return Estimate(
        design, sum(one.array for one in stages), sum(one.vector for one in stages), max(loops)
    )


def best_estimate(model: IntegerModel, device: Device, streams: int) -> Estimate:
    """Of the design that takes least time, at the clock that is assumed for the device.

    Raises UserError where the device holds no such engine.
    """
    clock, least, best = Clock.assumed(device), inf, None
    for shape in Space(model, device, clock, "throughput").shapes():
        if shape.time >= least:
            break  # none of the others promises as much
        design = next(shape.designs("throughput", streams))
        found = estimate(model, design)
        time = found.cycles_per_frame / clock.mhz(design.elements)
        if time < least and _banks(model, design, device) <= MEMORY * device.block_ram.value:
            least, best = time, found
    if best is None:
        raise UserError(
            f"{device.name} has no room for an engine of this network: choose a larger device"
        )
    return best


def _busy(stage: LayerStage, layout: MemoryMap, timing: Timing) -> _Busy:
    array = sum(times * length for times, length in _passes(stage, layout.model, layout.design))
    return _Busy(stage.layer, array, vector_cycles(stage, layout), waits(stage, timing))


def vector_cycles(stage: LayerStage, layout: MemoryMap) -> int:
    """Cycles of the vector unit for a stage of a frame."""
    return sum(layout.lines(step.length) * layout.beats * len(step.terms) for step in stage.steps)


def waits(stage: LayerStage, timing: Timing) -> int:
    """Latencies of a product, of the steps that wait for each other, and of a spectrum."""
    deep = max(heights(stage).values(), default=1)
    return timing.product + (deep - 1) * timing.pipeline.value + timing.spectrum


def _passes(stage: LayerStage, model: IntegerModel, design: Design) -> Iterator[tuple[int, int]]:
    """How often each matrix is multiplied, and the cycles that takes."""
    for product in stage.products:
        for one in kernels(product, model.block, design.words):
            length = max(ceil(one.columns / design.splits), design.pes // design.words)
            yield one.times, ceil(one.rows / design.pes) * length


def _banks(model: IntegerModel, design: Design, device: Device) -> int:
    """kbit of block RAM of all weight banks."""
    stages = MemoryMap(model, design).stages
    words = sum(length for stage in stages for _, length in _passes(stage, model, design))
    bank = Memory("weights", model.block * model.weight_bits, words, False)
    return design.elements * mapped(bank, device.family).kbit
