"""The design that suits a model and a device: fast first, then small."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product
from math import ceil

from ernn.banks import Rows
from ernn.design import Design, multipliers_per_pe
from ernn.device import Device
from ernn.errors import UserError
from ernn.integer_model import IntegerModel
from ernn.layout import Layout
from ernn.schedule import Schedule, schedule

CHUNKS = (4, 8, 16)
WIDE_CHUNKS = (1, 2)  # lines of several words: fewer of them, and more chunks at a time
OVERLAP, MOST_OVERLAP = 12, 16
WORDS, TURNS = (1, 2, 3, 4, 5, 6, 8), (1, 2, 3, 4)
WIDE = 6  # of the wide shapes, those with the least bound
GOOD_ENOUGH = 1.05


def suitable(model: IntegerModel, device: Device, streams: int, pes: int | None = None) -> Schedule:
    """The schedule with the fewest multipliers among those within 5 % of the fastest that `device` can hold.

    `pes` fixes their number instead.  Raises UserError where the device has too few multipliers for that, or for one.
    """
    smallest = schedule(model, Design(pes or 1, streams, lanes=1))
    if smallest.multipliers > device.dsp.value:
        raise UserError(
            f"block size {model.block} with {pes or 1} processing elements takes {smallest.multipliers} multipliers, "
            f"{device.name} has {device.dsp.value}: choose a larger device, fewer elements or a smaller block"
        )
    left = device.dsp.value - smallest.multipliers + smallest.array_multipliers
    most = left // multipliers_per_pe(model.block)
    shapes = [Design(count, streams) for count in ([pes] if pes else worthwhile(smallest.layout, most))]
    if not pes and most > min(one.block_columns for one in smallest.layout.products):
        shapes += wide(smallest.layout, most)
    return _best(model, device.dsp.value, [design for shape in shapes for design in _variants(smallest.layout, shape)])


def _best(model: IntegerModel, multipliers: int, designs: Iterable[Design]) -> Schedule:
    """By rising bound on the interval, until no design can be near the fastest."""
    layout = Layout(model, Design(1))
    fitting = [design for design in designs if _multipliers(design, model.block) <= multipliers]
    found: list[Schedule] = []
    for design in sorted(fitting, key=lambda one: least_cycles(layout, one)):
        fastest = min((one.cycles_per_frame for one in found), default=None)
        if fastest is not None and least_cycles(layout, design) > GOOD_ENOUGH * fastest:
            break
        found.append(schedule(model, design))
    fastest = min(one.interval for one in found)
    near = [one for one in found if one.interval <= GOOD_ENOUGH * fastest]
    return min(near, key=lambda one: (one.multipliers, one.interval, one.latency, one.layout.design.chunk))


def _multipliers(design: Design, block: int) -> int:
    return design.elements * multipliers_per_pe(block) + 2 * design.vector_lanes(block) * design.words


def _variants(layout: Layout, shape: Design) -> Iterator[Design]:
    """A shape with every width of the vector unit, chunks, stages staggered or not, gates deferred or not."""
    streams = shape.streams
    late = (False, True) if streams > 1 and len(layout.stages) > 1 else (False,)
    for lanes in (1 << bit for bit in range(layout.model.block.bit_length())):
        wide = replace(shape, lanes=lanes)
        if shape.words > 1:
            for chunk, staggered, deferred in product(WIDE_CHUNKS, late, (False, True)):
                yield replace(wide, chunk=chunk, overlap=OVERLAP, staggered=staggered, deferred=deferred)
        else:
            for chunk, staggered in product(CHUNKS, late):
                yield replace(wide, chunk=chunk, staggered=staggered)
            if streams == 1:
                yield replace(wide, chunk=CHUNKS[0], overlap=MOST_OVERLAP, deferred=True)


def least_cycles(layout: Layout, design: Design) -> float:
    """No frame takes fewer: neither its products on the elements nor its steps on the vector unit."""
    block, array = layout.model.block, 0.0
    for one in layout.products:
        rows = Rows(one, block, design.words).count
        array += rows / design.pes * max(ceil(one.block_columns / design.splits), design.pes // design.words)
    beats = block // design.vector_lanes(block)
    terms = sum(ceil(step.length / (block * design.words)) * len(step.terms) for step in layout.steps)
    return max(array, terms * beats)


def worthwhile(layout: Layout, most: int) -> list[int]:
    """Numbers of processing elements up to `most` that save a pass of some product against one fewer."""
    most = min(most, 512)
    rows = {Rows(one, layout.model.block).count for one in layout.products}
    counts = {ceil(count / passes) for count in rows for passes in _passes(count, most)}
    return sorted(count for count in counts | {1, most} if count <= most)


def _passes(rows: int, most: int) -> Iterable[int]:
    return range(max(1, rows // most), rows + 1)


def wide(layout: Layout, most: int) -> list[Design]:
    """The shapes of groups and lines that take the fewest passes' cycles, at most `most` elements in all."""
    streams = layout.design.streams
    shapes = [
        Design(pes, streams, splits=words * turns, words=words)
        for words in WORDS
        for turns in TURNS
        for pes in range(words, min(512, most // (words * turns)) + 1, words)
    ]
    return sorted(shapes, key=lambda one: _pass_cycles(layout, one))[:WIDE]


def _pass_cycles(layout: Layout, design: Design) -> int:
    """Cycles of a frame's passes, or of its steps where those take longer."""
    array = 0
    for one in layout.products:
        passes = ceil(Rows(one, layout.model.block, design.words).count / design.pes)
        array += passes * max(ceil(one.block_columns / design.splits), design.pes // design.words)
    return max(array, ceil(least_cycles(layout, design)))
