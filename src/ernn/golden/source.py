"""A network in integers as C99 that needs nothing: the interpreter of c/play.c with the network's
tables as constants.
"""

from collections.abc import Iterable, Iterator
from importlib.resources import files
from string import Template
from typing import Any, NamedTuple

import numpy as np

from ernn.golden.part import whole
from ernn.golden.program import Layout, Program, recorded
from ernn.golden.streaming import require_streaming
from ernn.ir import serialization as codec
from ernn.ir.integer_model import IntegerModel

Array = np.ndarray

LAYOUT = Layout(lanes=1, rows=1, width=8)
STRUCTURES = {
    "network": "struct network",
    "ops": "struct op",
    "ports": "struct port",
    "terms": "struct term",
    "products": "struct product",
    "operands": "struct operand",
    "butterflies": "struct butterfly",
    "tables": "struct table",
}
ROUNDINGS = {"ops": 1, "products": 2}
"""Structures at the end of a row, of five numbers each."""


class CSource(NamedTuple):
    """The texts of ernn.h and ernn.c."""

    header: str
    body: str


def c_source(model: IntegerModel) -> CSource:
    """`ernn_reset` and `ernn_frame` for one stream, equal to golden on every integer.

    Raises UserError for a network with a layer that runs backward.
    """
    require_streaming(model)
    program = recorded(model, whole(model), LAYOUT)
    number, weight = (32, 16) if program.narrow else (64, 64)
    of_input = model.input.format
    values = {
        "digest": codec.digest(model)[:16],
        "inputs": program.inputs,
        "outputs": program.outputs,
        "features": model.features,
        "input_fracs": _input_fracs(model),
        "output_fracs": "\n".join(_output_fracs(model)),
        "low": of_input.low,
        "high": of_input.high,
        "number": f"int{number}_t",
        "unsigned": f"uint{number}_t",
        "weight": f"int{weight}_t",
        "constants": sum(table.nbytes for table in program.tables.values()),
        "memory": sum(room.nbytes for room in program.rooms.values()),
        "lanes": LAYOUT.lanes,
        "rows": LAYOUT.rows,
        "width": LAYOUT.width,
        "interpreter": _text("play.c").replace('#include "play.h"\n', _text("play.h")),
        "tables": "\n\n".join(_tables(program)),
        "rooms": "\n".join(_rooms(program)),
        "arrays": ",\n    ".join(["&network", *list(program.tables)[1:], *program.rooms]),
    }
    return CSource(
        *(Template(_text(name)).substitute(values) for name in ("ernn.h.in", "ernn.c.in"))
    )


def _input_fracs(model: IntegerModel) -> str:
    """One for all inputs where they have one, else a list."""
    fracs = (model.input.format.frac + model.of_input.of_integers).tolist()
    if len(set(fracs)) == 1:
        return f"#define ERNN_INPUT_FRAC {fracs[0]}"
    return f"#define ERNN_INPUT_FRACS {_braced(fracs)}"


def _output_fracs(model: IntegerModel) -> Iterator[str]:
    """One for all outputs where they have one format, else one for each, with its numbers."""
    fracs, at = [signal.format.frac for signal in model.results], 0
    if len(set(fracs)) == 1:
        yield f"#define ERNN_OUTPUT_FRAC {fracs[0]}"
        return
    for number, signal in enumerate(model.results):
        first, at = at, at + signal.length
        name = f"ERNN_OUTPUT_FRAC_{number} {signal.format.frac}"
        yield f"#define {name} /* of y[{first}] .. y[{at - 1}] */"


def _text(name: str) -> str:
    return (files("ernn.golden") / "c" / name).read_text(encoding="utf-8")


def _tables(program: Program) -> Iterator[str]:
    for name, table in program.tables.items():
        kind = STRUCTURES.get(name, "WEIGHT" if name in ("weights", "lines") else "NUMBER")
        if name == "network":
            yield f"static const {kind} {name} = {_braced(table.tolist())};"
        elif name in STRUCTURES:
            rows = [_braced(_nested(row, ROUNDINGS.get(name, 0))) for row in table.tolist()]
            yield _array(kind, name, rows or ["{0}"], 1)
        else:
            yield _array(kind, name, [str(value) for value in table.tolist()] or ["0"], 16)


def _array(kind: str, name: str, items: list[str], in_line: int) -> str:
    lines = (items[at : at + in_line] for at in range(0, len(items), in_line))
    return f"static const {kind} {name}[] = {{\n" + "".join(
        f"    {', '.join(line)},\n" for line in lines
    ) + "};"  # fmt: skip


def _nested(row: list[int], roundings: int) -> list[Any]:
    parts = [row[len(row) - 5 * n :][:5] for n in range(roundings, 0, -1)]
    return [*row[: len(row) - 5 * roundings], *parts]


def _braced(values: Iterable[Any]) -> str:
    parts = (_braced(value) if isinstance(value, list) else str(value) for value in values)
    return "{" + ", ".join(parts) + "}"


def _rooms(program: Program) -> Iterator[str]:
    kinds = {"memory": "NUMBER", "tile": "NUMBER", "totals": "int64_t", "data": "WEIGHT"}
    for name, room in program.rooms.items():
        yield f"static {kinds[name]} {name}[{max(room.size, 1)}];"
