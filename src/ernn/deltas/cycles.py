"""Cycles of a delta network, estimated: no hardware for it is generated.

Assumed is the engine there is (`ernn.search.estimate` has its terms), but that it keeps a product's
exact sums from frame to frame and multiplies only block columns whose word was told anew; a pass
whose columns all stand still is left out.  All rows of a column are updated, so elements of a group
work alike.  Groups of a split engine (`Design.splits`) share the columns evenly (`balanced`), or
each has those whose words lie in its own bank and the one with most decides. A dense column is one
number; a column of circulant blocks is a word of k, updated whole when any of its numbers moved.
Comparing costs no cycle: it is done as words are written.
"""

from collections.abc import Sequence
from itertools import groupby
from math import ceil

import numpy as np

from ernn.deltas.updates import Updates
from ernn.errors import UserError
from ernn.ir.integer_parts import Product
from ernn.scheduling.design import Design
from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.timing import Timing
from ernn.scheduling.vector_program import LayerStage
from ernn.scheduling.weight_banks import Rows
from ernn.search.work import vector_cycles, waits

Array = np.ndarray


def delta_cycles(updates: Updates, design: Design, balanced: bool = True) -> Array:
    """Cycles of every frame (frames,), in the steady state with all streams busy.

    Raises UserError for a tensor train, of which a column is no column of the engine's.
    """
    model = updates.model
    if model.repeated:
        raise UserError(
            f"{model.repeated[0].name} is a core of a tensor train: its deltas are counted, not "
            "its cycles"
        )
    layout, timing = MemoryMap(model, design), Timing.of(model, design)
    stages = [(stage, _array(stage, layout, updates, balanced)) for stage in layout.stages]
    loops = [
        _loop(list(layer), layout, timing) for _, layer in groupby(stages, lambda one: one[0].layer)
    ]
    array, vector = (
        sum(array for _, array in stages),
        sum(vector_cycles(stage, layout) for stage, _ in stages),
    )
    return np.maximum(np.maximum(array, vector), np.max(loops, axis=0) / design.streams)


def _loop(stages: Sequence[tuple[LayerStage, Array]], layout: MemoryMap, timing: Timing) -> Array:
    return sum(
        (
            np.maximum(array, vector_cycles(stage, layout)) + waits(stage, timing)
            for stage, array in stages
        ),
        start=np.zeros(len(stages[0][1])),
    )


def _array(stage: LayerStage, layout: MemoryMap, updates: Updates, balanced: bool) -> Array:
    design, total = layout.design, np.zeros(len(next(iter(updates.columns.values()))))
    for product in stage.products:
        passes = ceil(Rows(product, layout.model.block, design.words).count / design.pes)
        columns = _columns(product, layout, updates.columns[product.name], balanced)
        total += passes * np.where(columns > 0, np.maximum(columns, design.pes // design.words), 0)
    return total


def _columns(product: Product, layout: MemoryMap, changed: Array, balanced: bool) -> Array:
    """Columns that the group with most has in every frame."""
    splits = layout.design.splits
    if balanced:
        return -(-changed.sum(axis=1) // splits)
    firsts = np.cumsum([0] + [operand.matrix.weights.shape[2] for operand in product.operands])
    groups = layout.spectra.columns(product)
    return np.max(
        [changed[:, [firsts[o] + c for o, c in group]].sum(axis=1) for group in groups], axis=0
    )
