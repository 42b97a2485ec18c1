"""Greedy by sensitivity: from the mildest pick, steps of least loss per byte (or cycle) saved.

What bits cost is taken as in `ernn sensitivity`: each matrix alone rounded, no training.  What
structures and widths cost would be far too much without training; the first trials are each
part alone in each structure, or of each width, trained briefly.  The rises of the loss
are added up to predict any pick.  Later trials are what this predicts to be best, first with
structures and widths weighed against bits in several ways - how much training mends of either
is not known -, then with the weights that explain what was tried within the budget; and at
last what lies around the best.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain

import numpy as np

from ernn.compress.grids import Uniform
from ernn.compress.methods.quantized import Quantized
from ernn.compress.sensitivity import sensitivity
from ernn.estimate.nonnegative_fit import nonnegative
from ernn.ir.structure import Dense, Structure
from ernn.search.candidates import Option, Pick, Space, Units
from ernn.search.choosers.chooser import Setting, Tried
from ernn.search.choosers.steps import around, descend
from ernn.search.rehearsal import validation_loss

WEIGHTS = ((1.0, 1.0), (1.0, 2.0), (1.0, 0.5), (1.0, 4.0), (1.0, 0.25))
"""Weights tried: of what structures and widths cost, and of what bits cost."""

PRIOR, LEAST = 0.1, 0.01
"""How strongly weights are drawn to a half, and the least that one may be."""


class Greedy:
    """The table takes as many trials as all parts have structures and widths, but the mildest."""

    epochs = 0

    def __init__(self, setting: Setting) -> None:
        self.setting, self.space = setting, setting.space

    def propose(self, history: Sequence[Tried]) -> Pick | None:
        tried = {one.pick: one for one in history}
        return next(
            (pick for pick in chain(table(self.space), self._chosen(tried)) if pick not in tried),
            None,
        )

    def _chosen(self, tried: Mapping[Pick, Tried]) -> Iterator[Pick]:
        """Picks after the table of single changes, if there are trials left for them."""
        rises = self._rises(tried)
        for weights in WEIGHTS:
            yield descend(self.space, rises.weighed(*weights))
        fitting, least = [one for one in tried.values() if one.fits], tried[self.space.mildest].loss
        rises = rises.weighed(*explained(rises, [(one.pick, one.loss - least) for one in fitting]))
        yield descend(self.space, rises)
        for best in sorted(fitting, key=lambda one: one.loss):
            yield from around(self.space, best.pick, rises)

    def _rises(self, tried: Mapping[Pick, Tried]) -> "Rises":
        space, least = self.space, tried[self.space.mildest].loss
        forms = [
            {
                o.form: tried[space.changed(space.mildest, index, o)].loss - least
                for o in _forms(space, index)
            }
            for index in range(len(space.parts))
        ]
        return Rises(space, forms, [{Units.bits: 0.0} for _ in space.widths] + self.roundings)

    @cached_property
    def roundings(self) -> list[dict[int, float]]:
        """The loss's rise when matrices are rounded to so many bits, all else as it was trained."""
        model, task = self.setting.widest(), self.setting.task
        least, options = (
            validation_loss(model, task),
            [part.options for part in self.space.matrices],
        )
        every = sorted({option.bits for part in options for option in part}, reverse=True)
        if len(every) == 1:
            return [{every[0]: 0.0} for _ in options]
        grids = [Quantized(Dense(), Uniform(bits)) for bits in every]
        found = sensitivity(model, grids, lambda rounded: validation_loss(rounded, task))
        rise = {(line.matrix, line.structure): line.error - least for line in found}
        return [
            {bits: rise[part.name, grid] for bits, grid in zip(every, grids, strict=True)}
            for part in self.space.matrices
        ]


def table(space: Space) -> list[Pick]:
    """The mildest pick, and those that differ from it in one part's structure or in one width."""
    alone = (
        space.changed(space.mildest, i, o)
        for i in range(len(space.parts))
        for o in _forms(space, i)
    )
    return list(dict.fromkeys((space.mildest, *alone)))


def _forms(space: Space, index: int) -> list[Option]:
    """Options of a part with as many bits as its mildest."""
    return [
        option for option in space.parts[index].options if option.bits == space.mildest[index].bits
    ]


class Rises:
    """Predicts how much a pick's loss exceeds the mildest one's: the sum over its forms and bits.

    What stores less never counts for less than what stores more: such differences are noise.
    """

    def __init__(
        self,
        space: Space,
        forms: Sequence[Mapping[Structure | Units, float]],
        roundings: Sequence[Mapping[int, float]],
        weights: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        self.space, self.weights = space, weights
        self.forms, self.roundings = (
            [_rising(one) for one in forms],
            [_rising(one) for one in roundings],
        )

    def weighed(self, forms: float, bits: float) -> "Rises":
        return Rises(self.space, self.forms, self.roundings, (forms, bits))

    def terms(self, pick: Pick) -> tuple[float, float]:
        """What structures and widths cost, and what the bits cost."""
        form = sum(rise[option.form] for rise, option in zip(self.forms, pick, strict=True))
        return form, sum(
            rise[option.bits] for rise, option in zip(self.roundings, pick, strict=True)
        )

    def __call__(self, pick: Pick) -> float:
        form, rounding = self.terms(pick)
        return self.weights[0] * form + self.weights[1] * rounding


def explained(rises: Rises, tried: Sequence[tuple[Pick, float]]) -> tuple[float, float]:
    """Nonnegative weights that explain the rises seen best; a half where nothing is known."""
    rows = np.array([*(rises.terms(pick) for pick, _ in tried), (PRIOR, 0.0), (0.0, PRIOR)])
    found = nonnegative(rows, np.array([*(rise for _, rise in tried), PRIOR / 2, PRIOR / 2]))
    return max(LEAST, float(found[0])), max(LEAST, float(found[1]))


def _rising(values: Mapping) -> dict:
    """Values in the order of falling storage, none below one before it, or below 0."""
    highest, found = 0.0, {}
    for key, value in values.items():
        highest = max(highest, value)
        found[key] = highest
    return found
