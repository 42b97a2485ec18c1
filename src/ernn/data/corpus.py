"""What a corpus is: utterances with id, speaker, split, labels, and samples or features."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from ernn.data.objective import Objective, Transcription
from ernn.errors import UserError, one_line
from ernn.ground.reading import is_file

Split = Literal["train", "validation", "test"]
Unit = Literal["phone", "digit", "label", "sequence", "frame"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

FloatArray = npt.NDArray[np.float32]
Audio = tuple[FloatArray, int]


@dataclass(frozen=True)
class Segment:
    """`label` is spoken in samples [start, end); in frames where the corpus holds features."""

    start: int
    end: int
    label: str

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise UserError(
                f"a segment needs 0 <= start <= end, got {self.start}..{self.end} for "
                f"{self.label!r}"
            )


@dataclass(frozen=True)
class Utterance:
    """One recording and what is said in it.

    Exactly one of `read_audio` and `read_features` is given: a corpus holds either sound or
    ready-made features. `alignment`, where the corpus has one, covers the utterance without gap;
    its labels may include silence, which `labels` leaves out. `numbers`: float32 [1 or frames,
    names], where these are to be said instead of labels.
    """

    id: str
    speaker: str
    split: Split
    labels: tuple[str, ...]
    read_audio: Callable[[], Audio] | None = field(default=None, repr=False, compare=False)
    read_features: Callable[[], FloatArray] | None = field(default=None, repr=False, compare=False)
    alignment: tuple[Segment, ...] | None = field(default=None, repr=False)
    numbers: FloatArray | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if (self.read_audio is None) == (self.read_features is None):
            raise UserError(
                f"utterance {self.id} needs either samples or features, exactly one of them"
            )
        if self.split not in SPLITS:
            raise UserError(
                f"utterance {self.id}: split is one of {', '.join(SPLITS)}, got {self.split!r}"
            )

    def samples(self) -> Audio:
        """Sound, float32 [samples] in [-1, 1), and its rate in Hz; UserError if there is none."""
        if self.read_audio is None:
            raise UserError(
                f"utterance {self.id} has stored features, no samples; use "
                "FeatureSpec(kind='stored')"
            )
        return self.read_audio()

    def features(self) -> FloatArray:
        """The corpus's own features, float32 [frames, dim]; UserError if it holds sound instead."""
        if self.read_features is None:
            raise UserError(
                f"utterance {self.id} has samples, no stored features; use kind='logmel' or 'mfcc'"
            )
        return self.read_features()


class Corpus(Protocol):
    """A named set of sequences in three splits: of speech, utterances with their strings of labels,
    else whatever its `objective` says.
    """

    @property
    def name(self) -> str: ...

    @property
    def unit(self) -> Unit:
        """What an error rate counts."""
        ...

    @property
    def label_set(self) -> tuple[str, ...]:
        """All labels or classes, without the CTC blank, or names of what is said in numbers."""
        ...

    @property
    def objective(self) -> Objective:
        """What is to be said of a sequence."""
        return Transcription(self.label_set)

    @property
    def frame_ms(self) -> float | None:
        """From frame to frame of features that it holds, milliseconds; None: not known."""
        return None

    @property
    def description(self) -> str:
        """What it is, how it is split, under which licence."""
        ...

    @property
    def identity(self) -> str:
        """Of all that utterances are, wherever they lie: a key for features."""
        ...

    def utterances(self, split: Split) -> Sequence[Utterance]: ...


def checked(
    name: str, split: Split, label_set: tuple[str, ...], utterances: Iterable[Utterance]
) -> list[Utterance]:
    """The utterances as a list; UserError if none, a repeated id, or a label not in `label_set`."""
    known, ids, out = set(label_set), set[str](), list(utterances)
    if not out:
        raise UserError(f"{name}: split {split!r} is empty; check that the folder is complete")
    for utterance in out:
        if unknown := [label for label in utterance.labels if label not in known]:
            raise UserError(
                f"{name}: label {unknown[0]!r} of utterance {utterance.id} is not in the label set"
            )
        if utterance.id in ids:
            raise UserError(f"{name}: utterance id {utterance.id} occurs twice in split {split!r}")
        ids.add(utterance.id)
    return out


def hold_out(speakers: Iterable[str], count: int, seed: int) -> frozenset[str]:
    """`count` speakers drawn without replacement; depends on the seed and the set, in any order."""
    pool = sorted(set(speakers))
    if not 0 < count < len(pool):
        raise UserError(
            f"cannot hold out {count} of {len(pool)} speakers; at least one must stay on each side"
        )
    chosen = np.random.default_rng([seed, 0x5EED]).permutation(len(pool))[:count]
    return frozenset(pool[i] for i in chosen)


def require_folder(name: str, root: Path | str) -> Path:
    """`root` as a Path; UserError if it is not a folder."""
    path = Path(root).expanduser()
    if not path.is_dir():
        raise UserError(f"{name}: {path} is not a folder; give the folder that holds the corpus")
    return path


def require_file(name: str, path: Path) -> Path:
    """`path`; UserError if it is not a file."""
    if not is_file(path):
        raise UserError(
            f"{name}: {one_line(str(path))} is missing; check that the folder is the corpus's root "
            "and complete"
        )
    return path
