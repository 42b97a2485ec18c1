"""From an engine's probe writes back to named edges: which lanes of which edge, on which stream.

The n-th write at a place is the stream's n-th frame: a stream without a frame in a round writes
nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ernn.scheduling.lines import address_bits
from ernn.scheduling.schedule import Schedule


@dataclass(frozen=True)
class Place:
    """Lanes `first` to `first + count - 1` of an edge, on one stream; `copy`: not 0 where a step
    only copies the edge.
    """

    edge: str
    stream: int
    first: int
    count: int
    copy: int = 0


def _owner(bases: dict[tuple[str, int], int], address: int) -> tuple[str, int, int]:
    """(name, stream, offset) of the region that holds an address."""
    (name, stream), base = max(
        ((key, b) for key, b in bases.items() if b <= address), key=lambda pair: pair[1]
    )
    return name, stream, address - base


def probe_names(kind: str, words: int) -> tuple[str, ...]:
    """Names of a kind's probes, one for each word of a line."""
    return (kind,) if words == 1 else tuple(f"{kind}{column}" for column in range(words))


def spectrum_place(schedule: Schedule, column: int, address: int) -> Place | None:
    """Address: slot, then the copy in the highest bits; None for a word that only fills a line."""
    layout, spectra = schedule.layout, schedule.layout.spectra
    k, words = layout.model.block, layout.design.words
    bits = address_bits(spectra.places * spectra.turns)
    bases = {
        (signal.name, stream): spectra.place(signal.name, stream) * spectra.turns
        for signal in spectra.signals
        for stream in range(layout.design.streams)
    }
    name, stream, slot = _owner(bases, address & ((1 << bits) - 1))
    word = slot * words + column - spectra.shift(name)
    inside = 0 <= word < layout.cut.words(layout.model.signal(name).length)
    return Place(f"{name}.spectrum", stream, word * k, k) if inside else None


def product_place(schedule: Schedule, column: int, address: int) -> Place | None:
    """Address: number of the row's first result, then which of `MemoryMap.kept` it has; None for
    a row that only fills a line.
    """
    layout, k = schedule.layout, schedule.layout.model.block
    bits = address_bits(layout.gates_total * k)
    kept, number = layout.kept[address >> bits], address & ((1 << bits) - 1)
    streams = range(layout.design.streams)
    bases = {
        (p.name, stream): layout.gates(p, stream) * k for p in layout.products for stream in streams
    }
    name, stream, offset = _owner(bases, number)
    product = next(p for p in layout.products if p.name == name)
    place, lane = divmod(offset, k)
    rows = layout.rows(product)
    gate, row = rows.locate((place * rows.parts + lane // kept) * rows.side + column)
    inside = row * kept
    count = min(kept, product.length - inside)
    return Place(name, stream, gate * product.length + inside, count) if count > 0 else None


def vector_place(schedule: Schedule, column: int, address: int) -> Place | None:
    """Address: how often the step's group has been played, then the tape row, then whether it is
    what a table gives of the row's result; None for lanes that only fill a line.
    """
    layout = schedule.layout
    bits = schedule.vector.index_bits
    then, row = divmod(address >> bits, 1 << address_bits(len(schedule.vector.rows)))
    step, stream, line = schedule.edges[-1 - row if then else row]
    further, beat = divmod(address & ((1 << bits) - 1), layout.beats)
    first = (line + further) * layout.line + column * layout.model.block + beat * layout.lanes
    count = min(layout.lanes, step.length - first)
    return Place(step.name, stream, first, count, step.copy) if count > 0 else None


LOCATORS: dict[str, Callable[[Schedule, int, int], Place | None]] = {
    "spectrum": spectrum_place,
    "product": product_place,
    "vector": vector_place,
    "aside": vector_place,
}
