"""Cells in training in the units that their integers have, as `ernn.quantization.equalise` has
them: steps more, and vectors times powers of two.
"""

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from ernn.errors import UserError
from ernn.nn.parameters import Parameters
from ernn.quantization.equalise import rescaled


def in_own_units(named: Parameters, units: Mapping[str, Tensor]) -> Parameters:
    """Of a layer whose steps' numbers are times these powers of two, by step.

    Raises UserError where a step cannot have units.
    """
    for name, powers in units.items():
        found = rescaled(named.cell, name) if name in named.cell.states else None
        if found is None:
            raise UserError(f"{name} has units of its own, which training does not round with")
        vectors = dict(named.vectors)
        for vector, (of, sign) in found.vectors.items():
            vectors[vector] = powers**sign * (1.0 if of is None else named.vectors[of])
        named = replace(
            named, cell=found.cell, vectors={one: vectors[one] for one in found.cell.vectors}
        )
    return named
