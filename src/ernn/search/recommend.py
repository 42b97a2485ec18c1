"""Automatic compression: a chooser proposes and trials tell, until they are used up."""

from collections.abc import Callable

from ernn.compress.plan import CompressionPlan
from ernn.errors import UserError
from ernn.search.candidates import Space
from ernn.search.choosers.chooser import Chooser, Tried
from ernn.search.log import Log
from ernn.search.rehearsal import Heard

Trial = Callable[[tuple[int, ...] | None, CompressionPlan], Heard]
"""From units (`Space.units`) and a plan to what was found."""


def recommend(
    space: Space, chooser: Chooser, trial: Trial, trials: int, log: Log, epochs: int = 1
) -> list[Tried]:
    """Everything tried, in order; `epochs`: of one trial.

    A trial that was done before comes from its file, so a search that was stopped and is started
    again makes the same choices.  UserError where no trial was within the budget.
    """
    history: list[Tried] = []
    trials -= -(-chooser.epochs // epochs)
    while len(history) < trials and (pick := chooser.propose(history)) is not None:
        heard = trial(space.units(pick), space.plan(pick))
        history.append(Tried(pick, heard.loss, heard.error, space.price(pick), space.fits(pick)))
        _tell(space, history, log)
    if not any(one.fits for one in history):
        raise UserError(f"none of {len(history)} trials was within the budget: give more trials")
    return history


def best(history: list[Tried]) -> Tried:
    """The least loss within the budget."""
    return min((one for one in history if one.fits), key=lambda one: one.loss)


def _tell(space: Space, history: list[Tried], log: Log) -> None:
    latest = history[-1]
    kept = [one for one in history if one.fits]
    decision = "above the budget, for the table" if not latest.fits else "within the budget"
    if latest.fits and best(kept) is latest:
        decision = "within the budget, the best so far"
    log.add(
        f"trial {len(history)}",
        decision,
        loss=latest.loss,
        error=latest.error,
        price=latest.price,
        budget=space.limit,
        **space.describe(latest.pick),
    )
