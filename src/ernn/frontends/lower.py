"""A graph's signals that the accelerator computes, as the layers of a `Network`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ernn.frontends.fold import folded, is_whole, of_product, readers, rows_of
from ernn.frontends.graph import (
    Affine,
    Apply,
    Output,
    Product,
    Recurrent,
    Signal,
    Sum,
    Times,
    Vector,
)
from ernn.ir.activations import Function
from ernn.ir.cell import Cell, CellProduct, CellStage, CellStep, Read
from ernn.ir.layers import Part, over
from ernn.ir.network import NETWORK, Layer, Matrix, Network, Source

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Lowered:
    """A network, and how it hangs together with the rest.

    inputs: what it is given each frame, of this frame or later ones.
    outputs: the signals that it gives each frame, one after another.
    states: by layer and name, the initial values that are the sequence's.
    layers: of each signal that has one.
    """

    network: Network
    inputs: Vector
    outputs: tuple[int, ...]
    states: tuple[tuple[int, str, Vector], ...]
    layers: Mapping[int, int]


def lower(
    signals: Sequence[Signal],
    inside: frozenset[int],
    outputs: Sequence[int],
    kept: frozenset[int] = frozenset(),
) -> Lowered:
    """The network that computes the signals `outputs` from what is not `inside`.

    kept: recurrent layers of which a state is wanted, whoever else reads them.
    """
    own = {number: one for number, one in enumerate(signals) if number in inside}
    return _Lowering(folded(own, kept.union(outputs)), tuple(outputs)).lowered()


class _Lowering:
    def __init__(self, signals: Mapping[int, Signal], outputs: tuple[int, ...]) -> None:
        self.signals = signals
        self.outputs = outputs
        self.layers: list[Layer] = []
        self.sources: dict[int, Source] = {}
        self.states: list[tuple[int, str, Vector]] = []
        self.selected: dict[bytes, Source] = {}
        self.readers = readers(signals)

    def lowered(self) -> Lowered:
        for number, signal in self.signals.items():
            if not self._taken_over(number):
                self.sources[number] = self._signal(number, signal)
        results = tuple(self.sources[number] for number in self.outputs)
        network = Network(tuple(self.layers), outputs=results)
        layers = {number: source.layer for number, source in self.sources.items()}
        return Lowered(network, self.inputs, self.outputs, tuple(self.states), layers)

    @cached_property
    def inputs(self) -> Vector:
        """Each value that comes from outside once, of this frame where an earlier one is read."""
        vectors = [vector for one in self.signals.values() for vector in one.operation.reads]
        rows = [vector.table[:, self._outside(vector)] for vector in vectors]
        rows = [np.stack([signals, np.minimum(d, 0), places]) for signals, d, places in rows]
        return Vector(*np.unique(np.concatenate(rows, axis=1), axis=1))

    def _outside(self, vector: Vector) -> Array:
        return (vector.signals >= 0) & ~np.isin(vector.signals, list(self.signals))

    def _append(self, layer: Layer) -> Source:
        before = Source(len(self.layers) - 1) if self.layers else NETWORK
        if layer.inputs == (before,):  # as by default
            layer = replace(layer, inputs=())
        self.layers.append(layer)
        return Source(len(self.layers) - 1, layer.cell.outputs[0])

    def _parts(self, vector: Vector) -> list[Part]:
        """What a vector reads, source by source."""
        at = {row: number for number, row in enumerate(self.inputs.rows)}
        outside = self._outside(vector)
        found: dict[tuple[Source, int], list[tuple[int, int]]] = {}
        for column, (signal, delay, place) in enumerate(vector.rows):
            if signal < 0:
                continue
            source = NETWORK if outside[column] else self.sources[signal]
            place = at[signal, min(delay, 0), place] if outside[column] else place
            found.setdefault((source, max(delay, 0)), []).append((column, place))
        return [
            Part(source, delay, self._size(source), *np.array(pairs).T)
            for (source, delay), pairs in found.items()
        ]

    def _size(self, source: Source) -> int:
        return (
            len(self.inputs)
            if source == NETWORK
            else self.layers[source.layer].lengths[source.output]
        )

    def _signal(self, number: int, signal: Signal) -> Source:
        match signal.operation:
            case Recurrent(reads=(vector,), layer=layer, states=states):
                more = [
                    one.operation.name
                    for one in self.signals.values()
                    if isinstance(one.operation, Output) and one.operation.of == number
                ]
                outputs = (*layer.cell.outputs, *more)
                layer = replace(layer, cell=replace(layer.cell, outputs=outputs))
                source = self._append(over(layer, self._parts(vector)))
                self.states += [(source.layer, name, start) for name, start in states]
                return source
            case Output(of=of, name=name):
                return Source(self.sources[of].layer, name)
        return self._append(self._expression(signal))

    def _taken_over(self, number: int) -> bool:
        """Whether a function of nothing but this signal is all that reads it: one layer of both."""
        if number in self.outputs or self.readers[number] != 1:
            return False
        if isinstance(self.signals[number].operation, Recurrent | Apply | Output):
            return False
        return any(
            isinstance(one.operation, Apply)
            and one.operation.reads[0].read == {number}
            and is_whole(one.operation.reads[0], self.signals[number].size)
            for one in self.signals.values()
        )

    def _expression(self, signal: Signal, function: Function | None = None) -> Layer:
        match signal.operation:
            case Apply(reads=(vector,), function=own):
                for number in vector.read & self.signals.keys():
                    if self._taken_over(number):
                        return self._expression(self.signals[number], own)
                return self._step(signal, "a", own, (vector,))
            case Product(reads=(vector,), matrix=matrix, bias=bias):
                return self._product(vector, matrix, bias, function)
            case Affine(reads=(vector,), scale=scale, shift=shift):
                if (scale == 1).all():
                    return self._step(signal, "a + shift", function, (vector,), {"shift": shift})
                vectors = {"scale": scale, "shift": shift}
                return self._step(signal, "a*scale + shift", function, (vector,), vectors)
            case Sum(reads=reads, negative=True):
                minus = {"minus": np.ones(signal.size)}
                return self._step(signal, "a - b*minus", function, reads, minus)
            case Sum(reads=reads):
                return self._step(signal, "a + b", function, reads)
            case Times(reads=reads):
                return self._step(signal, "a*b", function, reads)
        raise TypeError(f"{signal.where} is no layer")

    def _step(
        self,
        signal: Signal,
        sum_: str,
        function: Function | None,
        reads: Sequence[Vector],
        vectors: Mapping[str, Array] = {},
    ) -> Layer:
        """One element-wise step of whole sources."""
        sources = [self._whole(vector) for vector in reads]
        distinct = list(dict.fromkeys(sources))
        if len(distinct) < len(sources):
            sum_ = sum_.replace("b", "a", 1) if sum_ in ("a + b", "a*b") else "a - a*minus"
        names = ("a", "b")[: len(distinct)]
        step = CellStep("h", sum_, function)
        cell = Cell(signal.where, (CellStage((), (step,)),), tuple(vectors), names)
        sizes = (signal.size,) * len(distinct)
        return Layer(cell, (), (), tuple(vectors.values()), (), tuple(distinct), sizes=sizes)

    def _whole(self, vector: Vector) -> Source:
        """A source that is this vector: one that is there, or one more product."""
        parts = self._parts(vector)
        if len(parts) == 1 and not parts[0].delay and parts[0].whole(len(vector)):
            return parts[0].source
        if vector.key not in self.selected:
            number = of_product(vector, self.signals)
            if number is None:
                layer = self._product(vector, Matrix(np.eye(len(vector))[None]), None, None)
            else:
                product = self.signals[number].operation
                assert isinstance(product, Product)
                some = rows_of(product, vector.places)
                layer = self._product(some.reads[0], some.matrix, some.bias, None)
            self.selected[vector.key] = self._append(layer)
        return self.selected[vector.key]

    def _product(
        self, vector: Vector, matrix: Matrix, bias: Array | None, function: Function | None
    ) -> Layer:
        product = CellProduct("product", 1, (Read("x"),), bias is not None)
        cell = Cell("linear", (CellStage((product,), (CellStep("h", "product.0", function),)),))
        layer = Layer(cell, ((matrix,),), (None if bias is None else bias[None],))
        return over(layer, self._parts(vector))
