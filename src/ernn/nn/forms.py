"""Layers in training whose products read other forms of signals: with turned signs, or copies
(`ernn.ir.turned`).
"""

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from ernn.ir.turned import Names, Reads, signs_of, turned_cell
from ernn.nn.parameters import Parameters


def in_forms(
    named: Parameters,
    reads: Reads,
    turned: Names,
    signs: Mapping[str, Tensor],
    outputs: tuple[str, ...] = (),
) -> Parameters:
    """A layer with other reads.

    turned: what is read in another form, and its name then: of steps a step more makes it, of
    inputs it is given. signs: of those that have any, by the new name. outputs: new names of steps
    that other layers may have.
    """
    if not turned:
        return named
    inputs = tuple(pair for pair in turned if pair[0] in named.cell.inputs)
    steps = tuple(pair for pair in turned if pair not in inputs)
    cell = turned_cell(named.cell, reads, steps, inputs, outputs, frozenset(signs))
    pairs = zip(named.cell.products, cell.products, strict=True)
    return replace(
        named,
        cell=cell,
        weights={
            (new.name, str(read)): named.weights[old.name, str(before)]
            for old, new in pairs
            for before, read in zip(old.reads, new.reads, strict=True)
        },
        vectors={
            **named.vectors,
            **{signs_of(name): signs[name] for _, name in steps if name in signs},
        },
    )


def with_copies(named: Parameters, copies: Mapping[str, str]) -> Parameters:
    """A layer whose products read copies, by the names of steps and inputs."""
    turned = tuple(copies.items())
    reads = tuple(
        (product.name, place, copies[read.name])
        for product in named.cell.products
        for place, read in enumerate(product.reads)
        if read.name in copies
    )
    outputs = tuple(new for old, new in turned if old in named.cell.outputs)
    return in_forms(named, reads, turned, {}, outputs)
