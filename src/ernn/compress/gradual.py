"""Gradual compression: a little more structure at a time, with training in between."""

from dataclasses import replace

import torch
from torch import nn

from ernn.compress.plan import CompressionPlan, compressed
from ernn.compress.sets import project, weaker
from ernn.ir.structure import BlockCirculant, Dense, Signed, Structure


@torch.no_grad()
def pull(module: nn.Module, plan: CompressionPlan, share: float) -> None:
    """Every matrix of the plan moved a `share` of the way to its projection; 1 projects it."""
    for matrix in compressed(module, plan):
        matrix.weight.lerp_(project(matrix.weight, matrix.structure), share)


def path(plan: CompressionPlan, steps: int) -> tuple[CompressionPlan, ...]:
    """`steps` plans from little structure to `plan` itself.

    Block sizes double up to the last one; densities fall as `ernn.ir.structure.density_on_the_way`
    has it, at shares 1/steps, 2/steps, ..., 1.
    """
    return tuple(_weaker(plan, step, steps) for step in range(1, steps + 1))


def _weaker(plan: CompressionPlan, step: int, steps: int) -> CompressionPlan:
    roles = {
        role: _at(getattr(plan, role), step, steps)
        for role in ("input", "recurrent", "projection", "output")
    }
    return replace(
        plan, **roles, overrides=tuple((name, _at(s, step, steps)) for name, s in plan.overrides)
    )


def _at(structure: Structure, step: int, steps: int) -> Structure:
    match structure:
        case Dense():
            return structure
        case BlockCirculant(block=block):
            smaller = max(1, block >> (steps - step))
            return replace(structure, block=smaller) if smaller > 1 else Dense()
        case Signed(inner=inner):
            found = _at(inner, step, steps)
            return found if found == Dense() else replace(structure, inner=found)
        case _:
            return weaker(structure, step / steps)
