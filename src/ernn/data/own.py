"""A corpus of a user's own: sequences of any numbers, and what is to be said of each."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from ernn.data.content import files_digest
from ernn.data.corpus import Corpus, FloatArray, Split, Unit, Utterance, checked
from ernn.data.divide import divided, windows
from ernn.data.manifest import Manifest, Task
from ernn.data.objective import Classification, Detection, Objective, Regression, Transcription
from ernn.data.recordings import Per, Recording, Recordings, read
from ernn.errors import UserError
from ernn.ground.reading import read_bytes

Array = np.ndarray


@dataclass(frozen=True)
class OwnData(Corpus):
    """path: an npz, a Parquet file, or a folder with a table. given: goes before what they say.

    seed: of splits.
    """

    path: Path
    given: Manifest = Manifest()
    seed: int = 0

    @property
    def name(self) -> str:
        return self.path.resolve().stem

    @property
    def unit(self) -> Unit:
        if isinstance(self.objective, Transcription):
            return "label"
        return self.objective.per

    @property
    def label_set(self) -> tuple[str, ...]:
        match self.objective:
            case Transcription(labels=names) | Classification(names=names):
                return names
            case Detection(names=names) | Regression(names=names):
                return names

    @property
    def description(self) -> str:
        items, said = self._read.items, self._read.manifest.description
        groups = len({item.group for item in items})
        return (
            f"{len(items)} sequences of {items[0].features.shape[1]} channels in {self.path}, to "
            f"{self.task}; {groups} groups{'; ' + said if said else ''}"
        )

    @property
    def identity(self) -> str:
        if self.path.is_dir():
            return files_digest(self.path.rglob("*"), self.given, self.seed)
        content = hashlib.sha256(read_bytes(self.path))  # whatever the file is called
        content.update(repr((self.given, self.seed)).encode())
        return content.hexdigest()[:32]

    @property
    def frame_ms(self) -> float | None:
        return self._read.manifest.frame_ms

    @cached_property
    def task(self) -> Task:
        """What is to be done: as the manifest says, or as the targets look."""
        possible = tasks_of(self._read)
        asked = self._read.manifest.task or possible[0]
        if asked not in possible:
            raise UserError(
                f"{self.path}: these targets cannot be used to {asked}, only to "
                f"{' or '.join(possible)} (docs/how-to/own-data.md)"
            )
        return asked

    @cached_property
    def objective(self) -> Objective:  # type: ignore[override]  # computed once
        names, per = self._names, "frame" if self._read.per == "frame" else "sequence"
        read = self._read.manifest.read or "last"
        match self.task:
            case "transcribe":
                return Transcription(names)
            case "classify":
                return Classification(names, "sequence", read, self._weights)
            case "label":
                return Classification(names, "frame", weights=self._weights)
            case "detect":
                return Detection(names, per, read)
            case "regress":
                return Regression(names, per, read)

    def utterances(self, split: Split) -> list[Utterance]:
        """UserError where a file is damaged, a target does not fit, or a split is empty."""
        return self._utterances[split]

    @cached_property
    def _read(self) -> Recordings:
        return read(self.path, self.given)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        items, said = self._read.items, self._read.manifest.classes
        if self.task in ("detect", "regress"):
            columns = columns_of(items[0].target, self._read.per)
            return said or tuple(f"y{column}" for column in range(columns))
        if said is not None:
            return said
        values = np.unique(np.concatenate([np.ravel(item.target) for item in items]))
        return tuple(_text(value) for value in values)

    @cached_property
    def _utterances(self) -> dict[Split, list[Utterance]]:
        whole = self.task == "classify" and self._read.per != "frame"
        kinds = [str(item.target) if whole else "" for item in self._read.items]
        parts = divided(self._read.items, kinds, self.seed)
        return {
            split: checked(self.name, split, self._names, self._cut(items, split))
            for split, items in parts.items()
        }

    def _cut(self, items: Sequence[Recording], split: Split) -> Iterator[Utterance]:
        manifest, per = self._read.manifest, self._read.per
        for item in items:
            if manifest.window is None:
                yield self._utterance(item, split)
                continue
            length, stride = manifest.window, manifest.stride or manifest.window
            for window in windows(item, length, stride, per):
                yield self._utterance(window, split)

    def _utterance(self, item: Recording, split: Split) -> Utterance:
        labels: tuple[str, ...] = ()
        numbers = None
        if self.task in ("detect", "regress"):
            numbers = self._numbers(item)
        else:
            labels = self._labels(item)
        return Utterance(
            item.id,
            item.group,
            split,
            labels,
            read_features=partial(_same, item.features),
            numbers=numbers,
        )

    def _labels(self, item: Recording) -> tuple[str, ...]:
        """Names of its classes; of a whole that has them a frame, the most frequent."""
        said = self._read.manifest.classes
        values = np.ravel(item.target)
        if said is None or values.dtype.kind in "US":
            labels = tuple(_text(value) for value in values)
        else:
            wrong = [value for value in values if not (0 <= value < len(said) and value % 1 == 0)]
            if wrong:
                raise UserError(
                    f"{self.path}: sequence {item.id} has the class {_text(wrong[0])}, classes "
                    f"count from 0 to {len(said) - 1}"
                )
            labels = tuple(said[int(value)] for value in values)
        if self.task == "classify" and len(labels) > 1:
            return (Counter(labels).most_common(1)[0][0],)
        return labels

    def _numbers(self, item: Recording) -> FloatArray:
        columns = columns_of(item.target, self._read.per)
        numbers = np.asarray(item.target, np.float32).reshape(-1, columns)
        where = f"{self.path}: sequence {item.id}"
        if columns != len(self._names):
            raise UserError(f"{where} has {columns} targets, not {len(self._names)}")
        if not np.isfinite(numbers).all():
            raise UserError(f"{where} has a target that is not finite: repair it or leave it out")
        if self.task == "detect" and not np.isin(numbers, (0, 1)).all():
            raise UserError(f"{where} has a target that is neither 0 nor 1: detect is yes or no")
        return numbers

    @cached_property
    def _weights(self) -> tuple[float, ...]:
        """Of each class, 1 in the mean over the training targets; none where all are equal."""
        asked = self._read.manifest.weights or "equal"
        counts = Counter(label for one in self.utterances("train") for label in one.labels)
        if absent := [name for name in self._names if not counts[name]]:
            raise UserError(
                f"{self.path}: class {absent[0]!r} is not in the training split: leave it out, or "
                "say `splits` yourself"
            )
        if asked == "equal":
            return ()
        if isinstance(asked, str):
            asked = {name: 1 / counts[name] for name in self._names}
        if set(asked) != set(self._names) or min(asked.values()) <= 0:
            raise UserError(
                f"{self.path}: weights are one above 0 for each of {', '.join(self._names)}"
            )
        mean = sum(asked[name] * counts[name] for name in counts) / counts.total()
        return tuple(asked[name] / mean for name in self._names)


def tasks_of(found: Recordings) -> tuple[Task, ...]:
    """What targets can be used for, the likeliest first."""
    if found.per == "string":
        return ("transcribe",)
    arrays = [item.target for item in found.items]
    kinds = {array.dtype.kind for array in arrays}
    single = all(columns_of(array, found.per) == 1 for array in arrays)
    classes: tuple[Task, ...] = ("label", "classify") if found.per == "frame" else ("classify",)
    if kinds <= {"U", "S"}:
        return classes if single else ()
    if not kinds <= {"i", "u", "b", "f"}:
        return ()
    if not single:
        return ("detect", "regress") if kinds == {"b"} else ("regress", "detect")
    if kinds == {"b"}:
        return ("detect", *classes)
    if kinds <= {"i", "u"}:
        return (*classes, "regress", "detect")
    whole = all(np.equal(np.mod(array, 1), 0).all() for array in arrays)
    return ("regress", "detect", *classes) if whole else ("regress", "detect")


def columns_of(target: Array, per: Per) -> int:
    """How many values a target has, of the whole or of a frame."""
    if per == "frame":
        return target.shape[1] if target.ndim == 2 else 1
    return max(1, target.size)


def _text(value: object) -> str:
    """A label as text: "3" of 3 and of 3.0."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _same(features: FloatArray) -> FloatArray:
    return features
