"""The design that suits a model and a device: fast first, then small."""

from collections.abc import Iterable
from math import ceil

from ernn.banks import Rows
from ernn.design import Design, multipliers_per_pe
from ernn.device import Device
from ernn.errors import UserError
from ernn.integer_model import IntegerModel
from ernn.layout import Layout
from ernn.schedule import Schedule, schedule

CHUNKS = (4, 8, 16)
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
    counts = [pes] if pes else worthwhile(smallest.layout, left // multipliers_per_pe(model.block))
    lanes = [1 << bit for bit in range(model.block.bit_length())]
    designs = [Design(count, streams, chunk, lane) for count in counts for chunk in CHUNKS for lane in lanes]
    found = [one for one in (schedule(model, design) for design in designs) if one.multipliers <= device.dsp.value]
    fastest = min(one.interval for one in found)
    near = [one for one in found if one.interval <= GOOD_ENOUGH * fastest]
    return min(near, key=lambda one: (one.multipliers, one.interval, one.layout.design.chunk))


def worthwhile(layout: Layout, most: int) -> list[int]:
    """Numbers of processing elements up to `most` that save a pass of some product against one fewer."""
    most = min(most, 512)
    rows = {Rows(product, layout.model.block).count for product in layout.products}
    counts = {ceil(count / passes) for count in rows for passes in _passes(count, most)}
    return sorted(count for count in counts | {1, most} if count <= most)


def _passes(rows: int, most: int) -> Iterable[int]:
    return range(max(1, rows // most), rows + 1)
