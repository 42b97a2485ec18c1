"""A layer in training as its integers have it: the description that quantization rewrote, by the
functions that it is rewritten with, and the parameters that go with that.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_model import IntegerLayer, IntegerModel
from ernn.ir.integer_parts import Signal
from ernn.nn.forms import with_copies
from ernn.nn.own_units import in_own_units
from ernn.nn.parameters import Parameters, parameters
from ernn.nn.parts import parts_as
from ernn.quantization.kept import READ

_SEEN = "_seen"
"""Of a state that products do not see in full, what they see."""


def as_integers(
    module: nn.Module, layer: IntegerLayer, integers: IntegerModel, powers: Mapping[str, Tensor]
) -> Parameters:
    """A module's layer with products in parts, in its integers' units, and with copies of states
    for products to read; signs stay with their matrices.

    powers: of two, that the numbers of edges are times as large by, but the network's input.

    Raises UserError where a step has units that training does not have.
    """
    named = parts_as(_copied(parameters(module), layer), layer.cell)
    here = f"{layer.name}."
    own = {edge.removeprefix(here): of for edge, of in powers.items() if edge.startswith(here)}
    signals = {name: layer.signal(name) for name in named.cell.multiplied}
    read = {name: powers[edge] for name, edge in signals.items() if edge in powers}
    named = in_own_units(named, own, read)
    return with_copies(named, {name: name + _SEEN for name in _rounded(named, layer, integers)})


def _copied(named: Parameters, layer: IntegerLayer) -> Parameters:
    """With copies of states and inputs that have more bits than products read (`ernn.quantization
    .kept`), which may be turned among the integers.
    """
    cell, known = named.cell, (*layer.cell.inputs, *layer.cell.signals)
    copies = {name: name + READ.suffix for name in (*cell.inputs, *(s.name for s in cell.steps))}
    found = {
        name: copy for name, copy in copies.items() if any(one.startswith(copy) for one in known)
    }
    return with_copies(named, found)


def _rounded(named: Parameters, layer: IntegerLayer, integers: IntegerModel) -> list[str]:
    """Steps of which products of the layer see less than there is."""
    steps = named.cell.multiplied - set(named.cell.inputs)
    return [name for name in sorted(steps) if seen(name, layer, integers) is not None]


def seen(name: str, layer: IntegerLayer, integers: IntegerModel) -> FixedFormat | None:
    """What products of a dense network see of an input or a step of a layer; None where that is
    all of it.  In blocks they see spectra, whose rounding is not modelled.
    """
    return None if integers.block > 1 else seen_of(integers.signal(layer.signal(name)))


def seen_of(signal: Signal) -> FixedFormat | None:
    """Likewise, of a dense network's signal."""
    format, spectrum = signal.format, signal.spectrum
    if spectrum is None or 0 <= spectrum.frac - format.frac <= spectrum.width - format.width:
        return None
    return spectrum


def formats(layer: IntegerLayer, integers: IntegerModel) -> dict[str, FixedFormat]:
    """Of every step's values and of every vector of a layer `as_integers`."""
    found = {name: seen(name, layer, integers) for name in layer.cell.multiplied}
    return layer.format_of | {name + _SEEN: one for name, one in found.items() if one is not None}
