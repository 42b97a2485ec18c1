"""`run.json`: for every step of a run what it was done with, and where the run's corpus lies."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ernn.errors import UserError
from ernn.files import write_atomic
from ernn.ground.plain import decode
from ernn.ground.reading import read_json

STATE = "run.json"
ANEW = "it was damaged or changed by hand; put back a copy, or begin again in another folder"


@dataclass(frozen=True)
class Done:
    """A step. key: digest of its inputs. command: as typed. seconds: that it took."""

    key: str
    options: dict[str, Any]
    seconds: float
    command: str


@dataclass(frozen=True)
class Settings:
    """The corpus' folder as it was named, whole and from the run's folder: one of them may move."""

    root: str | None = None
    beside: str | None = None

    @classmethod
    def of(cls, folder: Path, root: Path) -> "Settings":
        """For a run in `folder` on a corpus in `root`."""
        whole = root.expanduser().resolve()
        return cls(str(whole), os.path.relpath(whole, folder.resolve()))

    def places(self, folder: Path) -> list[Path]:
        """Where the corpus may be now, nearest first; none where it needs no folder."""
        named = [] if self.root is None else [Path(self.root)]
        return named if self.beside is None else [folder / self.beside, *named]


@dataclass(frozen=True)
class State:
    """What `run.json` holds."""

    settings: Settings = Settings()
    steps: dict[str, Done] = field(default_factory=dict)

    def without(self, names: set[str]) -> "State":
        """With these steps to be done again."""
        return self.with_steps({n: one for n, one in self.steps.items() if n not in names})

    def with_steps(self, steps: Mapping[str, Done]) -> "State":
        return replace(self, steps=dict(steps))

    def to_json(self) -> str:
        """Keys sorted, so that equal states are equal files."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    def save(self, path: Path) -> None:
        """Write it whole or not at all."""
        write_atomic(path, self.to_json())


def load_state(path: Path) -> State:
    """The state in a file; a new one where there is none. UserError where it is damaged."""
    if not path.exists():
        return State()
    try:
        return decode(str(path), State, read_json(path))
    except UserError as error:
        raise UserError(f"{error}: {ANEW}") from None
