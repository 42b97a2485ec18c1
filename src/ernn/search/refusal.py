"""What is said where a device holds no engine of a network: what is short, and what would fit."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from ernn.estimate.area import RESOURCES, Use, least, predict
from ernn.estimate.device import Device, Family, devices
from ernn.estimate.memories import mapped
from ernn.estimate.units import bank_words, banks, sizes
from ernn.ir.integer_model import IntegerModel
from ernn.ir.structure import BLOCK_SIZES
from ernn.scheduling.design import Design
from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.schedule import Schedule, schedule
from ernn.search.choice import EXACT, Request
from ernn.search.joining import joined
from ernn.search.space import pipelines

NAMES = {"lut": "LUTs", "ff": "flip-flops", "dsp": "multipliers", "block_ram": "kbit of block RAM"}
SMALL = (1, 2, 3, 4)  # elements and groups of the engines that are tried
_INSTEAD = {
    "dsp": "a smaller block size needs fewer",
    "block_ram": "a larger block size or fewer weight bits need less",
    "lut": "fewer data bits or a smaller block size need fewer",
    "ff": "fewer data bits or a smaller block size need fewer",
}


def refusal(model: IntegerModel, request: Request) -> str:
    """One line: the engine that lacks least, what it lacks, and what would fit."""
    plan = _smallest(model, request)
    use, design = predict(plan, request.device.family), plan.layout.design
    short = {name: getattr(use, name) - request.limit(name) for name in RESOURCES}
    lacks = "; ".join(_lack(name, use, request) for name, by in short.items() if by > 0)
    worst = max(short, key=lambda name: short[name] / max(1, request.limit(name)))
    asked = (
        f"{_counted(design.elements, 'processing element')}, {_counted(design.streams, 'stream')}"
    )
    would = ", or ".join(_would(plan, request, worst))
    return (
        f"{request.device.name} cannot hold this network in blocks of {_sizes(plan)}: an engine of "
        f"{asked} takes {lacks}; {f'it would fit {would}' if would else _INSTEAD[worst]}"
    )


def _sizes(plan: Schedule) -> str:
    """Block sizes in words, without dense matrices beside others."""
    largest, *others = plan.layout.kept
    return " and ".join(map(str, [*sorted(size for size in others if size > 1), largest]))


def _lack(name: str, use: Use, request: Request) -> str:
    limit, used = request.limit(name), getattr(use, name)
    there = "there are" if name in EXACT else f"that a margin of {request.margin:.0%} leaves"
    return f"{used:,} {NAMES[name]}, {used - limit:,} more than the {limit:,} {there}"


def small_designs(model: IntegerModel, request: Request) -> Iterator[Design]:
    """Engines that take little."""
    sizes, ways = ((request.pes,) if request.pes else SMALL, SMALL), pipelines(request.device)
    for pes, splits, way in product(*sizes, ways):
        streams = request.streams or 1
        given = replace(Design(pes, streams, 16, 1, splits), parity=request.parity)
        design = replace(given, pipeline=way, once=request.once)
        words = bank_words(MemoryMap(model, design))
        yield joined(model, design, words, request.device.family)[0]


def _smallest(model: IntegerModel, request: Request) -> Schedule:
    """Of small engines the one that lacks least."""

    def lack(design: Design) -> float:
        use = least(MemoryMap(model, design), request.device.family)
        return max(getattr(use, name) / max(1, request.limit(name)) for name in RESOURCES)

    return schedule(model, min(small_designs(model, request), key=lack))


def _would(plan: Schedule, request: Request, worst: str) -> Iterator[str]:
    """What would fit, by number."""
    if worst == "block_ram":
        yield from _less_memory(plan, request)
    if request.pes and _fits(plan, replace(request, pes=None)):
        yield f"with other than {_counted(request.pes, 'processing element')} in a group"
    larger = [one for one in devices() if _holds(one, plan, request)]
    alike = [one for one in larger if one.family == request.device.family]
    if larger:
        yield f"on {', '.join(one.name for one in alike or larger)}"


def _less_memory(plan: Schedule, request: Request) -> Iterator[str]:
    layout, family = plan.layout, request.device.family
    model, fewer = layout.model, range(layout.design.streams - 1, 0, -1)
    count = next((n for n in fewer if _fits(plan, replace(request, streams=n))), None)
    if count is not None:
        yield f"with {_counted(count, 'stream')}"
    taken = _weights(layout, model.weight_bits, family)
    room = request.limit("block_ram") - (predict(plan, family).block_ram - taken)
    narrower = range(model.weight_bits - 1, 1, -1)
    bits = next((n for n in narrower if _weights(layout, n, family) <= room), None)
    if bits is not None:
        yield f"with weights of {bits} bits"
    larger = (size for size in BLOCK_SIZES if size > model.block)
    block = next((size for size in larger if taken * model.block <= room * size), None)
    if block is not None:
        yield f"in blocks of {block}, about"


def _weights(layout: MemoryMap, bits: int, family: Family) -> int:
    """kbit of block RAM in weight banks, a weight having so many bits at most."""
    found = banks(sizes(layout, bits), layout.design)
    return sum(one.count * mapped(one, family).kbit for one in found if one.width)


def _fits(plan: Schedule, request: Request) -> bool:
    return request.fits(predict(_smallest(plan.layout.model, request), request.device.family))


def _holds(device: Device, plan: Schedule, request: Request) -> bool:
    return replace(request, device=device).fits(predict(plan, device.family))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
