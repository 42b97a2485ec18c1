"""What arrays do not say of themselves: the task, its names, windows; each may be left out."""

from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

from ernn.data.objective import Read
from ernn.errors import UserError
from ernn.ground.plain import fits, hints

Task = Literal["classify", "label", "detect", "regress", "transcribe"]
TASKS: tuple[Task, ...] = get_args(Task)


@dataclass(frozen=True)
class Manifest:
    """task: classify (a class a sequence), label (a class a frame), detect (yes or no, of several
    things), regress (numbers) or transcribe (a string of labels); None: as the targets look.
    classes: names of what targets count from 0. weights: of errors in training, "equal",
    "balanced", or one by class. read: which outputs answer for a whole sequence. window, stride:
    frames that long recordings are cut into. frame_ms: from frame to frame. description: where
    the data come from, their licence.
    """

    task: Task | None = None
    classes: tuple[str, ...] | None = None
    weights: str | dict[str, float] | None = None
    read: Read | None = None
    window: int | None = None
    stride: int | None = None
    frame_ms: float | None = None
    description: str | None = None

    def __post_init__(self) -> None:
        for name, hint in hints(Manifest).items():
            if not fits(value := getattr(self, name), hint):
                raise UserError(f"{name} of data cannot be {value!r}")
        if isinstance(self.weights, str) and self.weights not in ("equal", "balanced"):
            raise UserError(f"weights are equal, balanced or one by class, not {self.weights!r}")
        for name in ("window", "stride", "frame_ms"):
            if (value := getattr(self, name)) is not None and not value > 0:
                raise UserError(f"{name} must be above 0, not {value}")
        if self.stride is not None and self.window is None:
            raise UserError("stride is from window to window: give window as well")

    def over(self, other: "Manifest") -> "Manifest":
        """What this one says, and where it says nothing, what the other does."""
        pairs = ((field.name, getattr(self, field.name)) for field in fields(self))
        return replace(other, **{name: value for name, value in pairs if value is not None})
