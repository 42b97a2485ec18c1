"""What every way to choose does: propose a pick, hear how its trial went, propose the next."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ernn.compress.hidden_units import narrowed
from ernn.nn.model import AcousticModel
from ernn.search.candidates import Pick, Space
from ernn.train.spec import TrainSpec
from ernn.train.task import Task


@dataclass(frozen=True)
class Tried:
    """A pick after its trial. loss: nats per validation label. error: error rate in per cent."""

    pick: Pick
    loss: float
    error: float
    price: float
    fits: bool


class Chooser(Protocol):
    """`propose` is called with all that was tried; the same history gives the same proposal.

    `epochs`: passes over the training examples that it makes for itself before its first proposal;
    they are taken from the trials' own.
    """

    epochs: int

    def propose(self, history: Sequence[Tried]) -> Pick | None:
        """The next pick to try, one that was not; None where it has no more to propose."""
        ...


@dataclass(frozen=True, eq=False)
class Setting:
    """What a chooser is made from.

    dense: makes the trained dense network. spec: training of one trial. trials: how many there will
    be if a chooser trains nothing itself. folder: where its own training is kept.
    """

    space: Space
    dense: Callable[[], AcousticModel]
    task: Task
    spec: TrainSpec
    trials: int
    folder: Path
    seed: int = 0
    progress: bool = False

    def widest(self) -> AcousticModel:
        """The dense network as wide as the mildest pick: narrower ones are its first units."""
        return narrowed(self.dense(), self.space.units(self.space.mildest))


def own_training(setting: Setting, epochs: int) -> TrainSpec:
    """Training of a chooser's own network, as a trial's but for so many epochs."""
    return replace(setting.spec, epochs=max(1, epochs), seed=setting.seed)
