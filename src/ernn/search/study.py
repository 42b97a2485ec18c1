"""The general search: Optuna over cell, size, layers, block size and bits; three objectives.

The study lives in a journal on disk.  A search that was killed goes on with what was running then;
no finished trial is done twice and, where trials run one at a time, the same ones are chosen as
without the kill.  What a trial does is a `Job`, any callable from a choice to an outcome; who does
it is a pool (`ernn.search.pool`), this process or many machines.
"""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import optuna
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ernn.errors import UserError, one_line
from ernn.files import write_atomic
from ernn.ir.structure import BLOCK_SIZES
from ernn.nn.spec import Cell
from ernn.search.pool import Failure, Pool
from ernn.search.written import numbers

Sampler = Literal["nsga2", "tpe"]
OBJECTIVES = ("error", "kbit", "cycles")
JOURNAL = "study.journal"


@dataclass(frozen=True)
class Choice:
    """One point of the space."""

    cell: Cell
    hidden: int
    layers: int
    block: int
    weight_bits: int


@dataclass(frozen=True)
class Space:
    """Values that each part of a choice may take."""

    cell: tuple[Cell, ...] = ("lstm", "gru")
    hidden: tuple[int, ...] = (64, 128, 192, 256)
    layers: tuple[int, ...] = (1, 2)
    block: tuple[int, ...] = (2, 4, 8, 16)
    weight_bits: tuple[int, ...] = (8, 12, 16)

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name):
                raise UserError(f"the space has no value for {field.name}: give at least one")
        if wrong := sorted(set(self.block) - set(BLOCK_SIZES)):
            raise UserError(f"block sizes are of {BLOCK_SIZES}, not {wrong[0]}")
        if wrong := [bits for bits in self.weight_bits if not 4 <= bits <= 18]:
            raise UserError(f"a weight has 4 to 18 bits, not {wrong[0]}")
        if least := [size for size in (*self.hidden, *self.layers) if size < 1]:
            raise UserError(f"units and layers are at least 1, not {least[0]}")

    @classmethod
    def parse(cls, cell: str, hidden: str, layers: str, block: str, weight_bits: str) -> "Space":
        """From lists such as "64,128"; UserError where one is not."""
        if unknown := [one for one in cell.split(",") if one not in get_args(Cell)]:
            raise UserError(f"a cell is one of {', '.join(get_args(Cell))}, not {unknown[0]!r}")
        cells: Any = tuple(cell.split(","))
        return cls(cells, numbers(hidden), numbers(layers), numbers(block), numbers(weight_bits))

    def choose(self, trial: optuna.Trial) -> Choice:
        """The sampler's choice."""
        return Choice(
            **{
                name: trial.suggest_categorical(name, values)
                for name, values in asdict(self).items()
            }
        )


@dataclass(frozen=True)
class Outcome:
    """What a trial reached: errors in per cent, storage in kbit, cycles a frame; all to be small.

    stopped: why it was ended early, empty where it was not; then the figures mean nothing.
    """

    error: float = 0.0
    kbit: float = 0.0
    cycles: float = 0.0
    stopped: str = ""


Job = Callable[[Choice], Outcome]


def search(
    folder: Path,
    space: Space,
    job: Job,
    trials: int,
    pool: Pool,
    sampler: Sampler = "nsga2",
    seed: int = 0,
) -> optuna.Study:
    """Do trials until `trials` have ended (finished, stopped early, or failed); the study.

    A trial whose worker dies is given to another; a trial that raises is marked as failed, with its
    error, and the search goes on. Raises UserError where `folder` holds a search of another space.
    """
    study = open_study(folder)
    _require_same(study, space, folder)
    lost = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    running: dict[int, optuna.Trial] = {}
    while True:
        while _ended(study) + len(running) < trials and len(running) < pool.size:
            study.sampler = _sampler(sampler, [seed, _ended(study), len(running)], trials)
            trial = optuna.Trial(study, lost.pop(0)._trial_id) if lost else study.ask()
            running[trial.number] = trial
            pool.submit(trial.number, job, space.choose(trial))
        if not running:
            return study
        number, outcome = pool.next()
        _tell(study, running.pop(number), outcome)


def _require_same(study: optuna.Study, space: Space, folder: Path) -> None:
    """Optuna cannot add values to a space in which it has trials."""
    mine = {name: list(values) for name, values in asdict(space).items()}
    kept = study.user_attrs.get("space", mine)
    if other := [name for name in mine if kept[name] != mine[name]]:
        raise UserError(
            f"{folder} holds a search whose {other[0]} are {kept[other[0]]}, not {mine[other[0]]}: "
            "give the same values, or another folder"
        )
    study.set_user_attr("space", mine)


def open_study(folder: Path) -> optuna.Study:
    """The study kept in `folder`, a new one where there is none."""
    optuna.logging.set_verbosity(logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    _end_at_a_line(folder / JOURNAL)
    directions = [StudyDirection.MINIMIZE] * len(OBJECTIVES)
    try:
        storage = JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
        study = optuna.create_study(
            storage=storage, study_name="ernn", load_if_exists=True, directions=directions
        )
        study.best_trials  # noqa: B018 - which wants as many values of each trial
        if study.directions != directions:
            raise ValueError(f"its directions are {study.directions}")
    except Exception as error:  # whatever a damaged journal does to Optuna
        raise UserError(
            f"{folder / JOURNAL} is damaged ({one_line(error)}): put back a copy, or search in "
            "another folder"
        ) from error
    return study


def _end_at_a_line(journal: Path) -> None:
    """Cut off what a process that died was writing: the next line would be put behind it."""
    content = journal.read_bytes() if journal.is_file() else b""
    if content and not content.endswith(b"\n"):
        write_atomic(journal, content[: content.rfind(b"\n") + 1])


def pareto(study: optuna.Study) -> list[FrozenTrial]:
    """The Pareto front of finished trials, fewest errors first; of equal choices, the first."""
    unlike = {str(sorted(trial.params.items())): trial for trial in reversed(study.best_trials)}
    return sorted(unlike.values(), key=lambda trial: (*trial.values, trial.number))


def _sampler(name: Sampler, seeds: list[int], trials: int) -> BaseSampler:
    """For one choice: what it draws follows from the seeds and the trials before, not from whether
    the search has been stopped in between.
    """
    seed = int(np.random.SeedSequence(seeds).generate_state(1)[0])
    match name:
        case "nsga2":
            return NSGAIISampler(population_size=max(4, min(20, trials // 4)), seed=seed)
        case "tpe":
            return TPESampler(n_startup_trials=max(4, trials // 4), multivariate=True, seed=seed)
        case _:
            raise UserError(f"a sampler is nsga2 or tpe, not {name!r}")


def _ended(study: optuna.Study) -> int:
    trials = study.get_trials(deepcopy=False)
    return sum(trial.state.is_finished() for trial in trials)


def _tell(study: optuna.Study, trial: optuna.Trial, outcome: Any) -> None:
    match outcome:
        case Outcome(stopped=""):
            study.tell(trial, [getattr(outcome, name) for name in OBJECTIVES])
        case Outcome(stopped=reason):
            trial.set_user_attr("stopped", reason)
            study.tell(trial, state=TrialState.PRUNED)
        case Failure(error=error):
            trial.set_user_attr("error", error)
            study.tell(trial, state=TrialState.FAIL)
        case _:
            raise TypeError(f"a job gives an Outcome, not {type(outcome).__name__}")
