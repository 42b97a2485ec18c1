"""What a network has to say of a sequence, and in which of its outputs it says so."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from ernn.errors import UserError

Per = Literal["sequence", "frame"]
Read = Literal["last", "mean"]


def _require(ok: bool, message: str) -> None:
    if not ok:
        raise UserError(message)


@dataclass(frozen=True)
class Transcription:
    """A string of labels (CTC): output 0 is the blank, output i + 1 says labels[i]."""

    counted: ClassVar[str] = "labels"
    reading: ClassVar[str] = "greedy CTC decoding"
    labels: tuple[str, ...]

    @property
    def outputs(self) -> int:
        return 1 + len(self.labels)


@dataclass(frozen=True)
class _Answer:
    """An output for each of `names`, of every frame or of the whole sequence.

    read: the answer to a whole sequence is the output of its `last` frame, or the `mean` of all.
    """

    names: tuple[str, ...]
    per: Per = "sequence"
    read: Read = "last"

    def __post_init__(self) -> None:
        _require(len(set(self.names)) == len(self.names) > 0, f"names must differ: {self.names}")
        _require(self.per in get_args(Per), f"an answer is per sequence or frame, not {self.per!r}")
        _require(self.read in get_args(Read), f"read is last or mean, not {self.read!r}")

    @property
    def outputs(self) -> int:
        return len(self.names)

    @property
    def reading(self) -> str:
        """Which outputs are judged, in words."""
        if self.per == "frame":
            return "the outputs of every frame"
        return "the last frame's outputs" if self.read == "last" else "the mean of all outputs"


@dataclass(frozen=True)
class Classification(_Answer):
    """One of the classes `names`. weights: of each class's errors in training; none: all 1."""

    counted: ClassVar[str] = "decisions"
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(len(self.names) > 1, f"a classification needs two classes, not {self.names}")
        fits = len(self.weights) in (0, len(self.names)) and min(self.weights, default=1) > 0
        _require(fits, f"weights of classes are above 0, one a class, not {self.weights}")


@dataclass(frozen=True)
class Detection(_Answer):
    """Yes or no to each of `names`, independently: yes where its output is above 0."""

    counted: ClassVar[str] = "decisions"


@dataclass(frozen=True)
class Regression(_Answer):
    """Numbers, in deviations of the training targets from their mean."""

    counted: ClassVar[str] = "numbers"


Objective = Transcription | Classification | Detection | Regression
