"""Signs of columns as steps: of a network whose matrices are signed, what the engine multiplies.

W x = C D x.  D x is a step of the layer that writes x, and takes the place of x in products, so
that one transform serves all that read it: of a dense matrix that reads x as well, the columns are
turned beforehand.  The network's input is turned by the layers that read it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ernn.ir.cell import CellProduct, Read
from ernn.ir.network import NETWORK, Array, Layer, Matrix, Network, Source
from ernn.ir.structure import Dense, Signed
from ernn.ir.turned import turned_cell

Signs = dict[Source, list[Array]]
"""All that a source is turned by; the first is for dense matrices, too."""


def without_signs(network: Network) -> Network:
    """The same network, in which no matrix is `Signed`."""
    signs: Signs = {}
    for index, layer in enumerate(network.layers):
        for product, place, matrix in _operands(layer):
            if isinstance(matrix.structure, Signed):
                found = signs.setdefault(_source(network, index, product.reads[place].name), [])
                diagonal = matrix.structure.diagonal(matrix.columns)
                if not any(np.array_equal(diagonal, one) for one in found):
                    found.append(diagonal)
    if not signs:
        return network
    layers = tuple(_Turned(network, n, signs).layer() for n in range(len(network.layers)))
    return replace(network, layers=layers, outputs=network.results)


def _operands(layer: Layer) -> Iterator[tuple[CellProduct, int, Matrix]]:
    """A product, which of its reads, and what that is multiplied with."""
    for product, matrices in zip(layer.cell.products, layer.weights, strict=True):
        for place, matrix in enumerate(matrices):
            yield product, place, matrix


def _source(network: Network, index: int, name: str) -> Source:
    """Of an input or a step of a layer."""
    inputs = network.layers[index].cell.inputs
    if name not in inputs:
        return Source(index, name)
    return network.sources(index)[inputs.index(name)]


def _turned(name: str, number: int) -> str:
    return f"{name}_turned{number or ''}"


@dataclass(frozen=True, eq=False)
class _Turned:
    """One layer, to be written anew."""

    network: Network
    index: int
    signs: Signs

    @property
    def old(self) -> Layer:
        return self.network.layers[self.index]

    @cached_property
    def names(self) -> dict[str, tuple[str, int, Array]]:
        """By its new name, what is turned here or given turned: its old name, number and signs."""
        cell = self.old.cell
        return {
            _turned(name, number): (name, number, signs)
            for name in (*cell.inputs, *(step.name for step in cell.steps))
            for number, signs in enumerate(self.signs.get(self._source(name), []))
        }

    def layer(self) -> Layer:
        """Its cell with steps more, its matrices without signs."""
        old, cell = self.old, self.old.cell
        reads = tuple(
            (product.name, place, new)
            for product, place, matrix in _operands(old)
            if (new := self._new(product.reads[place], matrix))
        )
        used = {new for _, _, new in reads}
        pairs = [(name, new) for new, (name, _, _) in self.names.items()]
        given = {name for name in cell.inputs if self._source(name) != NETWORK}
        own = tuple(
            p for p in pairs if p[0] not in given and (p[0] not in cell.inputs or p[1] in used)
        )
        shown = tuple(new for name, new in own if name in cell.outputs)
        made = turned_cell(cell, reads, own, tuple(p for p in pairs if p[0] in given), shown)
        weights = zip(cell.products, old.weights, strict=True)
        return replace(
            old,
            cell=made,
            weights=tuple(tuple(map(self._matrix, p.reads, some)) for p, some in weights),
            vectors=(*old.vectors, *(self.names[new][2] for _, new in own)),
            initial=tuple(self._initial(name) for name in made.remembered),
            inputs=tuple(self._given(name) for name in made.inputs),
            sizes=tuple(old.lengths[self._name(name)] for name in made.inputs),
        )

    def _source(self, name: str) -> Source:
        return _source(self.network, self.index, name)

    def _name(self, new: str) -> str:
        return self.names[new][0] if new in self.names else new

    def _new(self, read: Read, matrix: Matrix) -> str | None:
        """What a matrix reads now; None where it reads a signal as it is."""
        found = [(new, one[2]) for new, one in self.names.items() if one[0] == read.name]
        if isinstance(matrix.structure, Signed):
            diagonal = matrix.structure.diagonal(matrix.columns)
            return next(new for new, signs in found if np.array_equal(signs, diagonal))
        return found[0][0] if found and matrix.structure == Dense() else None

    def _matrix(self, read: Read, matrix: Matrix) -> Matrix:
        new = self._new(read, matrix)
        if new is None:
            return matrix
        signed = matrix.structure
        inner = signed.inner if isinstance(signed, Signed) else signed
        return Matrix(matrix.value * self.names[new][2], inner)

    def _initial(self, new: str) -> Array | None:
        given = dict(zip(self.old.cell.remembered, self.old.initial, strict=False))
        values = given.get(self._name(new))
        return values if values is None or new not in self.names else values * self.names[new][2]

    def _given(self, new: str) -> Source:
        """Where an input comes from."""
        source = self._source(self._name(new))
        if new not in self.names:
            return source
        return replace(source, output=_turned(source.output, self.names[new][1]))
