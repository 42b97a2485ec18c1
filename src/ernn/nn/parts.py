"""Layers in training whose products are in parts, as `ernn.quantization.parts` has them."""

from dataclasses import replace

from ernn.ir.cell import Cell, CellProduct
from ernn.nn.parameters import Parameters
from ernn.quantization.parts import InParts, in_parts, in_sums, operands_apart, sums


def parts_as(named: Parameters, other: Cell) -> Parameters:
    """A layer whose products are in parts where those of its integers' cell are."""
    for product, groups in sums(named.cell, other):
        named = _split(named, product, in_sums(named.cell, product, groups))
    for product, place in operands_apart(named.cell, other):
        named = _split(named, product, in_parts(named.cell, product, place))
    return named


def _split(named: Parameters, product: CellProduct, found: InParts) -> Parameters:
    rows, weights, biases = dict(named.rows), dict(named.weights), dict(named.biases)
    length, bias = rows.pop(product.name), biases.pop(product.name, None)
    whole = {place: weights.pop((product.name, str(r))) for place, r in enumerate(product.reads)}
    for part, first, behind, places in found.parts:
        rows[part.name] = length
        for place, read in zip(places, part.reads, strict=True):
            weights[part.name, str(read)] = whole[place].some(first, behind)
        if part.bias and bias is not None:
            biases[part.name] = bias[first * length : behind * length]
    return replace(named, cell=found.cell, rows=rows, weights=weights, biases=biases)
