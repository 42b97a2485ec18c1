"""How much each vector of a network minds few bits: inputs, hidden and cell states, gates.

One at a time is rounded to fixed point of so many bits, the finest that holds what it takes on the frames, and the
network is run on in floating point; recurrent, so that what is lost in a state adds up as it would on the engine.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ernn.cell import INPUT
from ernn.errors import UserError
from ernn.fixed import dequantize, quantize
from ernn.network import Array, BidirectionalLayer, CellLayer, Network
from ernn.reference import cell_frame
from ernn.scales import fit
from ernn.usual import as_cell


@dataclass(frozen=True)
class Narrowed:
    """layer: from 0. vector: a step of the layer's description (`ernn.usual`: an LSTM's c is its cell), or "x".

    error: root mean square of what the outputs change by, over that of the outputs.
    """

    layer: int
    vector: str
    bits: int
    error: float


def narrowed(network: Network, utterances: Sequence[Array], bits: Sequence[int]) -> list[Narrowed]:
    """Every vector in each of `bits`. Raises UserError for layers in both directions, or initial states."""
    layers = []
    for layer in network.layers:
        if isinstance(layer, BidirectionalLayer):
            raise UserError("a layer in both directions is not run vector by vector: train one way")
        layers.append(as_cell(layer))
    exact, ranges = _outputs(layers, utterances)
    size = max(float(np.sqrt(np.mean(exact**2))), 1e-30)
    found = []
    for place, largest in ranges.items():
        for width in bits:
            outputs, _ = _outputs(layers, utterances, place, width, largest)
            error = float(np.sqrt(np.mean((outputs - exact) ** 2))) / size
            found.append(Narrowed(*place, width, error))
    return found


def _outputs(
    layers: Sequence[CellLayer],
    utterances: Sequence[Array],
    rounded: tuple[int, str] | None = None,
    width: int = 0,
    largest: float = 0.0,
) -> tuple[Array, dict[tuple[int, str], float]]:
    """All outputs in a row (frames, outputs), and the largest absolute value of every vector."""
    format = fit(largest, width) if rounded else None
    ranges: dict[tuple[int, str], float] = {}

    def keep(index: int, name: str, values: Array) -> Array:
        ranges[index, name] = max(ranges.get((index, name), 0.0), float(np.abs(values).max(initial=0)))
        return dequantize(quantize(values, format), format) if format and (index, name) == rounded else values

    outputs = []
    for frames in utterances:
        states = [{name: np.zeros((1, size)) for name, size in layer.lengths.items()} for layer in layers]
        for x in frames:
            row = x[None]
            for index, layer in enumerate(layers):
                row = keep(index, INPUT, row)
                states[index] = cell_frame(layer, row, states[index], kept=lambda n, v, i=index: keep(i, n, v))
                row = states[index][layer.cell.output]
            outputs.append(row[0])
    return np.array(outputs), ranges
