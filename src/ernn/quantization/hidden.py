"""Hidden numbers in other units, exactly and at no cost: between layers that do not recur, what a
projection gives, what factors pass on.

Where a signal is the result of a product alone, or the positive part of it, and only products read
it, a number times 2**e is a row of weights times 2**e, its bias too; columns of the weights that
read it are divided by as much (cross-layer equalisation, as in Nagel et al. 2019, section 4.1).
"""

from collections.abc import Mapping

import numpy as np

from ernn.ir.edges import edge_name
from ernn.ir.kronecker import Repeated
from ernn.ir.network import Layer, Network, Source
from ernn.ir.structure import block_size
from ernn.quantization.calibrate import Seen
from ernn.quantization.columns import filling, in_blocks, multiplied, only_multiplied, with_rows

Array = np.ndarray

SLACK = 1
"""Bits that a number may grow by, as the input's (`ernn.quantization.columns`)."""
MOST = 3
"""Bits that a number is moved by: what is left is little, and a row of one that is hardly ever
positive would be the largest of all."""


def hidden_filled(
    network: Network, seen: Seen, block: int, tight: bool = False
) -> tuple[Network, dict[str, Array]]:
    """A `lowered` network whose hidden signals fill their formats where that is exact, from what
    was seen of it; and by edge, of the signals and of the products that make them, the exponents.

    tight: with a bit less to grow by.
    """
    found: dict[str, Array] = {}
    for source, number in hidden(network):
        layer = network.layers[source.layer]
        blocks = in_blocks(network, source) or _in_blocks(layer, number)
        units = seen.units.get(edge_name(source), np.zeros(1))
        exponents = np.minimum(filling(units, block if blocks else 1, SLACK - tight), MOST)
        if exponents.any():
            network = _filled(network, source, number, exponents)
            product = layer.cell.products[number]
            edges = edge_name(source), edge_name(Source(source.layer, product.name))
            found |= dict.fromkeys(edges, exponents)
    return network, found


def hidden_as(network: Network, units: Mapping[str, Array]) -> Network:
    """A `lowered` network whose hidden signals have these units, by edge."""
    for source, number in hidden(network):
        exponents = units.get(edge_name(source))
        if exponents is not None:
            network = _filled(network, source, number, exponents)
    return network


def _filled(network: Network, source: Source, number: int, exponents: Array) -> Network:
    """With a signal, the result of a layer's product, that is 2**exponents times as large."""
    layer = with_rows(network.layers[source.layer], number, exponents)
    return multiplied(network.with_layer(source.layer, layer), source, exponents)


def hidden(network: Network) -> list[tuple[Source, int]]:
    """Signals of a `lowered` network that may have other units, each with the number of the product
    that makes it."""
    made = [
        (_made_of(layer, index, number), number)
        for index, layer in enumerate(network.layers)
        for number in range(len(layer.cell.products))
    ]
    return [(one, number) for one, number in made if one is not None and _is_hidden(network, one)]


def _made_of(layer: Layer, index: int, number: int) -> Source | None:
    """What is a product, or the positive part of it; None where more or something else is made."""
    product = layer.cell.products[number]
    readers = layer.cell.readers(product)
    if product.gates > 1 or len(readers) != 1 or readers[0].sum != f"{product.name}.0":
        return None
    plain = readers[0].activation in (None, "relu") and not readers[0].bounded
    repeated = any(isinstance(one.structure, Repeated) for one in layer.weights[number])
    return Source(index, readers[0].name) if plain and not repeated else None


def _is_hidden(network: Network, source: Source) -> bool:
    """Whether only products read it."""
    shown = source in network.results
    return source in network.multiplied and not shown and only_multiplied(network, source)


def _in_blocks(layer: Layer, number: int) -> bool:
    return any(block_size(one.structure) > 1 for one in layer.weights[number])
