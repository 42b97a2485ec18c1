"""A recorded program as the tables of numbers that c/play.c plays: laid out for one processor, or
for the C that `ernn export --c` writes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ernn.golden.butterflies import Butterflies, butterflies
from ernn.golden.cell import frame_through, numbers_of, remembered
from ernn.golden.machine import start
from ernn.golden.packing import CHUNK_LIMIT, Packed, pack
from ernn.golden.part import Part
from ernn.golden.places import Held, placed
from ernn.golden.recorder import Kind, RecordedProduct, Recorder, Vector
from ernn.ir.integer_model import IntegerModel, value_format
from ernn.ir.integer_parts import ActivationTable

Array = np.ndarray
Edges = Mapping[str, tuple[Vector, ...]]


class Layout(NamedTuple):
    """What c/play.c is compiled with, by its own names; `side`: streams that lie side by side;
    `entries`: a table has a multiple of so many.
    """

    lanes: int
    rows: int
    width: int
    side: int = 1
    entries: int = 1


@dataclass(frozen=True, eq=False)
class Program:
    """`tables` and `rooms`: the arrays of c/play.h's `struct machine` by name, in its order; rooms
    are written, and zero here. `edges`: where a frame's values lie; `kept`: what it keeps for the
    next one, by its name in a memory.
    """

    narrow: bool
    tables: Mapping[str, Array]
    rooms: Mapping[str, Array]
    edges: Edges
    kept: Mapping[str, Vector]
    inputs: int
    outputs: int


class _Frame(NamedTuple):
    """One frame as it was recorded: `starts` operations write what is kept before the first."""

    recorder: Recorder
    starts: int
    x: Sequence[Vector]
    y: Sequence[Vector]
    kept: dict[str, Vector]
    edges: Edges


def recorded(model: IntegerModel, part: Part, layout: Layout, noted: bool = False) -> Program:
    """The program of a frame through a part of a model; `noted`: every edge has a place of its own,
    and is there after the frame.
    """
    frame = _record(model, part, layout, noted)
    tables, rooms = _laid_out(frame, layout)
    inputs, outputs = (sum(vector.length for vector in ends) for ends in (frame.x, frame.y))
    narrow, edges = frame.recorder.narrow, frame.edges if noted else {}
    return Program(narrow, tables, rooms, edges, frame.kept, inputs, outputs)


def _record(model: IntegerModel, part: Part, layout: Layout, noted: bool) -> _Frame:
    recorder, edges, first = Recorder(model, layout.lanes), {}, start(model, part)

    def note(edge: str, *vectors: Vector) -> None:
        edges[edge] = vectors

    before = _kept(recorder, part, first)
    starts = len(recorder.operations)
    x = [recorder.of(model.signal(name).length, model.signal(name).format) for name in part.reads]
    y, after = frame_through(recorder, part, x, before, note)
    held = [*map(Held, x), *(Held(before[name], value) for name, value in after.items())]
    lasting = [*y, *after.values(), *(one for some in edges.values() for one in some if noted)]
    places, size = placed(recorder, recorder.operations[starts:], held, lasting)
    recorder.move(places, size)
    for name, value in after.items():  # the oldest first, which takes the place of what it holds
        old, new = before[name].moved(places), value.moved(places)
        if old != new:
            recorder.copy(old, new)

    def moved(vectors: Iterable[Vector]) -> tuple[Vector, ...]:
        return tuple(vector.moved(places) for vector in vectors)

    kept = dict(zip(before, moved(before.values()), strict=True))
    edges = {edge: moved(vectors) for edge, vectors in edges.items()}
    return _Frame(recorder, starts, moved(x), moved(y), kept, edges)


def _kept(recorder: Recorder, part: Part, first: Mapping[str, Array]) -> dict[str, Vector]:
    """Vectors for what is kept from frame to frame, and operations that write the first values."""
    found = {}
    for one in remembered(part):
        format = value_format(recorder.model, one.layer, one.name)
        spectrum = recorder.model.signal(one.edge).spectrum if one.spectra else None
        for name, _, delay in one.names:
            own, values = name == numbers_of(one.kept, delay), first[name].reshape(-1)
            found[name] = recorder.of(values.size, format if own or not spectrum else spectrum)
            if values.any():
                recorder.copy(found[name], recorder.constant(values))
    return found


# --- tables


def _laid_out(frame: _Frame, layout: Layout) -> tuple[dict[str, Array], dict[str, Array]]:
    recorder, k = frame.recorder, frame.recorder.model.block
    limit = CHUNK_LIMIT if recorder.narrow else None
    packed = [pack(recorder.model, made.product, layout.rows, limit) for made in recorder.products]
    transforms = [butterflies(one, k) for one in (recorder.model.forward, recorder.model.inverse)]
    lines = _lines(recorder.tables, layout.entries)
    pitch = layout.width + (layout.side > 1) * layout.lanes
    numbers = {
        "network": [*_network(frame, transforms), layout.side, pitch],
        "ops": [
            (operation.kind, chain, *operation[1:-1], *operation.round)
            for operation, chain in zip(recorder.operations, _chains(frame), strict=True)
        ],
        "ports": [(v.at, v.length, -v.bound, v.bound - 1) for v in (*frame.x, *frame.y)],
        "terms": recorder.terms,
        "products": list(_products(recorder.products, packed)),
        "operands": [(v.at, v.size // k) for made in recorder.products for v in made.operands],
        "butterflies": [row for one in transforms for row in _rows(one)],
        "tables": list(_tables(recorder.tables, lines)),
        "constants": recorder.constants,
        "corrections": _joined(one.corrections for one in packed),
    }
    weights = {"weights": _joined(one.weights for one in packed), "lines": _joined(lines)}
    number, weight = (np.int32, np.int16) if recorder.narrow else (np.int64, np.int64)
    tables = {name: np.array(rows, number) for name, rows in numbers.items()}
    tables |= {name: np.array(values, weight) for name, values in weights.items()}
    rooms = {
        "memory": np.zeros(recorder.size * layout.side, number),
        "tile": np.zeros(max((one.slots for one in transforms), default=0) * pitch, number),
        "totals": np.zeros(any(one.chunked(k) for one in packed) * k * pitch, np.int64),
        "data": np.zeros(
            max((one.pairs(k) for one in packed), default=0) * 2 * layout.side, weight
        ),
    }
    return tables, rooms


def _joined(arrays: Iterable[Array]) -> Array:
    return np.concatenate([*arrays, np.zeros(0, np.int64)])


def _network(frame: _Frame, transforms: Iterable[Butterflies]) -> Iterator[int]:
    recorder = frame.recorder
    yield recorder.model.block
    for ends in (frame.x, frame.y):
        yield from (len(ends), sum(vector.length for vector in ends))
    yield from (frame.starts, len(recorder.operations) - frame.starts)
    yield from (*(len(one.rows) for one in transforms), recorder.size)


def _chains(frame: _Frame) -> list[int]:
    """How many operations from each on go number by number through vectors of one size."""
    operations = frame.recorder.operations
    chains, size = [0] * len(operations), 0
    for at in reversed(range(len(operations))):
        if operations[at].kind not in (Kind.SUM, Kind.ACTIVATE):
            size = 0
            continue
        goes_on = size == operations[at].size and at + 1 != frame.starts
        chains[at], size = 1 + (chains[at + 1] if goes_on else 0), operations[at].size
    return chains


def _products(
    products: Sequence[RecordedProduct], packed: Sequence[Packed]
) -> Iterator[tuple[int, ...]]:
    weights = corrections = first = 0
    for made, one in zip(products, packed, strict=True):
        gates, end = [gate.at for gate in made.gates], first + len(made.operands)
        apart = gates[1] - gates[0] if len(gates) > 1 else 0
        yield (
            *(gates[0], apart, len(gates), one.rows, one.parts, made.product.kept, first, end),
            *(one.columns, one.chunk, weights, corrections, made.exponents),
            *(*made.sums, *made.out),
        )
        weights, corrections = weights + len(one.weights), corrections + len(one.corrections)
        first = end


def _rows(transform: Butterflies) -> Iterator[tuple[int, ...]]:
    yield from transform.rows
    for slot in transform.results:
        yield 0, 0, slot, 0, 0, 0, 0, 0, 0, 0


def _lines(tables: Sequence[ActivationTable], entries: int) -> list[Array]:
    """Bases and slopes, table by table."""
    lines = [numbers for table in tables for numbers in (table.base, table.slope)]
    return [np.pad(numbers, (0, -len(numbers) % entries)) for numbers in lines]


def _tables(tables: Sequence[ActivationTable], lines: Sequence[Array]) -> Iterator[tuple[int, ...]]:
    at = 0
    for table, base in zip(tables, lines[::2], strict=True):
        low_bits, output, slope = table.input.width - table.segment_bits, table.output, len(base)
        numbers = (table.input.low, low_bits, table.slope_shift, output.low, output.high)
        yield *numbers, at, at + slope
        at += 2 * slope
