"""From an engine's probe writes back to named edges: which lanes of which edge, on which stream.

The n-th write at a place is the stream's n-th frame: a stream without a frame in a round writes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ernn.layout import address_bits
from ernn.schedule import Schedule


@dataclass(frozen=True)
class Place:
    """Lanes `first` to `first + count - 1` of an edge, on one stream."""

    edge: str
    stream: int
    first: int
    count: int


def _owner(bases: dict[tuple[str, int], int], address: int) -> tuple[str, int, int]:
    """(name, stream, offset) of the region that holds an address."""
    (name, stream), base = max(((key, b) for key, b in bases.items() if b <= address), key=lambda pair: pair[1])
    return name, stream, address - base


def spectrum_place(schedule: Schedule, address: int) -> Place:
    """Address: word, then the phase as its highest bit."""
    layout, k = schedule.layout, schedule.layout.model.block
    bits = address_bits(layout.spectrum_words)
    streams = range(layout.design.streams)
    bases = {(s.name, stream): layout.spectrum(s.name, stream) for s in layout.signals for stream in streams}
    name, stream, word = _owner(bases, address & ((1 << bits) - 1))
    return Place(f"{name}.spectrum", stream, word * k, k)


def product_place(schedule: Schedule, address: int) -> Place | None:
    """Address: number of the row's first result, then a dense row's flag; None for a row that only fills a word."""
    layout, k = schedule.layout, schedule.layout.model.block
    bits = address_bits(layout.gates_total * k)
    dense, number = address >> bits, address & ((1 << bits) - 1)
    streams = range(layout.design.streams)
    bases = {(p.name, stream): layout.gates(p, stream) * k for p in layout.products for stream in streams}
    name, stream, offset = _owner(bases, number)
    product = next(p for p in layout.products if p.name == name)
    word_gate, lane = divmod(offset, k)
    word, gate = divmod(word_gate, product.gates)
    inside = word * k + lane
    count = min(1 if dense else k, product.length - inside)
    return Place(name, stream, gate * product.length + inside, count) if count > 0 else None


def vector_place(schedule: Schedule, address: int) -> Place | None:
    """Address: how often the step's group has been played, then the tape row; None for lanes that only fill a word."""
    layout = schedule.layout
    bits = schedule.vector.index_bits
    edge, stream, word = schedule.edges[address >> bits]
    length = next(step.length for step in layout.steps if step.name == edge)
    first = word * layout.model.block + (address & ((1 << bits) - 1)) * layout.lanes
    return Place(edge, stream, first, min(layout.lanes, length - first)) if first < length else None


LOCATORS: dict[str, Callable[[Schedule, int], Place | None]] = {
    "spectrum": spectrum_place,
    "product": product_place,
    "vector": vector_place,
}
