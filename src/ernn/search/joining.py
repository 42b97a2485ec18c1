"""How many elements have a weight bank together (`Design.joined`): as many as take the least block
RAM, and of several numbers the fewest.
"""

from collections.abc import Iterator
from dataclasses import replace

from ernn.estimate.device import Family
from ernn.estimate.memories import mapped
from ernn.estimate.units import banks
from ernn.ir.integer_model import IntegerModel
from ernn.scheduling.design import Design
from ernn.scheduling.weight_banks import WIDE

MOST = 4


def joined(model: IntegerModel, design: Design, words: int, family: Family) -> tuple[Design, int]:
    """With the least block RAM for banks of about so many words, and how many kbit that is."""
    found = ((one, _kbit(model, one, words, family)) for one in _ways(model, design))
    return min(found, key=lambda one: (one[1], one[0].joined))


def _ways(model: IntegerModel, design: Design) -> Iterator[Design]:
    """Wide words fill block RAMs by themselves."""
    wide = design.packed or model.block * model.weight_bits >= WIDE
    for count in range(1, 1 + (1 if wide else min(MOST, design.pes))):
        yield replace(design, joined=count)


def _kbit(model: IntegerModel, design: Design, words: int, family: Family) -> int:
    numbers = model.block * model.mean_bits
    sizes = [
        (count, words, int(elements * numbers) + design.parity)
        for elements, count in design.banks.items()
    ]
    found = banks(sizes, design)
    return sum(one.count * mapped(one, family).kbit for one in found if one.width)
