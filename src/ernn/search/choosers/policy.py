"""A policy-gradient controller (REINFORCE, Williams 1992; Zoph and Le 2017) over parts' options.

A pick is drawn; how much better than usual its trial went moves the distribution towards or away
from it.  A pick above the budget is not tried: it moves the distribution at once, by its excess.
"""

from collections.abc import Sequence

import numpy as np

from ernn.search.candidates import Pick
from ernn.search.choosers.chooser import Setting, Tried

REFUSED = 2000
"""So many picks in a row that are above the budget, or known, end a search."""


class Policy:
    """rate: of the logits. push: the same for a pick above the budget. memory: of what is usual."""

    epochs = 0

    def __init__(
        self, setting: Setting, rate: float = 0.5, push: float = 0.02, memory: float = 0.8
    ) -> None:
        self.space, self.rate, self.push, self.memory = setting.space, rate, push, memory
        self.random = np.random.default_rng(setting.seed)
        self.logits = [np.zeros(len(part.options)) for part in self.space.parts]
        self.drawn: list[int] = []
        self.usual: float | None = None

    def propose(self, history: Sequence[Tried]) -> Pick | None:
        if self.drawn:
            self._learn(history[-1].loss)
        known = {one.pick for one in history}
        for _ in range(REFUSED):
            self.drawn = [int(self.random.choice(len(one), p=shares(one))) for one in self.logits]
            pick = tuple(
                part.options[i] for part, i in zip(self.space.parts, self.drawn, strict=True)
            )
            if not self.space.fits(pick):
                self._move(-self.push * min(10.0, self.space.price(pick) / self.space.limit - 1))
            elif pick not in known:
                return pick
        return None

    def _learn(self, loss: float) -> None:
        """Losses are compared as ratios: their scale is the task's."""
        loss = float(np.log(loss))
        usual = loss if self.usual is None else self.usual
        self._move(self.rate * (usual - loss))
        self.usual = self.memory * usual + (1 - self.memory) * loss

    def _move(self, step: float) -> None:
        """Along the gradient of the logarithm of the drawn pick's probability."""
        for logits, index in zip(self.logits, self.drawn, strict=True):
            gradient = -shares(logits)
            gradient[index] += 1
            logits += step * gradient


def shares(logits: np.ndarray) -> np.ndarray:
    """Softmax."""
    grown = np.exp(logits - logits.max())
    return grown / grown.sum()
