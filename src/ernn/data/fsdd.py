"""The Free Spoken Digit Dataset: {digit}_{speaker}_{index}.wav, 8 kHz, in a
folder or in recordings.tar.gz.

As isolated words, or joined to connected-digit strings of one speaker (`ernn.data.strings`).
"""

import re
import tarfile
import zlib
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

import numpy as np

from ernn.data.audio import decode, read_audio
from ernn.data.corpus import Audio, Split, Unit, Utterance, checked, files_digest
from ernn.data.strings import DIGITS, StringSpec, join
from ernn.errors import UserError

LARGEST_RECORDING = 1 << 20
_NAME = re.compile(r"(?P<digit>[0-9])_(?P<speaker>[A-Za-z]+)_(?P<index>[0-9]+)\.wav")


@dataclass(frozen=True)
class Recording:
    """One spoken digit; `content` holds the file where it came out of an archive."""

    digit: str
    speaker: str
    index: int
    path: Path
    content: bytes | None = field(default=None, repr=False)

    def samples(self) -> Audio:
        name = f"{self.digit}_{self.speaker}_{self.index}.wav"
        return (
            read_audio(self.path)
            if self.content is None
            else decode(self.content, f"{self.path}:{name}")
        )


@dataclass(frozen=True)
class Fsdd:
    """`root`: the folder of wav files, a folder holding `recordings/` or
    `recordings.tar.gz`, or that archive.

    division `speaker`: test and validation are one speaker each, drawn by `seed`; `official`:
    indices 0-4 test, 5-9 validation, the rest train, so speakers are shared. strings: joined
    recordings of one speaker; None: single digits.
    """

    root: Path
    division: Literal["speaker", "official"] = "speaker"
    strings: StringSpec | None = field(default_factory=StringSpec)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.division not in ("speaker", "official"):
            raise UserError(f"fsdd: division is 'speaker' or 'official', got {self.division!r}")

    @property
    def name(self) -> str:
        return "fsdd"

    @property
    def unit(self) -> Unit:
        return "digit"

    @property
    def label_set(self) -> tuple[str, ...]:
        return DIGITS

    @property
    def description(self) -> str:
        kind = (
            "connected digits, strings of one speaker's recordings"
            if self.strings
            else "isolated digits"
        )
        test, validation = (
            ", ".join(sorted({r.speaker for r in self._of(s)})) for s in ("test", "validation")
        )
        rule = (
            f"test speaker {test}, validation speaker {validation}, the others train (seed "
            f"{self.seed})"
            if self.division == "speaker"
            else "official division: recordings 0-4 test, 5-9 validation, speakers shared"
        )
        return f"Free Spoken Digit Dataset, 8 kHz, {kind}; {rule}; CC BY-SA 4.0"

    @property
    def identity(self) -> str:
        files = {r.path for r in self._recordings}
        return files_digest(
            Path(self.root).expanduser(), files, self.name, self.division, self.strings, self.seed
        )

    def utterances(self, split: Split) -> list[Utterance]:
        """UserError if there is nothing to read or a split is empty."""
        found = self._of(split)
        groups = (
            [(r,) for r in found] if self.strings is None else _strings(found, split, self.strings)
        )
        return checked(
            self.name, split, DIGITS, (_utterance(n, g, split) for n, g in enumerate(groups))
        )

    def _of(self, split: Split) -> list[Recording]:
        if self.division == "official":
            bounds = {"test": range(5), "validation": range(5, 10), "train": range(10, 1 << 30)}
            return [r for r in self._recordings if r.index in bounds[split]]
        speakers = sorted({r.speaker for r in self._recordings})
        if len(speakers) < 3:
            raise UserError(
                f"fsdd: a division by speaker needs three speakers, found {len(speakers)}; use "
                "'official'"
            )
        order = [
            speakers[i]
            for i in np.random.default_rng([self.seed, 0x5EED]).permutation(len(speakers))
        ]
        chosen = {"test": order[:1], "validation": order[1:2], "train": order[2:]}[split]
        return [r for r in self._recordings if r.speaker in chosen]

    @cached_property
    def _recordings(self) -> list[Recording]:
        found = sorted(
            _read(Path(self.root).expanduser()), key=lambda r: (r.speaker, r.digit, r.index)
        )
        if not found:
            raise UserError(
                f"fsdd: no {{digit}}_{{speaker}}_{{index}}.wav in {self.root} nor in its recordings"
            )
        return found


def _strings(found: list[Recording], split: Split, spec: StringSpec) -> list[tuple[Recording, ...]]:
    groups: list[tuple[Recording, ...]] = []
    for salt, speaker in enumerate(sorted({r.speaker for r in found})):
        mine = [i for i, r in enumerate(found) if r.speaker == speaker]
        groups.extend(tuple(found[i] for i in members) for members in join(mine, split, spec, salt))
    return groups


def _utterance(number: int, group: tuple[Recording, ...], split: Split) -> Utterance:
    key = f"{split}-{number:05d}-{group[0].speaker}-" + "+".join(
        f"{r.digit}.{r.index}" for r in group
    )
    return Utterance(
        key, group[0].speaker, split, tuple(r.digit for r in group), partial(_joined, group)
    )


def _joined(group: tuple[Recording, ...]) -> Audio:
    sounds = [r.samples() for r in group]
    if len({rate for _, rate in sounds}) != 1:
        raise UserError(
            f"fsdd: recordings of one string have different rates: {sorted({r for _, r in sounds})}"
        )
    return np.concatenate([samples for samples, _ in sounds]), sounds[0][1]


def _read(root: Path) -> list[Recording]:
    if root.is_file():
        return _from_archive(root)
    if not root.is_dir():
        raise UserError(f"fsdd: {root} is neither a folder nor recordings.tar.gz")
    if (root / "recordings").is_dir():
        root = root / "recordings"
    elif (root / "recordings.tar.gz").is_file():
        return _from_archive(root / "recordings.tar.gz")
    matches = ((_NAME.fullmatch(path.name), path) for path in root.iterdir())
    return [Recording(m["digit"], m["speaker"], int(m["index"]), path) for m, path in matches if m]


def _from_archive(path: Path) -> list[Recording]:
    """Recordings, in memory; nothing is written to disk, links and other names are ignored."""
    found = []
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                match = _NAME.fullmatch(member.name.rsplit("/", 1)[-1])
                if match and member.isreg():
                    content = _member(archive, member, path)
                    found.append(
                        Recording(
                            match["digit"], match["speaker"], int(match["index"]), path, content
                        )
                    )
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise UserError(f"fsdd: {path} is truncated or no tar archive ({error})") from error
    return found


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> bytes:
    if member.size > LARGEST_RECORDING:
        raise UserError(
            f"fsdd: {path}: {member.name} states {member.size} bytes; a recording has at most 1 MiB"
        )
    stream = archive.extractfile(member)
    content = stream.read() if stream else b""
    if len(content) != member.size:
        raise UserError(f"fsdd: {path} is truncated within {member.name}")
    return content
