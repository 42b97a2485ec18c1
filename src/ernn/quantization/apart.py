"""Operands that differ too much in size for one sum, exactly: a product for each, and a step more.

The operands of a product share its fraction bits, so where W x is 2**n times as large as U h, the
numbers of U h lose n bits.  Before a function that levels off that does not matter as long as the
sum is large, too; but where terms of W x go far beyond what the function tells apart, as those of
energies do, it is the many frames in which they are small that count.  Then W x becomes a product
of its own, and so does every gate:

    i = sigmoid(gates.0)    to    gates0 = gates_rest0.0;  i = sigmoid(gates_x0.0 + gates0)

Costs nothing in the array, and a cycle a line for each gate.
"""

import re
from dataclasses import replace
from math import inf
from typing import TypeVar

import numpy as np

from ernn.ir.activations import BOUNDED
from ernn.ir.cell import Cell, CellProduct, CellStage, CellStep
from ernn.ir.edges import edge_name
from ernn.ir.kronecker import Repeated
from ernn.ir.network import Layer, Network, Source
from ernn.ir.structure import block_size
from ernn.quantization.calibrate import Range, Seen
from ernn.quantization.columns import fullest, with_rows

Array = np.ndarray

LOUD = 8.0
"""Of the largest term of each row, the rms over rows: functions are read over +-4 or +-8."""
WORTH = 3
"""Bits by which the terms of the other operands are smaller, rms over rms."""
ROOM = 1
"""Bits by which what is kept of a row may grow beyond what was seen before it is the largest."""


def taken_apart(network: Network, seen: Seen) -> Network:
    """A `lowered` network whose products have operands of one size, from what was seen of it."""
    for index in range(len(network.layers)):
        for product in network.layers[index].cell.products:
            place = _loudest(_sizes(network, index, product, seen))
            if place is not None and _levels_off(network.layers[index], product):
                layer = _split(network.layers[index], product, place)
                network = network.with_layer(index, layer)
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


def _split(layer: Layer, product: CellProduct, place: int) -> Layer:
    """With operand `place` of a product apart from the others, and gate from gate, so that each may
    have formats of its own."""
    cell, at, gates = layer.cell, layer.cell.products.index(product), _gates(layer.cell, product)
    matrices, bias = layer.weights[at], layer.biases[at]
    some = {"x": [place], "rest": [n for n in range(len(matrices)) if n != place]}
    parts = tuple(
        CellProduct(f"{product.name}_{part}{n}", 1, _of(product.reads, which), part == "rest")
        for part, which in some.items()
        for n in gates
    )
    weights = (
        tuple(one.part(n, n + 1) for one in _of(matrices, which))
        for which in some.values()
        for n in gates
    )
    biases = (None if bias is None else bias[n : n + 1] for n in gates)
    stages = tuple(
        _stage(stage, product, parts, gates) if product in stage.products else stage
        for stage in cell.stages
    )
    return replace(
        layer,
        cell=replace(cell, title=f"{cell.title}, {product.name} apart", stages=stages),
        weights=(*layer.weights[:at], *weights, *layer.weights[at + 1 :]),
        biases=(*layer.biases[:at], *[None for _ in gates], *biases, *layer.biases[at + 1 :]),
    )


T = TypeVar("T")


def _of(items: tuple[T, ...], places: list[int]) -> tuple[T, ...]:
    return tuple(items[place] for place in places)


def _gates(cell: Cell, product: CellProduct) -> tuple[int, ...]:
    """Those that steps read: there may be others, of which no part is needed."""
    read = {one.name for step in cell.steps for one in step.reads}
    return tuple(n for n in range(product.gates) if f"{product.name}.{n}" in read)


def _stage(
    stage: CellStage,
    product: CellProduct,
    parts: tuple[CellProduct, ...],
    gates: tuple[int, ...],
) -> CellStage:
    """With a product's parts in its place, of which the later half is kept by steps."""
    kept = (CellStep(f"{product.name}{n}", f"{product.name}_rest{n}.0") for n in gates)
    steps = (replace(step, sum=_sum(step.sum, product.name)) for step in stage.steps)
    at = stage.products.index(product)
    products = stage.products[:at] + parts + stage.products[at + 1 :]
    return CellStage(products, (*kept, *steps))


def _sum(text: str, name: str) -> str:
    """Each gate of the product as the gate of a part, and what a step kept of the rest."""
    return re.sub(rf"\b{re.escape(name)}\.(\d+)", rf"{name}_x\1.0 + {name}\1", text)


# --- rows of what is kept


def rows_filled(network: Network, seen: Seen) -> tuple[Network, Seen]:
    """A network that was `taken_apart`, whose kept numbers fill their format row by row, rows of a
    block alike, exactly, and what is seen of it then.  The steps that read them divide them again.
    """
    for index, layer in enumerate(network.layers):
        for number, product in enumerate(layer.cell.products):
            found = re.fullmatch(r"(.+)_rest(\d+)", product.name)
            structures = [matrix.structure for matrix in layer.weights[number]]
            if found is None or any(isinstance(one, Repeated) for one in structures):
                continue
            kept = "".join(found.groups())
            edges = [edge_name(Source(index, name)) for name in (kept, product.name)]
            units = seen.units[edges[0]] + _largest_of_rows(layer.biases[number])
            exponents = fullest(units, max(map(block_size, structures)), ROOM)
            layer = _filled(layer, number, kept, exponents)
            seen = _as_seen(seen, edges, float((units * 2.0**exponents).max()))
        network = network.with_layer(index, layer)
    return network, seen


def _largest_of_rows(bias: Array | None) -> Array:
    return np.zeros(1) if bias is None else np.abs(bias).max(0)


def _filled(layer: Layer, number: int, kept: str, exponents: Array) -> Layer:
    """A layer with a product whose rows are 2**exponents times as large, and the step that keeps
    them."""
    back, cell = f"{kept}_back", layer.cell
    stages = tuple(
        replace(
            stage,
            steps=tuple(
                replace(one, sum=re.sub(rf"\b{kept}\b", f"{kept}*{back}", one.sum))
                for one in stage.steps
            ),
        )
        for stage in cell.stages
    )
    return replace(
        with_rows(layer, number, exponents),
        cell=replace(cell, stages=stages, vectors=(*cell.vectors, back)),
        vectors=(*layer.vectors, 2.0**-exponents),
    )


def _as_seen(seen: Seen, edges: list[str], value: float) -> Seen:
    """With another range of edges, and none of their values."""
    samples = {name: some for name, some in seen.samples.items() if name not in edges}
    return replace(
        seen, ranges={**seen.ranges, **{name: Range(value) for name in edges}}, samples=samples
    )
