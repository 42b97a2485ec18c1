"""One direction of one layer from frames to outputs: by the scan, or step by step in torch."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ernn.ir.fixed_point import FixedFormat
from ernn.ir.network import Array
from ernn.nn.groups import Extent
from ernn.nn.layout import layout
from ernn.nn.loops import RESULTS, VECTOR
from ernn.nn.order import from_order, gates_to_order, to_order
from ernn.nn.parameters import Parameters, delayed
from ernn.nn.scan import Plan, Scan
from ernn.nn.signs import unsigned
from ernn.nn.spectra import spectrum
from ernn.nn.stored import Weight, joined
from ernn.nn.table import Room, Table, remembered, table

State = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Rounding:
    """How numbers are rounded on their way: what products give `rounds` times before their bias is
    added, then the sum of every step. formats: of each line of the table; tables: results, in
    place of functions.
    """

    rounds: int
    formats: Mapping[str, FixedFormat]
    tables: Mapping[str, Array]


def scanned(
    named: Parameters,
    frames: Mapping[str, Tensor],
    state: State,
    rounding: Rounding | None = None,
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Outputs (time, batch, units), and the last (batch, units) of each step that is read late.

    frames (time, batch, units) by input, state (batch, units) by step; a step without one starts
    from 0.
    """
    block = block_of(named)
    plain = unsigned(named, block)
    names, named = remembered(named.cell), plain.named
    frames, state = plain.frames(frames), plain.state(state)
    if rounding:
        rounding = replace(rounding, formats=plain.formats(rounding.formats))
    made = table(named.cell, rounding.rounds if rounding else 0)
    weights, sizes = _weights(named, made, block)
    filled = dict(_filled(named, made, block, frames, state))
    kept = any(one.requires_grad for one in (*weights, *filled.values(), *frames.values()))
    extent = _extent(named, frames, block, sizes, kept and torch.is_grad_enabled())
    laid = layout(named.cell, rounding.rounds if rounding else 0, extent)
    inputs = [
        _input(frames[one.read.name], one.read.delay, sizes[one.number]) for one in laid.inputs
    ]
    dtype = frames[made.cell.inputs[0]].detach().numpy().dtype
    lines, formats, results = _rows(made, rounding)
    batch = frames[made.cell.inputs[0]].shape[1]
    plan = Plan(laid, batch, lines, formats.astype(dtype), results.astype(dtype), tuple(filled))
    found = Scan.apply(plan, *inputs, *weights, *filled.values())
    count = len(made.cell.outputs)
    ends = [from_order(end, block, 0).t() for end in found[count:]]
    late = plain.ends(dict(zip(remembered(made.cell), ends, strict=True)))
    return list(found[:count]), {name: late[name] for name in names}


def _weights(named: Parameters, made: Table, block: int) -> tuple[list[Tensor], list[int]]:
    """Of each read of each region the weight, and the size of its blocks; 1 where it is dense."""
    weights, sizes = [], []
    for region in made.regions:
        for read in region.reads:
            some = list(joined(named.weights[p.name, str(read)] for p in region.products))
            sizes.append(block if all(weight.block == block for weight in some) else 1)
            of_step = not made.is_input(read)
            weights.append(_weight(some, region.gates, block, sizes[-1], of_step))
    return weights, sizes


def _extent(
    named: Parameters, frames: Mapping[str, Tensor], block: int, sizes: Sequence[int], keep: bool
) -> Extent:
    some = next(iter(frames.values()))
    (time, batch, _), lanes = some.shape, VECTOR // some.element_size()
    return Extent(
        rows=tuple(named.rows.items()),
        lengths=tuple(named.lengths.items()),
        inputs=tuple((name, one.shape[2]) for name, one in frames.items()),
        spectral=tuple(size > 1 for size in sizes),
        block=block,
        time=time,
        batch=-(-batch // lanes) * lanes,
        keep=keep,
        through=any(one.requires_grad for one in frames.values()),
    )


def _rows(made: Table, rounding: Rounding | None) -> tuple[Array, Array, Array]:
    """Lines, formats and results as `ernn.nn.loops` has them."""
    if rounding is None:
        return made.arrays[0], np.zeros((0, 4)), np.zeros(0)
    starts = np.cumsum([0, *map(len, rounding.tables.values())])
    begin = dict(zip(rounding.tables, starts.tolist(), strict=False))
    lines = made.arrays[0].copy()
    lines[:, RESULTS] = [begin.get(str(line.function), -1) for line in made.lines]
    found = [rounding.formats[line.name] for line in made.lines]
    formats = [(2.0**one.frac, one.low, one.high, one.step) for one in found]
    return lines, np.array(formats), np.concatenate([np.zeros(0), *rounding.tables.values()])


def block_of(named: Parameters) -> int:
    """The size of the blocks that are multiplied as spectra: that of a matrix that reads a step,
    else of one that reads an input.  One of another size is decoded.
    """
    steps = {
        (product.name, str(read)): named.weights[product.name, str(read)]
        for product in named.cell.products
        for read in product.reads
        if read.name not in named.cell.inputs
    }
    for weight in chain(steps.values(), named.weights.values()):
        block = weight.block
        if block > 1 and not any(length % block for length in named.lengths.values()):
            return block
    return 1


def _input(frames: Tensor, delay: int, block: int) -> Tensor:
    """As it was `delay` frames ago, with the padding of a matrix in blocks."""
    found, missing = delayed(frames, delay), -frames.shape[2] % block
    return pad(found, (0, missing)) if missing else found


def _weight(some: Sequence[Weight], gates: int, block: int, size: int, of_step: bool) -> Tensor:
    """As `ernn.nn.scan.Given` has it: spectra where it is in blocks of the layer's size."""
    if size > 1:
        blocks = _joined([weight.blocks() for weight in some])
        return spectrum(blocks.flatten(0, 1)).movedim(2, 0).contiguous()
    dense = _joined([weight.dense() for weight in some])
    rows = gates_to_order(dense, gates, block)
    return (to_order(rows, block, 1) if of_step else rows).contiguous()


def _joined(some: Sequence[Tensor]) -> Tensor:
    return some[0] if len(some) == 1 else torch.cat(list(some))


def _filled(
    named: Parameters, made: Table, block: int, frames: Mapping[str, Tensor], state: State
) -> Iterable[tuple[Room, Tensor]]:
    """What is there before the first frame (see `ernn.nn.scan.Given`)."""
    some = next(iter(frames.values()))
    for name in remembered(made.cell):
        zero = some.new_zeros(some.shape[1], named.lengths[name])
        yield ("step", name), to_order(state.get(name, zero).t(), block, 0)
    for product in made.cell.products:
        if product.bias:
            rows = named.rows[product.name]
            bias = named.biases.get(product.name, some.new_zeros(rows * product.gates))
            yield ("bias", product.name), gates_to_order(bias, product.gates, block)
    for name, vector in named.vectors.items():
        yield ("vector", name), to_order(vector, block, 0)
    for name in made.cell.inputs:
        if name in named.lengths:  # steps read it
            yield ("input", name), to_order(frames[name].transpose(1, 2), block, 1)
