"""Numbers of a vector in other units, exactly, where only products read it.

A number is multiplied by 2**e, so that all of them fill their format; columns of the weights that
read it are divided by as much.  What a block-circulant matrix reads has one exponent a word.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ernn.ir.network import Layer, Matrix, Network, Source
from ernn.ir.structure import BlockCirculant, Dense, Structure

Array = np.ndarray

SLACK = 2
"""Bits that a number may grow by beyond what was seen of it, before it is the largest."""
MOST = 24
"""Bits by which numbers of a vector are moved against each other, at most."""
WORTH = 0.5
"""Of the mean square of a vector's rounding, what must remain at most for it to be changed."""


def filling(units: Array, word: int, slack: int = SLACK) -> Array:
    """What moves each number, all of a word alike, near to the largest."""
    each = fullest(units, word, slack)
    return each if (4.0**-each).mean() <= WORTH else np.zeros_like(each)


def fullest(units: Array, word: int, slack: int) -> Array:
    """Likewise, as far as a number may grow by `slack` bits before it is the largest."""
    words = np.pad(units, (0, -len(units) % word)).reshape(-1, word).max(1)
    largest = units.max() or 1.0
    ratio = largest / np.where(words > 0, words, largest)
    exponents = np.clip(np.floor(np.log2(ratio)) - slack, 0, MOST).astype(np.int64)
    return np.repeat(exponents, word)[: len(units)]


def _readers(network: Network, of: Source) -> list[tuple[int, str]]:
    """Layers that read a vector, and by which name."""
    return [
        (index, name)
        for index in range(len(network.layers))
        for name, source in network.names(index)
        if source == of
    ]


def _columns(network: Network, of: Source) -> list[tuple[int, int, int]]:
    """Every matrix that multiplies a vector: its layer, its product, which of the product's."""
    return [
        (index, number, which)
        for index, name in _readers(network, of)
        for number, product in enumerate(network.layers[index].cell.products)
        for which, read in enumerate(product.reads)
        if read.name == name
    ]


def only_multiplied(network: Network, of: Source) -> bool:
    """Whether a vector is read by products of plain matrices alone, and begins with zeros."""
    by_steps = (
        name in {read.name for step in network.layers[index].cell.steps for read in step.reads}
        for index, name in _readers(network, of)
    )
    plain = all(isinstance(one, Dense | BlockCirculant) for one in _structures(network, of))
    return plain and not any(by_steps) and not network.initial_values(of)


def in_blocks(network: Network, of: Source) -> bool:
    """Whether a block-circulant matrix multiplies a vector."""
    return any(isinstance(structure, BlockCirculant) for structure in _structures(network, of))


def _structures(network: Network, of: Source) -> list[Structure]:
    """Of the matrices that multiply a vector."""
    return [
        network.layers[index].weights[number][which].structure
        for index, number, which in _columns(network, of)
    ]


def multiplied(network: Network, of: Source, exponents: Array) -> Network:
    """For a vector that is 2**exponents times as large."""
    divided = 2.0**exponents
    return with_columns(network, of, lambda one: replace(one, value=one.value / divided))


def with_rows(layer: Layer, number: int, exponents: Array) -> Layer:
    """With a product whose rows, and bias, are 2**exponents times as large."""
    times, bias = 2.0**exponents, layer.biases[number]
    rows = tuple(replace(one, value=one.value * times[:, None]) for one in layer.weights[number])
    others = None if bias is None else bias * times
    return replace(
        layer,
        weights=(*layer.weights[:number], rows, *layer.weights[number + 1 :]),
        biases=(*layer.biases[:number], others, *layer.biases[number + 1 :]),
    )


def with_columns(
    network: Network, of: Source, change: Callable[[Matrix], Matrix], times: int = 1
) -> Network:
    """With other matrices for a vector, which is so many times as long."""
    places, layers = set(_columns(network, of)), []
    for index, layer in enumerate(network.layers):
        weights = tuple(
            tuple(
                change(matrix) if (index, number, which) in places else matrix
                for which, matrix in enumerate(matrices)
            )
            for number, matrices in enumerate(layer.weights)
        )
        sizes = tuple(
            size * times if source == of else size
            for size, source in zip(layer.sizes, network.sources(index), strict=False)
        )
        layers.append(replace(layer, weights=weights, sizes=sizes))
    return replace(network, layers=tuple(layers))
