"""Cells whose products are in parts (`ernn.quantization.apart`): descriptions alone, which integers
and training have in common.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

from ernn.ir.cell import Cell, CellProduct, CellStage, CellStep, Read


class Part(NamedTuple):
    """A product of one gate of another, and of some of the vectors that it read, by their place."""

    product: CellProduct
    gate: int
    places: tuple[int, ...]


@dataclass(frozen=True)
class InParts:
    """A cell, and what is in the place of one of its products."""

    cell: Cell
    parts: tuple[Part, ...]


@cache
def in_parts(cell: Cell, product: CellProduct, place: int) -> InParts:
    """A cell, operand `place` of a product of which is apart from the others."""
    gates, places = _gates(cell, product), range(len(product.reads))
    some = {"x": (place,), "rest": tuple(n for n in places if n != place)}
    parts = tuple(
        Part(_part(product, f"{name}{n}", which, name == "rest"), n, which)
        for name, which in some.items()
        for n in gates
    )
    stages = tuple(
        _stage(stage, product, parts, gates) if product in stage.products else stage
        for stage in cell.stages
    )
    title = f"{cell.title}, {product.name} apart"
    return InParts(replace(cell, title=title, stages=stages), parts)


def operands_apart(cell: Cell, other: Cell) -> Iterator[tuple[CellProduct, int]]:
    """Products of a cell that are in parts in another, each with the place of the operand that is
    apart. The other's may read other forms of signals (`ernn.quantization.signal_forms`).
    """
    parts = {product.name: product for product in other.products}
    for product in cell.products:
        found = (parts.get(f"{product.name}_x{n}") for n in range(product.gates))
        part = next((one for one in found if one is not None), None)
        if product.name not in parts and part is not None:
            yield product, _place(product, part.reads[0])


def _place(product: CellProduct, read: Read) -> int:
    """Of the read that this is a form of: a form's name is the signal's and more."""
    forms = {
        place: len(one.name)
        for place, one in enumerate(product.reads)
        if read.delay == one.delay and read.name.startswith(one.name)
    }
    return max(forms, key=lambda place: forms[place])


def _part(product: CellProduct, which: str, places: tuple[int, ...], bias: bool) -> CellProduct:
    reads = tuple(product.reads[place] for place in places)
    return CellProduct(f"{product.name}_{which}", 1, reads, bias)


def _gates(cell: Cell, product: CellProduct) -> tuple[int, ...]:
    """Those that steps read: there may be others, of which no part is needed."""
    read = {one.name for step in cell.steps for one in step.reads}
    return tuple(n for n in range(product.gates) if f"{product.name}.{n}" in read)


def _stage(
    stage: CellStage, product: CellProduct, parts: tuple[Part, ...], gates: tuple[int, ...]
) -> CellStage:
    """With a product's parts in its place, of which the later half is kept by steps."""
    kept = (CellStep(f"{product.name}{n}", f"{product.name}_rest{n}.0") for n in gates)
    steps = (replace(step, sum=_sum(step.sum, product.name)) for step in stage.steps)
    at = stage.products.index(product)
    made = tuple(part.product for part in parts)
    return CellStage((*stage.products[:at], *made, *stage.products[at + 1 :]), (*kept, *steps))


def _sum(text: str, name: str) -> str:
    """Each gate of the product as the gate of a part, and what a step kept of the rest."""
    return re.sub(rf"\b{re.escape(name)}\.(\d+)", rf"{name}_x\1.0 + {name}\1", text)


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
