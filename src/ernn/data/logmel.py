"""Log-mel features stored in 8 bits: labels.jsonl and feats/<split>.z, LibriSpeech's or a user's.

Each line of labels.jsonl: id, speaker, split (train, train_more, valid or test), frames, offset of
the first one in its split, phones.  A .z file is zlib's of uint8 [bins, frames of the split], as
differences along both axes modulo 256; the value of a number q is -6 + q / 4.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path

import numpy as np

from ernn.data.content import files_digest
from ernn.data.corpus import (
    Corpus,
    FloatArray,
    Split,
    Unit,
    Utterance,
    checked,
    require_file,
    require_folder,
)
from ernn.errors import UserError
from ernn.ground.reading import MOST_UNPACKED, parse_json, read_bytes, read_lines

LOWEST, STEP = -6.0, 0.25
_PARTS: dict[Split, tuple[str, ...]] = {
    "train": ("train", "train_more"),
    "validation": ("valid",),
    "test": ("test",),
}
_KINDS = {"id": str, "speaker": str, "split": str, "phones": str, "frames": int, "offset": int}


@dataclass(frozen=True)
class LogMel(Corpus):
    """The corpus under `root`; with `more`, the utterances of train_more are trained with, too."""

    root: Path
    more: bool = False

    @property
    def name(self) -> str:
        return "logmel-more" if self.more else "logmel"

    @property
    def unit(self) -> Unit:
        return "phone"

    @property
    def frame_ms(self) -> float:
        return 10.0

    @property
    def label_set(self) -> tuple[str, ...]:
        """Every phone that occurs in any split."""
        lines = (line for part in self._lines.values() for line in part)
        return tuple(sorted({phone for line in lines for phone in line.phones}))

    @property
    def description(self) -> str:
        parts = {
            split: [line for part in self._used(split) for line in self._lines.get(part, [])]
            for split in _PARTS
        }
        counts = ", ".join(
            f"{split} {len({line.speaker for line in lines})}" for split, lines in parts.items()
        )
        return (
            f"log-mel features in 8 bits of {self._folder.name}, canonical phones; speakers: "
            f"{counts}; LibriSpeech's are CC BY 4.0"
        )

    @property
    def identity(self) -> str:
        files = sorted((self._folder / "feats").glob("*.z"))
        return files_digest([self._folder / "labels.jsonl", *files], self.name)

    def utterances(self, split: Split) -> list[Utterance]:
        """UserError if a file is missing or damaged."""
        frames = {part: self._frames(part) for part in self._used(split) if part in self._lines}
        found = (
            line.utterance(split, frames[part]) for part in frames for line in self._lines[part]
        )
        return checked(self.name, split, self.label_set, found)

    def _used(self, split: Split) -> tuple[str, ...]:
        return _PARTS[split] if self.more else _PARTS[split][:1]

    def _frames(self, part: str) -> Callable[[], np.ndarray]:
        """uint8 [frames, bins] of a part, read when it is first asked for."""
        path = require_file(self.name, self._folder / "feats" / f"{part}.z")
        return cache(partial(_unpacked, path, sum(line.frames for line in self._lines[part])))

    @cached_property
    def _folder(self) -> Path:
        return require_folder(self.name, self.root)

    @cached_property
    def _lines(self) -> dict[str, list["_Line"]]:
        """By part, in the order of the file."""
        path, found = require_file(self.name, self._folder / "labels.jsonl"), {}
        for where, text in read_lines(path):
            line = _line(parse_json(text, f"{self.name}: {where}"), f"{self.name}: {where}")
            found.setdefault(line.part, []).append(line)
        return found


@dataclass(frozen=True)
class _Line:
    id: str
    speaker: str
    part: str
    phones: tuple[str, ...]
    frames: int
    offset: int

    def utterance(self, split: Split, frames: Callable[[], np.ndarray]) -> Utterance:
        return Utterance(
            self.id, self.speaker, split, self.phones, None, partial(self._features, frames)
        )

    def _features(self, frames: Callable[[], np.ndarray]) -> FloatArray:
        found = frames()[self.offset : self.offset + self.frames]
        if len(found) != self.frames:
            raise UserError(
                f"utterance {self.id} has frames {self.offset} to {self.offset + self.frames} of "
                f"{len(frames())}: labels.jsonl and feats belong to different corpora"
            )
        return np.float32(LOWEST) + np.float32(STEP) * found.astype(np.float32)


def _line(item: object, where: str) -> _Line:
    found = item if isinstance(item, dict) else {}
    wrong = [name for name, kind in _KINDS.items() if type(found.get(name)) is not kind]
    if wrong or found["frames"] < 1 or found["offset"] < 0:
        raise UserError(
            f"{where} needs id, speaker, split and phones as text, frames of at least 1 and an "
            f"offset; wrong: {', '.join(wrong) or 'frames or offset'}"
        )
    phones = tuple(found["phones"].split())
    names = (found["id"], found["speaker"], found["split"], phones)
    return _Line(*names, found["frames"], found["offset"])


def _unpacked(path: Path, frames: int) -> np.ndarray:
    packed, unpacking = read_bytes(path), zlib.decompressobj()
    try:
        content = unpacking.decompress(packed, MOST_UNPACKED * len(packed))
    except zlib.error as error:
        raise UserError(f"{path} is not what zlib wrote, or is damaged: {error}") from error
    if not unpacking.eof or len(content) % frames:
        raise UserError(f"{path} is not the features of {frames} frames; take the file anew")
    bands = np.cumsum(np.frombuffer(content, np.uint8).reshape(-1, frames), 0, dtype=np.uint8)
    return np.ascontiguousarray(np.cumsum(bands, 1, dtype=np.uint8).T)
