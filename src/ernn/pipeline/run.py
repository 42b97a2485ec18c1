"""A run directory: what one command leaves for the next, and what has been done with which inputs.

`run.json` keeps, for every step done, the digest of its inputs, the command as typed and the
seconds it took.  A step whose inputs are unchanged is skipped.  A step done anew takes away the
figures of all steps that used its result: a record never mixes two networks.
"""

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from ernn.errors import UserError
from ernn.ground.plain import decode
from ernn.ground.typed import command_line
from ernn.pipeline.side_by_side import alone
from ernn.pipeline.state import ANEW, STATE, Done, Settings, State, load_state
from ernn.pipeline.steps import STEPS, Step, dependents, step_named
from ernn.report.record import Measurement, RunRecord

RECORD = "record.json"
T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """What a command did. `skipped`: inputs unchanged, so results are those of the last time."""

    step: str
    folder: Path
    seconds: float
    skipped: bool
    figures: tuple[tuple[str, Measurement], ...]


@dataclass(frozen=True, eq=False)
class _Standing:
    """The record, the state, and digests of the files that a step writes."""

    record: RunRecord
    state: State
    files: dict[str, str]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(values: Mapping[str, Any]) -> str:
    """Of plain values and this program's version: another one may give other results."""
    text = json.dumps({"ernn": version("ernn"), **values}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def code_digest(folders: tuple[str, ...]) -> str:
    """Of the Python files in and below these folders of the package: other code, other results."""
    package = Path(__file__).parents[1]
    files = [path for folder in folders for path in sorted((package / folder).rglob("*.py"))]
    return hashlib.sha256("".join(file_digest(path) for path in files).encode()).hexdigest()


def _owned(path: str, step: Step) -> bool:
    return any(path == own or path.startswith(f"{own}.") for own in step.figures)


class Run:
    """One run directory, created where it does not exist.

    root: where the corpus lies now; None is where it lay when the last step was done.
    """

    def __init__(self, folder: Path | str, root: Path | None = None) -> None:
        self.folder = Path(folder)
        self._state = self._kept = load_state(self.path(STATE))
        if root is not None:
            self._state = replace(self._state, settings=Settings.of(self.folder, root))
        self.record = (
            RunRecord.load(self.path(RECORD)) if self.path(RECORD).exists() else RunRecord()
        )

    @classmethod
    def existing(cls, folder: Path | str, root: Path | None = None) -> "Run":
        """A run that has begun; UserError where the folder is not one."""
        if not (Path(folder) / STATE).exists():
            raise UserError(
                f"{folder} is not a run directory (no {STATE}): begin with `ernn train --out "
                f"{folder}`"
            )
        return cls(folder, root)

    @property
    def places(self) -> list[Path]:
        """Where the corpus may lie, nearest first; none where it needs no folder."""
        return self._state.settings.places(self.folder)

    def path(self, name: str) -> Path:
        """A file of this run."""
        return self.folder / name

    def done(self, step: str) -> bool:
        """Whether `step` has been done with the results that are there now."""
        return step in self._state.steps

    def options(self, step: str) -> dict[str, Any]:
        """Options that `step` was done with; UserError where it is still to be done."""
        if not self.done(step):
            command = (
                f"ernn train --out {self.folder}"
                if step == "train"
                else f"ernn {step} {self.folder}"
            )
            raise UserError(f"{self.folder} has no result of `{step}` yet: run `{command}` first")
        return self._state.steps[step].options

    def option(self, step: str, name: str, of: type[T]) -> T:
        """One of them, of a class; UserError where the file does not hold such a one."""
        where = f"{self.path(STATE)}: the {name} of {step}"
        try:
            return decode(where, of, self.options(step).get(name))
        except UserError as error:
            raise UserError(f"{error}: {ANEW}") from None

    def seconds(self) -> list[tuple[str, float]]:
        """Steps done, in the path's order, and the seconds each took."""
        done = self._state.steps
        return [(step.name, done[step.name].seconds) for step in STEPS if step.name in done]

    def commands(self) -> list[str]:
        """Commands as typed, in the path's order, each once."""
        typed = [self._state.steps[step.name].command for step in STEPS if self.done(step.name)]
        return list(dict.fromkeys(typed))

    def perform(
        self,
        name: str,
        options: Mapping[str, Any],
        work: Callable[[], object],
        reads: Sequence[str] = (),
        writes: Sequence[str] = (),
    ) -> Outcome:
        """Do step `name` by `work()`, unless done with equal `options` and files `reads`, `writes`.

        UserError if the step it needs is not done, or another command is at work in the folder.
        """
        step = step_named(name)
        self._require_before(step)
        for file in reads:
            if not self.path(file).is_file():
                raise UserError(f"{self.path(file)} is missing: do one of {_before(step)} again")
        key = self._key(step, options, reads)
        if self._current(name, key, writes):
            if self._state != self._kept:
                with self._alone():
                    self._save()
            return self._outcome(step, self._state.steps[name].seconds, skipped=True)
        self._require_writable()
        with self._alone():
            return self._do(step, key, options, work, writes)

    def _require_before(self, step: Step) -> None:
        """UserError where nothing that a step needs is done, or the run has begun otherwise."""
        if step.needs and not any(map(self.done, step.needs)):
            self.options(step.needs[0])
        for other in STEPS:
            if not step.needs and not other.needs and other != step and self.done(other.name):
                raise UserError(
                    f"{self.folder} is a run that began with `ernn {other.name}`: choose another "
                    "folder"
                )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """UserError where another command is at work here, or has been meanwhile."""
        with alone(self.path(STATE)) as mine:
            if not mine:
                raise UserError(
                    f"another command is at work in {self.folder}: wait for its end, or use "
                    "another folder"
                )
            if load_state(self.path(STATE)) != self._kept:
                raise UserError(
                    f"another command has changed {self.folder} meanwhile: do this one again"
                )
            yield

    def _save(self) -> None:
        self._state.save(self.path(STATE))
        self._kept = self._state

    def _do(
        self,
        step: Step,
        key: str,
        options: Mapping[str, Any],
        work: Callable[[], object],
        writes: Sequence[str],
    ) -> Outcome:
        before = self._standing(writes)
        self._forget(step)
        began = time.monotonic()
        try:
            work()
        except (UserError, OSError, KeyboardInterrupt):
            self._put_back(before, writes)
            raise
        seconds = round(time.monotonic() - began, 2)
        self.record.save(self.path(RECORD))
        command = command_line()
        done = Done(key, json.loads(json.dumps(dict(options))), seconds, command)
        self._state = self._state.with_steps(self._state.steps | {step.name: done})
        self._save()
        return self._outcome(step, seconds, skipped=False)

    def _standing(self, writes: Sequence[str]) -> "_Standing":
        """What may have to be put back: the record, the state, and digests of the step's files."""
        files = {name: file_digest(self.path(name)) for name in writes if self.path(name).is_file()}
        return _Standing(self.record, self._kept, files)

    def _put_back(self, before: "_Standing", writes: Sequence[str]) -> None:
        """A step that could not be done removes nothing, if it has not touched its files."""
        if self.path(STATE).exists() and self._standing(writes).files == before.files:
            self.record, self._state = before.record, before.state
            self.record.save(self.path(RECORD))
            self._save()

    def _require_writable(self) -> None:
        """Called before the work, so that it is not lost for a folder that cannot be written to."""
        there = next(
            place for place in (self.folder, *self.folder.absolute().parents) if place.exists()
        )
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            raise UserError(
                f"{self.folder} cannot be a run directory ({there}: {error.strerror}): choose "
                "another"
            ) from None

    def _key(self, step: Step, options: Mapping[str, Any], reads: Sequence[str]) -> str:
        files = {name: file_digest(self.path(name)) for name in reads}
        return digest({"options": dict(options), "files": files, "code": code_digest(step.code)})

    def _current(self, name: str, key: str, writes: Sequence[str]) -> bool:
        done = self._state.steps.get(name)
        return (
            done is not None
            and done.key == key
            and all(self.path(file).exists() for file in writes)
        )

    def _forget(self, step: Step) -> None:
        """Remove what `step` and all that follow from it have left in the record and the state."""
        gone = (step, *dependents(step.name))
        kept = RunRecord()
        for path, measurement in self.record.measurements():
            if not any(_owned(path, one) for one in gone):
                kept.set(path, measurement)
        for name in {series for one in STEPS if one not in gone for series in one.series}:
            if self.record.series(name) is not None:
                kept.set_series(name, self.record.series(name))
        self.record = kept
        self._state = self._state.without({one.name for one in gone})
        if self.folder.exists():
            self.record.save(self.path(RECORD))
            self._save()

    def _outcome(self, step: Step, seconds: float, *, skipped: bool) -> Outcome:
        figures = tuple((path, m) for path, m in self.record.measurements() if _owned(path, step))
        return Outcome(step.name, self.folder, seconds, skipped, figures)


def _before(step: Step) -> str:
    """The steps that lead to `step`."""
    names = [one.name for one in STEPS if step in dependents(one.name)]
    return ", ".join(f"`ernn {name}`" for name in names)
