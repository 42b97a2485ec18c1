"""How much it costs to compress each matrix, or each gate of it, alone.

It alone is projected, the error is taken, it is put back.  What to compress hard and what to
leave alone follows from the table.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ernn.compress.plan import CompressionPlan, NamedMatrix, matrices
from ernn.compress.sets import project
from ernn.errors import UserError
from ernn.ir.structure import Structure


@dataclass(frozen=True)
class Sensitivity:
    """matrix: its name, or `gate` of it, a number. error: with it alone in `structure`.

    distance: how far the projection is, of the norm. stored: numbers that are stored then, of this
    matrix or gate; bits: with places, of 12 bits a number where the structure has none of its own.
    """

    matrix: str
    gate: int | None
    structure: Structure
    error: float
    distance: float
    stored: int
    bits: int

    @property
    def part(self) -> str:
        return self.matrix if self.gate is None else f"{self.matrix}[{self.gate}]"


def sensitivity(
    module: nn.Module,
    structures: Sequence[Structure],
    error: Callable[[nn.Module], float],
    gates: bool = False,
    number_bits: int = 12,
) -> list[Sensitivity]:
    """Every matrix of `module` in each of `structures` that fits it; `gates`: gate by gate.

    `error` is called once a line of the table: give it held-out data that no choice
    is judged by later (validation). The module is as before afterwards.  UserError
    if no structure fits any matrix.
    """
    found = [
        line
        for matrix in matrices(module, CompressionPlan())
        for gate in (range(matrix.gates) if gates else [None])
        for structure in structures
        if (line := _one(module, matrix, gate, structure, error, number_bits)) is not None
    ]
    if not found:
        raise UserError(f"none of {', '.join(map(str, structures))} fits a matrix of the model")
    return found


@torch.no_grad()
def _one(
    module: nn.Module,
    matrix: NamedMatrix,
    gate: int | None,
    structure: Structure,
    error: Callable[[nn.Module], float],
    number_bits: int,
) -> Sensitivity | None:
    matrix = replace(matrix, structure=structure)
    whole: Tensor = matrix.weight if gate is None else matrix.weight[gate : gate + 1]
    shape, before = tuple(whole.shape), whole.clone()
    try:
        stored, bits = structure.stored(shape), structure.bits(shape, number_bits)
    except UserError:
        return None  # a size that the structure does not divide
    try:
        whole.copy_(project(whole, structure))
        distance = float(torch.dist(whole, before) / before.norm().clamp(min=1e-30))
        return Sensitivity(matrix.name, gate, structure, error(module), distance, stored, bits)
    finally:
        whole.copy_(before)
