"""Constant factors and sums, batch norm among them, go into the product before or after them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ernn.frontends.graph import Affine, Product, Recurrent, Signal, Vector
from ernn.ir.network import Layer, Matrix
from ernn.ir.structure import Dense

Array = np.ndarray
Signals = dict[int, Signal]


def folded(signals: Mapping[int, Signal], wanted: frozenset[int]) -> Signals:
    """The signals with which the accelerator computes those that are `wanted`, without the rest."""
    found = _live({number: _in_one_part(one) for number, one in signals.items()}, wanted)
    for number in list(found):
        found[number] = _after_product(found, number, wanted)
    found = _live(found, wanted)
    for number in list(found):
        found[number] = _before_product(found, number)
    return _live(found, wanted)


def readers(signals: Mapping[int, Signal]) -> Counter[int]:
    """How many operations read each signal."""
    return Counter(
        one
        for signal in signals.values()
        for one in frozenset[int]().union(*(vector.read for vector in signal.operation.reads))
    )


def is_whole(vector: Vector, size: int) -> bool:
    """Whether it is one signal of `size` values, in order, now."""
    return (
        len(vector) == size
        and len(np.unique(vector.signals)) == 1
        and not vector.delays.any()
        and bool((vector.places == np.arange(size)).all())
    )


def rows_of(
    product: Product, rows: Array, scale: Array | float = 1.0, shift: Array | float = 0.0
) -> Product:
    """scale * (some rows of a product of one part) + shift."""
    matrix = Matrix(product.matrix.value[:, rows] * np.reshape(scale, (-1, 1)))
    bias = np.zeros(len(rows)) if product.bias is None else product.bias[rows]
    return replace(product, matrix=matrix, bias=bias * scale + shift)


def of_product(vector: Vector, signals: Mapping[int, Signal]) -> int | None:
    """The product of which all values are read, now; None where there is no such."""
    for number in vector.read:
        signal = signals.get(number)
        one = signal is not None and isinstance(signal.operation, Product)
        if one and (vector.signals == number).all() and not vector.delays.any():
            return number
    return None


def _live(signals: Signals, wanted: frozenset[int]) -> Signals:
    kept, waiting = set[int](), set(wanted)
    while waiting:
        number = waiting.pop()
        if number in signals and number not in kept:
            kept.add(number)
            operation = signals[number].operation
            waiting |= frozenset[int]().union(*(vector.read for vector in operation.reads))
            waiting |= {getattr(operation, "of", number)}
    return {number: one for number, one in signals.items() if number in kept}


def _in_one_part(signal: Signal) -> Signal:
    """A product whose parts share a matrix as one product with a larger matrix."""
    product = signal.operation
    if not isinstance(product, Product):
        return signal
    whole = np.concatenate([vector.table for vector in product.reads], axis=1)
    live = whole[:, whole[0] >= 0]
    if len(product.reads) == 1 and np.unique(live, axis=1).shape == live.shape:
        return signal
    columns, place = np.unique(whole, axis=1, return_inverse=True)
    rows, width = product.weight.shape
    parts = len(product.reads)
    matrix = np.zeros((parts, columns.shape[1], rows))
    at = place.reshape(parts, width)
    for part in range(parts):
        np.add.at(matrix[part], at[part], product.weight.T)
    live = columns[0] >= 0
    weight = matrix.transpose(0, 2, 1).reshape(parts * rows, -1)[:, live]
    bias = None if product.bias is None else np.tile(product.bias, parts)
    vector = Vector(*columns[:, live])
    return replace(signal, operation=Product((vector,), Matrix(weight[None]), bias))


def _after_product(signals: Signals, number: int, wanted: frozenset[int]) -> Signal:
    """An affine step of nothing but a product's results, as a product."""
    signal = signals[number]
    if not isinstance(signal.operation, Affine):
        return signal
    (vector,) = signal.operation.reads
    source = of_product(vector, signals)
    if source is None or source in wanted or readers(signals)[source] > 1:
        return signal
    product = signals[source].operation
    assert isinstance(product, Product)
    if product.matrix.structure != Dense():
        return signal
    made = rows_of(product, vector.places, signal.operation.scale, signal.operation.shift)
    return replace(signal, operation=made)


def _before_product(signals: Signals, number: int) -> Signal:
    """A product that reads affine steps, as a product of what they read."""
    signal = signals[number]
    operation = signal.operation
    if not isinstance(operation, Product | Recurrent):
        return signal
    (vector,) = operation.reads
    scale, shift = np.ones(len(vector)), np.zeros(len(vector))
    made = vector.table
    for source in vector.read:
        affine = signals[source].operation if source in signals else None
        if not isinstance(affine, Affine) or not _dense(operation):
            continue
        at = np.flatnonzero(vector.signals == source)
        places, delays = vector.places[at], vector.delays[at]
        if delays.any() and affine.shift[places].any():
            continue  # before the first frame it is zero, not the shift
        inner = affine.reads[0][places]
        scale[at], shift[at] = affine.scale[places], affine.shift[places]
        made[:, at] = inner.signals, inner.delays + delays, inner.places
    if (scale == 1).all() and not shift.any() and (made == vector.table).all():
        return signal
    read = Vector(*made)
    if isinstance(operation, Product):
        weight = operation.weight
        bias = weight @ shift + (0 if operation.bias is None else operation.bias)
        return replace(signal, operation=Product((read,), Matrix(weight[None] * scale), bias))
    layer = _scaled(operation.layer, scale, shift)
    return replace(signal, operation=replace(operation, reads=(read,), layer=layer))


def _dense(operation: Product | Recurrent) -> bool:
    """Whether what it multiplies x with may be scaled column by column."""
    if isinstance(operation, Product):
        return operation.matrix.structure == Dense()
    layer = operation.layer
    return all(one.structure == Dense() for one in layer.matrices)


def _scaled(layer: Layer, scale: Array, shift: Array) -> Layer:
    """A layer that reads scale * x + shift in the place of x."""
    if (scale == 1).all() and not shift.any():
        return layer
    weights, biases = [], []
    for product, matrices, bias in zip(
        layer.cell.products, layer.weights, layer.biases, strict=True
    ):
        made = []
        for read, matrix in zip(product.reads, matrices, strict=True):
            if read.name == "x":
                bias = None if bias is None else bias + matrix.value @ shift
                matrix = Matrix(matrix.value * scale, Dense())
            made.append(matrix)
        weights.append(tuple(made))
        biases.append(bias)
    return replace(layer, weights=tuple(weights), biases=tuple(biases))
