"""Operands that differ too much in size for one sum, exactly: a product for each, and a step more.

The operands of a product share its fraction bits, so where W x is 2**n times as large as U h, the
numbers of U h lose n bits.  Before a function that levels off that does not matter as long as the
sum is large, too; but where terms of W x go far beyond what the function tells apart, as those of
energies do, it is the many frames in which they are small that count.  Then W x becomes a product
of its own, and so does every gate:

    i = sigmoid(gates.0)    to    gates0 = gates_rest0.0;  i = sigmoid(gates_x0.0 + gates0)

Costs nothing in the array, and a cycle a line for each gate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf

import numpy as np

from ernn.ir.activations import BOUNDED
from ernn.ir.cell import MOST_PRODUCTS, Cell, CellProduct, CellStep
from ernn.ir.edges import edge_name
from ernn.ir.kronecker import Repeated
from ernn.ir.network import Layer, Network, Source
from ernn.ir.structure import block_size
from ernn.quantization.calibrate import Range, Seen
from ernn.quantization.columns import fullest, with_rows
from ernn.quantization.drafts import DATA_BITS
from ernn.quantization.parts import divided, in_parts, kept_as, operands_apart, split

Array = np.ndarray

LOUD = 8.0
"""Of the largest term of each row, the rms over rows: functions are read over +-4 or +-8."""
WORTH = 3
"""Bits by which the terms of the other operands are smaller, rms over rms."""
SIGN_AND_ONE = 2
"""Bits that a constant of 1 has before its fraction bits."""
ROOM = 1
"""Bits by which what is kept of a row may grow beyond what was seen before it is the largest."""


def taken_apart(network: Network, seen: Seen) -> Network:
    """A `lowered` network whose products have operands of one size, from what was seen of it."""
    for index in range(len(network.layers)):
        for product in network.layers[index].cell.products:
            place = _loudest(_sizes(network, index, product, seen))
            if place is not None and _levels_off(network.layers[index], product):
                network = _split(network, index, product, place)
    return network


def apart_as(network: Network, cells: Sequence[Cell]) -> Network:
    """A `lowered` network whose products are in parts where those of these cells are."""
    for index, cell in enumerate(cells):
        for product, place in operands_apart(network.layers[index].cell, cell):
            network = _split(network, index, product, place)
    return network


def _loudest(sizes: list[float]) -> int | None:
    """Which operand is to be taken apart; None where none is."""
    place = int(np.argmax(sizes))
    others = max((size for one, size in enumerate(sizes) if one != place), default=inf)
    return place if sizes[place] >= max(LOUD, others * 2.0**WORTH) else None


def _levels_off(layer: Layer, product: CellProduct) -> bool:
    """Whether all that reads the product levels off, and can take two numbers for it."""
    readers = layer.cell.readers(product)
    return bool(readers) and product.bias and all(one.activation in BOUNDED for one in readers)


def _sizes(network: Network, index: int, product: CellProduct, seen: Seen) -> list[float]:
    """By operand, the largest term of each row, rms over rows."""
    layer = network.layers[index]
    weights = layer.weights[layer.cell.products.index(product)]
    names, sizes = dict(network.names(index)), []
    for read, matrix in zip(product.reads, weights, strict=True):
        edge = edge_name(names[read.name])
        units = seen.units.get(edge, np.zeros(matrix.columns))
        sizes.append(float(np.sqrt(np.square(matrix.value * units).max(2).mean())))
    return sizes


def _split(network: Network, index: int, product: CellProduct, place: int) -> Network:
    """With operand `place` of a product apart from the others, and gate from gate, so that each may
    have formats of its own."""
    layer = network.layers[index]
    return network.with_layer(index, split(layer, product, in_parts(layer.cell, product, place)))


# --- rows of what is kept


def rows_filled(network: Network, seen: Seen, bits: int) -> tuple[Network, Seen, dict[str, Array]]:
    """A network that was `taken_apart`, whose kept numbers fill their format row by row, rows of a
    block alike, exactly, what is seen of it then, and by edge the exponents.  The steps that read
    them divide them again.

    bits: of a constant, which a power of two must fit.
    """
    found: dict[str, Array] = {}
    for index, number, kept in _kept(network):
        layer = network.layers[index]
        structures = [matrix.structure for matrix in layer.weights[number]]
        edges = _edges(network, index, number, kept)
        units = seen.units[edges[0]] + _largest_of_rows(layer.biases[number])
        exponents = fullest(units, max(map(block_size, structures)), ROOM)
        exponents = np.minimum(exponents, bits - SIGN_AND_ONE)
        network = network.with_layer(index, _filled(layer, number, kept, exponents))
        seen = _as_seen(seen, edges, float((units * 2.0**exponents).max()))
        found |= dict.fromkeys(edges, exponents)
    return network, seen, found


def fit_any_bits(exponents: Array) -> bool:
    """Whether rows' exponents are the same at any bits of constants."""
    return bool(exponents.max() <= DATA_BITS[0] - SIGN_AND_ONE)


def rows_as(network: Network, units: Mapping[str, Array]) -> Network:
    """A network that was taken apart, whose kept numbers have these units, by edge."""
    for index, number, kept in _kept(network):
        exponents = units.get(edge_name(Source(index, kept)))
        if exponents is not None:
            layer = _filled(network.layers[index], number, kept, exponents)
            network = network.with_layer(index, layer)
    return network


def _kept(network: Network) -> list[tuple[int, int, str]]:
    """Layers, numbers of products, and the steps that keep these products' results."""
    return [
        (index, number, kept)
        for index, layer in enumerate(network.layers)
        for number, product in enumerate(layer.cell.products)
        if (kept := kept_as(product)) in {step.name for step in layer.cell.steps}
        and not any(isinstance(one.structure, Repeated) for one in layer.weights[number])
        and _divides(layer.cell, kept)
    ]


def _divides(cell: Cell, kept: str) -> bool:
    """Whether the steps that read what is kept have room for one product more, that divides it."""
    readers = [step for step in cell.steps if any(read.name == kept for read in step.reads)]
    return all(_products(step) < MOST_PRODUCTS for step in readers)


def _products(step: CellStep) -> int:
    return sum(len(term.factors) == 2 for term in step.terms)


def _edges(network: Network, index: int, number: int, kept: str) -> list[str]:
    product = network.layers[index].cell.products[number]
    return [edge_name(Source(index, name)) for name in (kept, product.name)]


def _largest_of_rows(bias: Array | None) -> Array:
    return np.zeros(1) if bias is None else np.abs(bias).max(0)


def _filled(layer: Layer, number: int, kept: str, exponents: Array) -> Layer:
    """A layer with a product whose rows are 2**exponents times as large, and the step that keeps
    them."""
    cell, _ = divided(layer.cell, kept)
    vectors = (*layer.vectors, 2.0**-exponents)
    return replace(with_rows(layer, number, exponents), cell=cell, vectors=vectors)


def _as_seen(seen: Seen, edges: list[str], value: float) -> Seen:
    """With another range of edges, and none of their values."""
    samples = {name: some for name, some in seen.samples.items() if name not in edges}
    return replace(
        seen, ranges={**seen.ranges, **{name: Range(value) for name in edges}}, samples=samples
    )
