"""A user's own sequences in memory, and what is to be said of each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from ernn.data.given import recordings
from ernn.data.manifest import Manifest
from ernn.data.recordings import of_arrays
from ernn.errors import UserError, one_line, require
from ernn.files import write_atomic

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Sequences:
    """Your own sequences, and what is to be said of each.

    docs/how-to/own-data.md says what targets are taken for. Raises UserError where they do not fit
    together.

    >>> import ernn, numpy as np
    >>> windows = np.random.default_rng(0).standard_normal((30, 20, 3))
    >>> ernn.Sequences(windows, ["walk", "run", "jump"] * 10).save("out/mine.npz").name
    'mine.npz'
    """

    features: Sequence[Array] | Array
    """Frames (time, channels) of each sequence, or an array (sequences, time, channels)."""
    targets: Sequence[Any] | Array
    """Of each sequence a class, numbers, an array with one row a frame, or a string of labels."""
    task: str | None = None
    """classify, label, detect, regress or transcribe; None: as the targets look."""
    groups: Sequence[Any] | Array | None = None
    """Whose each sequence is: a group is never divided between training and test."""
    splits: Sequence[str] | Array | None = None
    """train, validation or test, of each; None: drawn."""
    settings: Mapping[str, Any] | None = None
    """The rest of `ernn.data.manifest.Manifest`: classes, weights, read, window, stride, ..."""

    def __post_init__(self) -> None:
        of_arrays(self._arrays(), "sequences", Manifest())

    def save(self, path: Path | str) -> Path:
        """Write an npz that `ernn train --data` takes, whole or not at all; its path.

        path: of the file.
        """
        content = BytesIO()
        np.savez(content, allow_pickle=False, **self._arrays())
        return write_atomic(path, content.getvalue())

    def _arrays(self) -> dict[str, Array]:
        frames = recordings(self.features)
        require(self.targets, Sequence | np.ndarray, "targets must be a list, one a sequence")
        if len(self.targets) != len(frames):
            raise UserError(f"{len(frames)} sequences have {len(self.targets)} targets")
        arrays = {"features": np.concatenate(frames).astype(np.float32)}
        arrays["lengths"] = np.array([len(one) for one in frames])
        targets = [_plain(one, number) for number, one in enumerate(self.targets)]
        arrays |= _targets(targets, arrays["lengths"], self.task)
        for name in ("groups", "splits"):
            if (given := getattr(self, name)) is not None:
                arrays[name] = np.array([str(one) for one in given])
        return arrays | {"manifest": np.array(_manifest(self.task, self.settings))}


def _manifest(task: str | None, settings: Mapping[str, Any] | None) -> str:
    try:
        return json.dumps({"task": task, **(settings or {})})
    except TypeError as error:
        raise UserError(f"settings are plain values, as JSON holds them: {error}") from None


def _plain(target: Any, number: int) -> Array:
    try:
        array = np.asarray(target)
    except ValueError as error:
        raise UserError(f"target {number} is no array: {one_line(error)}") from None
    if array.dtype.kind not in "biufUS":
        raise UserError(f"target {number} must be text or numbers, not {array.dtype}")
    return array


def _targets(targets: list[Array], lengths: Array, task: str | None) -> dict[str, Array]:
    """A row a frame for arrays as long as their sequences; strings where labels are asked for."""
    if task == "transcribe":
        counts = np.array([one.size for one in targets])
        return {"targets": np.concatenate(targets), "target_lengths": counts}
    framed = all(one.ndim > 0 and len(one) == n for one, n in zip(targets, lengths, strict=True))
    shapes = {one.shape[framed:] for one in targets}
    if len(shapes) != 1:
        raise UserError(
            f"targets are alike for all sequences, or have a row a frame, not {sorted(shapes)}"
        )
    return {"targets": np.concatenate(targets) if framed else np.array(targets)}
