"""Layers in training in the units that their integers have.

Products that are kept row by row (`ernn.quantization.apart`), and what is hidden
(`ernn.quantization.hidden`): rows and columns of weights times powers of two.  Cells
(`ernn.quantization.equalise`): steps more, and vectors times powers of two.
"""

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from ernn.errors import UserError
from ernn.nn.parameters import Parameters
from ernn.quantization.equalise import rescaled
from ernn.quantization.parts import divided, kept_as

Powers = Mapping[str, Tensor]


def in_own_units(named: Parameters, own: Powers, read: Powers) -> Parameters:
    """A layer whose numbers are times these powers of two.

    own: by its products and steps. read: by what its products read.

    Raises UserError where a step cannot have units.
    """
    kept = {kept_as(product) for product in named.cell.products}
    made = {step.name for step in named.cell.steps if step.sum in _gates(named, own)}
    named = _with_columns(_with_rows(named, own), read)
    for name in (step.name for step in named.cell.steps if step.name in own):
        if name in kept:
            named = _divided(named, name, own[name])
        elif name not in made:
            named = _rescaled(named, name, own[name])
    return named


def _gates(named: Parameters, own: Powers) -> set[str]:
    """Names of products' only gates."""
    return {f"{product.name}.0" for product in named.cell.products if product.name in own}


def _with_rows(named: Parameters, own: Powers) -> Parameters:
    weights = {
        (product, read): replace(weight, rows=own.get(product))
        for (product, read), weight in named.weights.items()
    }
    biases = {name: bias * own.get(name, 1) for name, bias in named.biases.items()}
    return replace(named, weights=weights, biases=biases)


def _with_columns(named: Parameters, read: Powers) -> Parameters:
    weights = dict(named.weights)
    for product in named.cell.products:
        for one in product.reads:
            if one.name in read:
                key = product.name, str(one)
                weights[key] = replace(weights[key], columns=1 / read[one.name])
    return replace(named, weights=weights)


def _divided(named: Parameters, kept: str, powers: Tensor) -> Parameters:
    cell, back = divided(named.cell, kept)
    return replace(named, cell=cell, vectors={**named.vectors, back: 1 / powers})


def _rescaled(named: Parameters, name: str, powers: Tensor) -> Parameters:
    found = rescaled(named.cell, name) if name in named.cell.states else None
    if found is None:
        raise UserError(f"{name} has units of its own, which training does not round with")
    vectors = dict(named.vectors)
    for vector, (of, sign) in found.vectors.items():
        vectors[vector] = powers**sign * (1.0 if of is None else named.vectors[of])
    return replace(
        named, cell=found.cell, vectors={one: vectors[one] for one in found.cell.vectors}
    )
