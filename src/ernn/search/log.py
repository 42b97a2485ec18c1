"""The log of a search: every decision with its numbers, for programs and for people."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ernn.files import write_atomic


@dataclass(frozen=True)
class Decision:
    """step: of the procedure. decision: what was chosen, in words. numbers: what decided it."""

    step: str
    decision: str
    numbers: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        shown = ", ".join(f"{name} {_short(value)}" for name, value in self.numbers.items())
        return f"{self.step}: {self.decision}{f' ({shown})' if shown else ''}"


class Log:
    """decisions.jsonl and decisions.txt in `folder`, written whole at every decision.

    A search that is started again decides the same from the same results: the log is the same.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.decisions = folder, list[Decision]()

    def add(self, step: str, decision: str, **numbers: Any) -> Decision:
        made = Decision(step, decision, numbers)
        self.decisions.append(made)
        lines = [json.dumps(asdict(one), ensure_ascii=False) for one in self.decisions]
        write_atomic(self.folder / "decisions.jsonl", "\n".join(lines) + "\n")
        write_atomic(
            self.folder / "decisions.txt", "\n".join(str(one) for one in self.decisions) + "\n"
        )
        return made


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_short(one)}" for name, one in value.items()) + "}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if type(value) is int else str(value)
