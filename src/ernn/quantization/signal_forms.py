"""Signals in several forms: a network in which matrices read steps more, made of the signals that
they read before.

A form is made by a step of the layer that writes the signal, so that one transform serves all that
read it. The network's input gets its forms in the layers that read it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ernn.ir.cell import CellProduct, Read
from ernn.ir.network import NETWORK, Array, Layer, Matrix, Network, Source
from ernn.ir.structure import Signed
from ernn.ir.turned import turned_cell


@dataclass(frozen=True, eq=False)
class Form:
    """A signal as it is called and, where it has any, times `signs`."""

    suffix: str
    signs: Array | None = None


Forms = Mapping[Source, Sequence[Form]]
Choice = Callable[[Source, Matrix], Form | None]
"""What a matrix reads of a signal; None: the signal as it is."""


def in_forms(network: Network, forms: Forms, choice: Choice) -> Network:
    """The same network, with steps that make the forms and matrices that read them."""
    layers = tuple(
        _Rewritten(network, n, forms, choice).layer() for n in range(len(network.layers))
    )
    return replace(network, layers=layers, outputs=network.results)


def operands(layer: Layer) -> Iterator[tuple[CellProduct, int, Matrix]]:
    """A product, which of its reads, and what that is multiplied with."""
    for product, matrices in zip(layer.cell.products, layer.weights, strict=True):
        for place, matrix in enumerate(matrices):
            yield product, place, matrix


def source_of(network: Network, index: int, name: str) -> Source:
    """Of an input or a step of a layer."""
    inputs = network.layers[index].cell.inputs
    if name not in inputs:
        return Source(index, name)
    return network.sources(index)[inputs.index(name)]


@dataclass(frozen=True, eq=False)
class _Rewritten:
    """One layer, to be written anew."""

    network: Network
    index: int
    forms: Forms
    choice: Choice

    @property
    def old(self) -> Layer:
        return self.network.layers[self.index]

    @cached_property
    def names(self) -> dict[str, tuple[str, Form]]:
        """By its new name, what is made here or given made: its old name and the form."""
        cell = self.old.cell
        return {
            name + form.suffix: (name, form)
            for name in (*cell.inputs, *(step.name for step in cell.steps))
            for form in self.forms.get(self._source(name), ())
        }

    def layer(self) -> Layer:
        """Its cell with steps more, its matrices without signs."""
        old, cell = self.old, self.old.cell
        reads = tuple(
            (product.name, place, new)
            for product, place, matrix in operands(old)
            if (new := self._new(product.reads[place], matrix))
        )
        used = {new for _, _, new in reads}
        pairs = [(name, new) for new, (name, _) in self.names.items()]
        given = {name for name in cell.inputs if self._source(name) != NETWORK}
        own = tuple(
            p for p in pairs if p[0] not in given and (p[0] not in cell.inputs or p[1] in used)
        )
        shown = tuple(new for name, new in own if name in cell.outputs)
        signs = {new: form.signs for new, (_, form) in self.names.items() if form.signs is not None}
        made = turned_cell(
            cell, reads, own, tuple(p for p in pairs if p[0] in given), shown, frozenset(signs)
        )
        weights = zip(cell.products, old.weights, strict=True)
        return replace(
            old,
            cell=made,
            weights=tuple(tuple(map(self._matrix, p.reads, some)) for p, some in weights),
            vectors=(*old.vectors, *(signs[new] for _, new in own if new in signs)),
            initial=tuple(self._initial(name) for name in made.remembered),
            inputs=tuple(self._given(name) for name in made.inputs),
            sizes=tuple(old.lengths[self._name(name)] for name in made.inputs),
        )

    def _source(self, name: str) -> Source:
        return source_of(self.network, self.index, name)

    def _name(self, new: str) -> str:
        return self.names[new][0] if new in self.names else new

    def _new(self, read: Read, matrix: Matrix) -> str | None:
        """What a matrix reads now; None where it reads a signal as it is."""
        form = self.choice(self._source(read.name), matrix)
        return None if form is None else read.name + form.suffix

    def _matrix(self, read: Read, matrix: Matrix) -> Matrix:
        form = self.choice(self._source(read.name), matrix)
        if form is None or form.signs is None:
            return matrix
        signed = matrix.structure
        inner = signed.inner if isinstance(signed, Signed) else signed
        return replace(matrix, value=matrix.value * form.signs, structure=inner)

    def _initial(self, new: str) -> Array | None:
        given = dict(zip(self.old.cell.remembered, self.old.initial, strict=False))
        values = given.get(self._name(new))
        signs = self.names[new][1].signs if new in self.names else None
        return values if values is None or signs is None else values * signs

    def _given(self, new: str) -> Source:
        """Where an input comes from."""
        source = self._source(self._name(new))
        if new not in self.names:
            return source
        return replace(source, output=source.output + self.names[new][1].suffix)
