"""What a delta network in integers updates: block columns of products by frame, and their cost.

`ernn.deltas.integer` counts them, `ernn.deltas.cycles` makes cycles of them.
"""

from dataclasses import dataclass

import numpy as np

from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import Operand
from ernn.ir.kronecker import RepeatedMatrix
from ernn.scheduling.design import multipliers_per_pe

Array = np.ndarray


@dataclass(frozen=True)
class DeltaWork:
    """Multiplications of the columns of all products that changed, and of all that there are."""

    multiplications: int
    dense: int

    @property
    def share(self) -> float:
        """Of a dense network's multiplications."""
        return self.multiplications / self.dense

    def __add__(self, other: "DeltaWork") -> "DeltaWork":
        return DeltaWork(self.multiplications + other.multiplications, self.dense + other.dense)


@dataclass(frozen=True, eq=False)
class Updates:
    """By product's name, which block columns were updated: (frames,
    block columns), operands in a row.
    """

    model: IntegerModel
    columns: dict[str, Array]

    @property
    def work(self) -> DeltaWork:
        """Multiplications of the updated columns, and of all; three a
        complex product, no transforms.
        """
        total = DeltaWork(0, 0)
        for product in (product for layer in self.model.layers for product in layer.products):
            changed, at = self.columns[product.name], 0
            for operand in product.operands:
                count = operand.matrix.weights.shape[2]
                each, part = _each(operand, self.model.block), changed[:, at : at + count]
                total += DeltaWork(each * int(part.sum()), each * part.size)
                at += count
        return total


def _each(operand: Operand, block: int) -> int:
    """Multiplications of one block column."""
    matrix = operand.matrix
    if isinstance(matrix, RepeatedMatrix):
        return matrix.core.shape[0] * matrix.core.shape[1]
    each = block // matrix.kept * multipliers_per_pe(matrix.kept)
    return matrix.gates * matrix.block_rows * each
