"""States that a sequence brings along: inputs of its first frame; those it leaves: outputs.

A frame is then the network's own input followed by the values of each state: those to begin with in
a sequence's first frame, zeros in all others.  What a layer remembers is zero before the first
frame, so that the sum of both is what it should read:

    h_start = h@1 + s

This is a description like any other.  Golden, engine and C need to know of no states: an engine's
are loaded with the first frame's packet, and read in the last one's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ernn.errors import UserError
from ernn.ir.cell import Cell, CellProduct, CellStage, CellStep, CellTerm, Read
from ernn.ir.layers import linear
from ernn.ir.network import NETWORK, Array, Layer, Matrix, Network, Source

State = tuple[int, str]
"""A layer's number, and the name of what it remembers."""


def carried(network: Network, states: Sequence[State], ends: Sequence[State] = ()) -> Network:
    """The network with states in and out.

    states: those that a sequence begins with, in the order in which frames have them after the
        network's own input.
    ends: those that are outputs, too, after the network's own; the last frame's are the final ones.

    Raises UserError where a layer remembers no such step, or reads one of more than a frame ago.
    """
    for state in (*states, *ends):
        _require_step(network, state)
    cut = _Cut(network, tuple(states)) if states else None
    first = len(states) + 1 if states else 0
    layers = [] if cut is None else list(cut.layers())
    for index, layer in enumerate(network.layers):
        begun = {name: Source(1 + states.index((at, name))) for at, name in states if at == index}
        inputs = [_moved(source, first) for source in network.sources(index)]
        shown = [name for at, name in ends if at == index]
        layers.append(_layer(replace(layer, inputs=tuple(inputs)), begun, shown))
    results = (*network.results, *(Source(index, name) for index, name in ends))
    return replace(
        network, layers=tuple(layers), outputs=tuple(_moved(one, first) for one in results)
    )


def first_frame(frames: Array, states: Sequence[Array]) -> Array:
    """A sequence's frames (time, inputs) for a `carried` network: its states beside the first.

    >>> first_frame(np.ones((2, 1)), [np.array([5.0, 6.0])])
    array([[1., 5., 6.],
           [1., 0., 0.]])
    """
    values = np.concatenate([np.zeros(0), *states])
    beside = np.zeros((len(frames), len(values)))
    beside[:1] = values
    return np.concatenate([frames, beside], axis=1)


def _require_step(network: Network, state: State) -> None:
    index, name = state
    cell = network.layers[index].cell
    if name not in cell.remembered or name in cell.inputs:
        kept = [one for one in cell.remembered if one not in cell.inputs]
        raise UserError(f"layer {index} keeps {', '.join(kept) or 'no state'}, not {name}")


def _moved(source: Source, by: int) -> Source:
    """Where a source is behind the layers that cut frames."""
    if source != NETWORK:
        return replace(source, layer=source.layer + by)
    return Source(0) if by else NETWORK


@dataclass(frozen=True, eq=False)
class _Cut:
    """Linear layers of ones and zeros that take frames apart."""

    network: Network
    states: tuple[State, ...]

    def layers(self) -> Iterator[Layer]:
        """The network's own input, then each state."""
        sizes = [self.network.layers[index].lengths[name] for index, name in self.states]
        sizes.insert(0, self.network.input_size)
        for rows in np.split(np.eye(sum(sizes)), np.cumsum(sizes)[:-1]):
            yield replace(linear(Matrix(rows[None]), np.zeros(len(rows))), inputs=(NETWORK,))


def _layer(layer: Layer, begun: dict[str, Source], shown: Sequence[str]) -> Layer:
    cell = layer.cell
    initial = dict(zip(cell.remembered, layer.initial, strict=False)) | dict.fromkeys(begun)
    for name in begun:
        cell = _begun(cell, name)
    cell = replace(cell, outputs=tuple(dict.fromkeys((*cell.outputs, *shown))))
    return Layer(
        cell,
        layer.weights,
        layer.biases,
        layer.vectors,
        tuple(initial[name] for name in cell.remembered),
        (*layer.inputs, *begun.values()),
        layer.backward,
        (*layer.input_sizes, *(layer.lengths[name] for name in begun)),
    )


def _begun(cell: Cell, name: str) -> Cell:
    """The cell with an input more, which adds to what is read of the frame before's `name`."""
    given, start = f"{name}_given", f"{name}_start"
    old = Read(name, 1)
    if cell.delays.get(name, 1) > 1:
        raise UserError(
            f"{cell.title} reads {name} of {cell.delays[name]} frames ago: a state is the frame "
            "before's"
        )

    def read(one: Read) -> Read:
        return Read(start) if one == old else one

    def product(one: CellProduct) -> CellProduct:
        return replace(one, reads=tuple(map(read, one.reads)))

    def step(one: CellStep) -> CellStep:
        terms = [replace(term, factors=tuple(map(read, term.factors))) for term in one.terms]
        return replace(one, sum=_written(terms))

    stages = [
        replace(s, products=tuple(map(product, s.products)), steps=tuple(map(step, s.steps)))
        for s in cell.stages
    ]
    begin = CellStage((), (CellStep(start, f"{old} + {given}"),))
    return replace(cell, stages=(begin, *stages), inputs=(*cell.inputs, given))


def _written(terms: Sequence[CellTerm]) -> str:
    """A sum as a description has it."""
    signs = ("-" if term.negative else "+" for term in terms)
    words = ("*".join(map(str, term.factors)) for term in terms)
    return " ".join(f"{sign} {word}" for sign, word in zip(signs, words, strict=True))
