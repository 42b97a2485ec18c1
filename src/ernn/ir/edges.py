"""What kinds of data a network has, the bits each may take, and the format of every edge.

| kind | which numbers |
|---|---|
| `input` | the network's input |
| `hidden` | what products read of a layer: its output, a projected LSTM's m, a GRU's r * h, ... |
| `cell` | other numbers that are kept from frame to frame: an LSTM's cell, a GRU's h (below) |
| `gates` | results of a recurrent layer's products, and what sigmoid and tanh are taken of |
| `activations` | what sigmoid, tanh and ReLU give, unless products read it |

Where cells have more bits than what is hidden, a state that is made of itself, as a GRU's h, is a
cell, and products read a copy of it (`ernn.quantization.kept`); else it is hidden.

The network's output, spectra, and what a product rounds on its way have `QuantizeSpec.data_bits`.
"""

from dataclasses import dataclass, fields
from typing import Literal

from ernn.errors import UserError
from ernn.ir.cell import Cell, CellStep
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_model import IntegerModel
from ernn.ir.network import NETWORK, Source

Kind = Literal["input", "hidden", "cell", "gates", "activations"]


WIDEST_CELL = 32
"""Bits of a cell, at most: no product reads it."""


def layer_name(index: int) -> str:
    """The name of a network's layer in the integer model."""
    return f"l{index}"


def edge_name(source: Source) -> str:
    """The name of a layer's product or step, or of the network's input."""
    return source.output if source == NETWORK else f"{layer_name(source.layer)}.{source.output}"


def is_of(edge: str, name: str) -> bool:
    """Whether an edge's name begins with all parts of this one; a delay may be left out.

    >>> is_of("l0.gates.h@1", "l0"), is_of("l0.gates.h@1", "l0.gates.h"), is_of("l10.y.x", "l1")
    (True, True, False)
    """
    return edge == name or edge.startswith((f"{name}.", f"{name}@"))


@dataclass(frozen=True)
class DataBits:
    """Bits of each kind of data, 2 to 18, of cells to 32; None: as many as everything else has.

    The engine's memories have the width of the widest, but for spectra, which have that of the
    widest spectrum; every edge is rounded to its own.
    Raises UserError outside the range.

    >>> import ernn
    >>> ernn.DataBits(hidden=4, cell=8).given
    {'hidden': 4, 'cell': 8}
    """

    input: int | None = None
    """The network's input."""
    hidden: int | None = None
    """What products read of a layer: its output, an LSTM's before its projection, a GRU's r * h."""
    cell: int | None = None
    """Other numbers that are kept from frame to frame: an LSTM's cell; where it has more bits than
    `hidden`, a GRU's h, too, of which products read a copy."""
    gates: int | None = None
    """Results of a recurrent layer's products, and what functions such as sigmoid are taken of."""
    activations: int | None = None
    """What these functions give, unless products read it."""

    def __post_init__(self) -> None:
        for name, bits in self.given.items():
            most = WIDEST_CELL if name == "cell" else 18
            if type(bits) is not int or not 2 <= bits <= most:
                raise UserError(f"bits of {name} must be a whole number, 2..{most}, not {bits!r}")

    @property
    def given(self) -> dict[str, int]:
        """Those that are not None."""
        return {
            f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None
        }


def kind_of(cell: Cell, step: CellStep) -> Kind:
    """The kind of a step's values."""
    if step.name in cell.signals:
        return "hidden"
    if step.activation is not None:
        return "activations"
    return "cell" if step.name in cell.states else "gates"


def data_bits(model: IntegerModel) -> int:
    """Bits of the widest edge: those of a number in the engine's memories."""
    found = [*edge_formats(model).values(), *spectrum_formats(model).values()]
    found += [format for layer in model.layers for format in layer.vector_formats]
    return max(format.width for format in found)


def operand_bits(model: IntegerModel) -> int:
    """Bits of the widest spectrum: those of a number that products read."""
    return max(format.width for format in spectrum_formats(model).values())


def spectrum_formats(model: IntegerModel) -> dict[str, FixedFormat]:
    """The format of every spectrum, `<signal>.spectrum`."""
    return {f"{s.name}.spectrum": s.spectrum for s in model.signals if s.spectrum is not None}


def edge_formats(model: IntegerModel) -> dict[str, FixedFormat]:
    """The format of every edge that a description names; spectra, `<signal>.spectrum`, are not.

    What goes into a table is `<function> input`; what comes out of it has the name of the function.
    """
    found = {signal.name: signal.format for signal in model.signals}
    for layer in model.layers:
        found |= {product.name: product.output for product in layer.products}
        formats = zip(layer.cell.steps, layer.formats, strict=True)
        found |= {f"{layer.name}.{step.name}": format for step, format in formats}
    for table in model.tables:
        found |= {f"{table.function} input": table.input, table.function: table.output}
    return found
