"""Layers whose products are in parts: by operands that are apart (`ernn.quantization.apart`), or by
the sizes of blocks (`ernn.quantization.lowering`).  Descriptions are rewritten alone, for integers
and for training alike.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

from ernn.ir.cell import Cell, CellProduct, CellStage, CellStep, Read
from ernn.ir.network import Layer, Matrix


class Part(NamedTuple):
    """A product of some of another's gates, and of some of the vectors that it read, by place."""

    product: CellProduct
    first: int
    behind: int
    places: tuple[int, ...]


@dataclass(frozen=True)
class InParts:
    """A cell, and what is in the place of one of its products."""

    cell: Cell
    parts: tuple[Part, ...]


def split(layer: Layer, product: CellProduct, found: InParts) -> Layer:
    """A layer with a product in parts."""
    at = layer.cell.products.index(product)
    matrices, bias = layer.weights[at], layer.biases[at]
    weights = (
        tuple(_some(matrices[place], part.first, part.behind) for place in part.places)
        for part in found.parts
    )
    biases = (
        None if bias is None or not part.product.bias else bias[part.first : part.behind]
        for part in found.parts
    )
    return replace(
        layer,
        cell=found.cell,
        weights=(*layer.weights[:at], *weights, *layer.weights[at + 1 :]),
        biases=(*layer.biases[:at], *biases, *layer.biases[at + 1 :]),
    )


def _some(matrix: Matrix, first: int, behind: int) -> Matrix:
    """Gates of a matrix; of all of them the same one, whose factors others may share."""
    whole = behind - first == len(matrix.value)
    return matrix if whole else matrix.part(first, behind)


# --- operands apart


@cache
def in_parts(cell: Cell, product: CellProduct, place: int) -> InParts:
    """A cell, operand `place` of a product of which is apart from the others."""
    gates, places = _gates(cell, product), range(len(product.reads))
    some = {"x": (place,), "rest": tuple(n for n in places if n != place)}
    parts = tuple(
        Part(_part(product, f"{name}{n}", which, name == "rest"), n, n + 1, which)
        for name, which in some.items()
        for n in gates
    )
    kept = tuple(CellStep(f"{product.name}{n}", f"{product.name}_rest{n}.0") for n in gates)
    sum = rf"{product.name}_x\1.0 + {product.name}\1"
    title = f"{cell.title}, {product.name} apart"
    return InParts(replace(_with(cell, product, parts, sum, kept), title=title), parts)


def operands_apart(cell: Cell, other: Cell) -> Iterator[tuple[CellProduct, int]]:
    """Products of a cell that are in parts in another, each with the place of the operand that is
    apart. The other's may read other forms of signals (`ernn.quantization.signal_forms`).
    """
    parts = {product.name: product for product in other.products}
    for product in cell.products:
        found = (parts.get(f"{product.name}_x{n}") for n in range(product.gates))
        part = next((one for one in found if one is not None), None)
        place = None if part is None else _place(product, part.reads[0])
        if product.name not in parts and place is not None:
            yield product, place


def _place(product: CellProduct, read: Read) -> int | None:
    """Of the read that this is a form of: a form's name is the signal's and more."""
    forms = {
        place: len(one.name)
        for place, one in enumerate(product.reads)
        if read.delay == one.delay and read.name.startswith(one.name)
    }
    return max(forms, key=lambda place: forms[place], default=None)


def _part(product: CellProduct, which: str, places: tuple[int, ...], bias: bool) -> CellProduct:
    reads = tuple(product.reads[place] for place in places)
    return CellProduct(f"{product.name}_{which}", 1, reads, bias)


def _gates(cell: Cell, product: CellProduct) -> tuple[int, ...]:
    """Those that steps read: there may be others, of which no part is needed."""
    read = {one.name for step in cell.steps for one in step.reads}
    return tuple(n for n in range(product.gates) if f"{product.name}.{n}" in read)


# --- sums over several sizes of blocks

Groups = tuple[tuple[str, tuple[int, ...]], ...]
"""Names of products, and the places of what each reads of another's vectors; the first keeps the
other's name, and adds the bias."""


@cache
def in_sums(cell: Cell, product: CellProduct, groups: Groups) -> InParts:
    """A cell, a product of which is the sum of several."""
    parts = tuple(
        Part(_of_group(product, name, places), 0, product.gates, places) for name, places in groups
    )
    sum = " + ".join(rf"{name}.\1" for name, _ in groups)
    return InParts(_with(cell, product, parts, sum), parts)


def grouped(product: CellProduct, sizes: Sequence[int]) -> Groups:
    """By the sizes of the blocks that its vectors are multiplied in."""
    places = {
        size: tuple(n for n, one in enumerate(sizes) if one == size)
        for size in dict.fromkeys(sizes)
    }
    return tuple(
        (product.name if size == sizes[0] else f"{product.name}_in{size}", some)
        for size, some in places.items()
    )


def sums(cell: Cell, other: Cell) -> Iterator[tuple[CellProduct, Groups]]:
    """Products of a cell that are sums of several in another, which may read other forms."""
    for product in cell.products:
        name = rf"{re.escape(product.name)}_in\d+"
        others = [one for one in other.products if re.fullmatch(name, one.name)]
        places = [[_place(product, read) for read in one.reads] for one in others]
        groups = [
            (one.name, tuple(place for place in some if place is not None))
            for one, some in zip(others, places, strict=True)
        ]
        taken = {place for some in places for place in some}
        rest = tuple(place for place in range(len(product.reads)) if place not in taken)
        if groups and rest and None not in taken:
            yield product, ((product.name, rest), *groups)


def _of_group(product: CellProduct, name: str, places: tuple[int, ...]) -> CellProduct:
    reads, first = tuple(product.reads[place] for place in places), name == product.name
    return replace(product, name=name, reads=reads, bias=product.bias and first)


# ---


def _with(
    cell: Cell,
    product: CellProduct,
    parts: tuple[Part, ...],
    sum: str,
    before: tuple[CellStep, ...] = (),
) -> Cell:
    """A cell with parts in the place of a product. sum: of what a gate of it is, by its number;
    before: steps of its stage before the others.
    """
    gate, made = rf"\b{re.escape(product.name)}\.(\d+)", tuple(part.product for part in parts)

    def stage(one: CellStage) -> CellStage:
        if product not in one.products:
            return one
        at = one.products.index(product)
        steps = (replace(step, sum=re.sub(gate, sum, step.sum)) for step in one.steps)
        products = (*one.products[:at], *made, *one.products[at + 1 :])
        return CellStage(products, (*before, *steps))

    return replace(cell, stages=tuple(map(stage, cell.stages)))


# --- rows of what is kept


def kept_as(product: CellProduct) -> str | None:
    """The step that keeps the result of a product that is a part; None where it is none."""
    found = re.fullmatch(r"(.+)_rest(\d+)", product.name)
    return found and "".join(found.groups())


@cache
def divided(cell: Cell, kept: str) -> tuple[Cell, str]:
    """A cell whose steps multiply with a vector more what a step kept, and that vector's name."""
    back = f"{kept}_back"

    def steps(stage: CellStage) -> tuple[CellStep, ...]:
        return tuple(
            replace(one, sum=re.sub(rf"\b{kept}\b", f"{kept}*{back}", one.sum))
            for one in stage.steps
        )

    stages = tuple(replace(stage, steps=steps(stage)) for stage in cell.stages)
    return replace(cell, stages=stages, vectors=(*cell.vectors, back)), back
