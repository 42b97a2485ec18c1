"""Optuna's samplers over all parts: random, TPE (Bergstra et al. 2011), NSGA-II (Deb et al. 2002).

A pick above the budget is told at once as bad, the worse the further above, and costs no trial.
"""

import logging
from collections.abc import Sequence
from typing import Literal

import optuna

from ernn.search.candidates import Pick
from ernn.search.choosers.chooser import Setting, Tried

Name = Literal["random", "tpe", "nsga2"]
REFUSED = 2000
"""So many picks above the budget in a row end a search."""
WORST = 100.0
"""Nats per label, told of a pick above the budget: no network is so bad."""


class Sampled:
    """One of the samplers, by its name."""

    epochs = 0

    def __init__(self, setting: Setting, name: Name) -> None:
        optuna.logging.set_verbosity(logging.WARNING)
        self.space = setting.space
        self.study = optuna.create_study(sampler=_sampler(name, setting))
        self.asked: optuna.Trial | None = None

    def propose(self, history: Sequence[Tried]) -> Pick | None:
        if self.asked is not None:
            self.study.tell(self.asked, history[-1].loss)
        known = {one.pick: one.loss for one in history}
        for _ in range(REFUSED):
            self.asked = self.study.ask()
            pick = self._pick(self.asked)
            if pick not in known and self.space.fits(pick):
                return pick
            above = min(1e3, self.space.price(pick) / self.space.limit)
            self.study.tell(self.asked, known.get(pick, WORST * above))
        self.asked = None
        return None

    def _pick(self, trial: optuna.Trial) -> Pick:
        chosen = (
            trial.suggest_categorical(part.name, range(len(part.options)))
            for part in self.space.parts
        )
        return tuple(
            part.options[index] for part, index in zip(self.space.parts, chosen, strict=True)
        )


def _sampler(name: Name, setting: Setting) -> optuna.samplers.BaseSampler:
    match name:
        case "random":
            return optuna.samplers.RandomSampler(setting.seed)
        case "tpe":
            return optuna.samplers.TPESampler(multivariate=True, seed=setting.seed)
        case "nsga2":
            return optuna.samplers.NSGAIISampler(
                population_size=max(4, setting.trials // 4), seed=setting.seed
            )
