"""Cells whose products read other forms of signals: with turned signs, where matrices have signs of
columns, or copies.

W x = C D x (`ernn.ir.structure.Signed`): a product multiplies C with the turned signal D x, a
step of its own, x*signs, or an input of its own that is turned where it comes from.
"""

from dataclasses import replace
from functools import cache

from ernn.ir.cell import Cell, CellProduct, CellStage, CellStep

Reads = tuple[tuple[str, int, str], ...]
"""A product, which of its reads, and the name of what it reads instead (of the same delay)."""
Names = tuple[tuple[str, str], ...]
"""Steps or inputs, and what they are called turned."""


def signs_of(turned: str) -> str:
    """The vector that a step turns signs with."""
    return f"{turned}_signs"


@cache
def turned_cell(
    cell: Cell,
    reads: Reads,
    steps: Names,
    inputs: Names,
    outputs: tuple[str, ...] = (),
    signed: frozenset[str] | None = None,
) -> Cell:
    """The cell with other reads.

    steps: turned by steps more, with a vector each; those of inputs in a stage before the others.
    inputs: turned elsewhere, and given to the cell beside its own.  Own inputs that nothing reads
    any more are left out. outputs: turned steps that other layers may have. signed: those of the
    new names that have signs, the others are copies; left out, all have.
    """
    names = {(product, place): new for product, place, new in reads}
    known = [step.name for step in cell.steps]

    def renamed(product: CellProduct) -> CellProduct:
        pairs = enumerate(product.reads)
        found = (replace(r, name=names.get((product.name, n), r.name)) for n, r in pairs)
        return replace(product, reads=tuple(found))

    turned = [new for _, new in steps if signed is None or new in signed]

    def made(old: str, new: str, bounded: bool) -> CellStep:
        return CellStep(new, f"{old}*{signs_of(new)}" if new in turned else old, bounded=bounded)

    def and_turned(step: CellStep) -> tuple[CellStep, ...]:
        return step, *(made(*pair, step.within_one) for pair in steps if pair[0] == step.name)

    first = [made(*pair, False) for pair in steps if pair[0] not in known]
    stages = [CellStage((), tuple(first))] if first else []
    for stage in cell.stages:
        more = tuple(one for step in stage.steps for one in and_turned(step))
        stages.append(CellStage(tuple(map(renamed, stage.products)), more))
    parts = (one for stage in stages for one in (*stage.products, *stage.steps))
    used = {read.name for one in parts for read in one.reads}
    return replace(
        cell,
        title=f"{cell.title}, signed" if turned else cell.title,
        stages=tuple(stages),
        vectors=(*cell.vectors, *map(signs_of, turned)),
        inputs=tuple(n for n in (*cell.inputs, *(new for _, new in inputs)) if n in used),
        outputs=(*cell.outputs, *outputs),
    )
