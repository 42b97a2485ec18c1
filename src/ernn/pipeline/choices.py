"""What a person asked for on the command line, as a plan and a solver."""

import re
from collections.abc import Sequence
from dataclasses import fields, replace

from ernn.compress.plan import CompressionPlan
from ernn.errors import UserError
from ernn.ir.edges import DataBits
from ernn.ir.structure import BankBalanced, LoadBalanced, Pruned
from ernn.train.recipes import Recipe
from ernn.train.solvers import ByAdmm, Direct, Gradual, OneShot, Solver


def plan(
    block: int | None,
    output_block: int | None,
    density: float | None,
    pes: int | None,
    bank: int | None,
    signed: bool | None = None,
) -> CompressionPlan | None:
    """The plan asked for, None where nothing was; UserError where options contradict each other."""
    if density is None and (pes or bank):
        raise UserError("--pes and --bank say where weights are kept: give --density as well")
    if signed is not None and block is None:
        raise UserError("--signed and --plain are of what blocks read: give --block as well")
    if density is not None:
        if block is not None or output_block is not None:
            raise UserError("--density prunes, --block makes blocks: give one of them")
        return CompressionPlan.pruned(_sparse(density, pes, bank))
    if block is None and output_block is not None:
        raise UserError("--output-block is given without --block: give both")
    if block is None:
        return None
    return CompressionPlan.blocks(block, output_block or 1, signed=signed is not False)


def _sparse(
    density: float, pes: int | None, bank: int | None
) -> Pruned | LoadBalanced | BankBalanced:
    match pes, bank:
        case None, None:
            return Pruned(density)
        case int(), None:
            return LoadBalanced(density, pes)
        case None, int():
            return BankBalanced(density, bank)
        case _:
            raise UserError("--pes and --bank are two ways of pruning: give one of them")


def bits_of(words: Sequence[str]) -> tuple[DataBits, dict[str, int]]:
    """Bits of kinds of data from words such as "cell=8", of weights from words such as
    "l0.gates.x=6"; UserError for what is not of that form.
    """
    kinds = [field.name for field in fields(DataBits)]
    data: dict[str, int] = {}
    weights: dict[str, int] = {}
    for word in words:
        name, _, bits = word.partition("=")
        if not bits.isdecimal() or not (name in kinds or re.match(r"l\d", name)):
            raise UserError(
                f"--bits-of takes a kind and its bits, as cell=8, not {word!r}; kinds are "
                f"{', '.join(kinds)}, and weights are those of a layer (l0=8), a product "
                "(l0.gates=8) or one of its matrices (l0.gates.x=8)"
            )
        (data if name in kinds else weights)[name] = int(bits)
    return DataBits(**data), weights


def solver(name: str, recipe: Recipe, towards: int | None, inside: int | None) -> Solver:
    """The solver `name` with the recipe's training, for other numbers of epochs where given.

    UserError where it has none of them. From the start it is as long as all stages of ADMM
    together, at the dense network's rate.
    """
    if towards is not None and name in ("one-shot", "direct"):
        raise UserError(
            f"{name} has no epochs towards the structure: leave --towards out, or give --solver "
            "admm or gradual"
        )
    first = replace(recipe.admm, epochs=towards or recipe.admm.epochs)
    then = replace(recipe.retrain, epochs=inside or recipe.retrain.epochs)
    fresh = replace(recipe.dense, epochs=inside or recipe.epochs)
    match name:
        case "admm":
            return recipe.taught(ByAdmm(first, then, recipe.solver))
        case "one-shot":
            return recipe.taught(OneShot(then))
        case "direct":
            return recipe.taught(Direct(fresh))
        case "gradual":
            return recipe.taught(Gradual(first, then))
        case _:
            raise UserError(
                f"no solver is called {name!r}; they are admm, one-shot, direct and gradual"
            )
