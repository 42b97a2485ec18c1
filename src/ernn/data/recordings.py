"""A user's own sequences as files hold them: arrays in an npz, or a folder with a table."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ernn.data.corpus import FloatArray
from ernn.data.manifest import Manifest
from ernn.data.parquet import arrays_of
from ernn.errors import UserError, one_line
from ernn.ground.plain import decode
from ernn.ground.reading import inside, parse_json, read_array, read_json, read_named, read_text

Array = np.ndarray
Per = Literal["sequence", "frame", "string"]

NEEDED = ("features", "targets")
OPTIONAL = ("lengths", "target_lengths", "groups", "splits", "ids", "manifest")
TABLE, SETTINGS = "manifest.csv", "manifest.json"
COLUMNS = ("file", "target", "targets", "group", "split", "id")


@dataclass(frozen=True, eq=False)
class Recording:
    """features: float32 [frames, channels]. target: of the whole (a value, or values), or with a
    value, or values, a frame, or a string of labels. group: is never divided between splits.
    """

    id: str
    group: str
    features: FloatArray
    target: Array
    split: str | None = None


@dataclass(frozen=True, eq=False)
class Recordings:
    """per: what has a target. manifest: what the files say besides."""

    items: tuple[Recording, ...]
    per: Per
    manifest: Manifest


def read(path: Path, given: Manifest) -> Recordings:
    """From an npz, a Parquet file, or a folder with a table; `given` goes before what they say.

    Raises UserError, in one line, for whatever is missing, damaged or does not fit together.
    """
    if path.is_dir():
        return _of_folder(path, given)
    if path.suffix == ".parquet":
        return of_arrays(arrays_of(path, given.task), str(path), given)
    return of_arrays(read_named(path, NEEDED, OPTIONAL), str(path), given)


def of_arrays(arrays: Mapping[str, Array], where: str, given: Manifest) -> Recordings:
    """What arrays by name hold (docs/how-to/own-data.md)."""
    manifest = given.over(_manifest(arrays.get("manifest"), where))
    features = _reals(arrays["features"], f"{where}: features")
    padded = features.ndim == 3
    if not padded and (features.ndim != 2 or "lengths" not in arrays):
        raise UserError(
            f"{where}: features are (sequences, frames, channels), or (frames, channels) of all "
            f"sequences with their lengths, not {features.shape}"
        )
    lengths = _lengths(arrays.get("lengths"), features, where)
    sequences = _apart(features, lengths, padded)
    per, targets = _targets(arrays, lengths, padded, where)
    count = len(lengths)
    ids = _column(arrays, "ids", count, where) or [f"{number:05d}" for number in range(count)]
    if len(set(ids)) < count:
        raise UserError(f"{where}: ids must differ")
    groups, splits = (_column(arrays, name, count, where) for name in ("groups", "splits"))
    items = zip(ids, groups or ids, sequences, targets, splits or [None] * count, strict=True)
    return Recordings(tuple(Recording(*item) for item in items), per, manifest)


def _manifest(array: Array | None, where: str) -> Manifest:
    if array is None:
        return Manifest()
    plain = parse_json(str(array), f"{where}: manifest")
    return decode(f"{where}: manifest", Manifest, plain)


def _reals(array: Array, where: str) -> FloatArray:
    if array.dtype.kind not in "iufb":
        raise UserError(f"{where} must be real numbers, not {array.dtype}")
    with np.errstate(over="ignore"):  # what becomes infinite is named where it is used
        return np.ascontiguousarray(array, np.float32)


def _lengths(given: Array | None, features: Array, where: str) -> list[int]:
    if given is None:
        return [features.shape[1]] * len(features)
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise UserError(f"{where}: lengths must be whole numbers, one a sequence")
    lengths = [int(length) for length in given]
    if features.ndim == 3:
        fits = len(lengths) == len(features) and max(lengths, default=0) <= features.shape[1]
    else:
        fits = sum(lengths) == len(features)
    if not fits or min(lengths, default=0) < 1:
        raise UserError(
            f"{where}: lengths are at least 1 and those of features {features.shape}: "
            f"{len(lengths)} that sum to {sum(lengths)} are not"
        )
    return lengths


def _apart(array: Array, lengths: Sequence[int], padded: bool) -> list[Array]:
    """Of each sequence its own frames."""
    if padded:
        return [one[:length] for one, length in zip(array, lengths, strict=True)]
    return np.split(array, np.cumsum(lengths)[:-1]) if lengths else []


def _targets(
    arrays: Mapping[str, Array], lengths: Sequence[int], padded: bool, where: str
) -> tuple[Per, list[Array]]:
    targets, count = arrays["targets"], len(lengths)
    if "target_lengths" in arrays:
        own = arrays["target_lengths"]
        whole = own.ndim == 1 and own.dtype.kind in "iu" and targets.ndim == 1
        if not whole or len(own) != count or own.min(initial=0) < 0 or own.sum() != len(targets):
            raise UserError(
                f"{where}: target_lengths are how many targets each of {count} sequences has, of "
                f"{targets.shape} in all"
            )
        return "string", _apart(targets, [int(one) for one in own], False)
    if padded and targets.shape[:2] == arrays["features"].shape[:2]:
        return "frame", _apart(targets, lengths, True)
    if targets.ndim in (1, 2) and len(targets) == count:
        return "sequence", list(targets)
    if targets.ndim in (1, 2) and len(targets) == sum(lengths) and not padded:
        return "frame", _apart(targets, lengths, False)
    raise UserError(
        f"{where}: targets are one a sequence, {count}, or one a frame, not {targets.shape}"
    )


def _column(arrays: Mapping[str, Array], name: str, count: int, where: str) -> list[str] | None:
    if name not in arrays:
        return None
    if arrays[name].shape != (count,):
        raise UserError(f"{where}: {name} must be one a sequence, {count}: {arrays[name].shape}")
    return [str(one) for one in arrays[name]]


# A folder


def _of_folder(folder: Path, given: Manifest) -> Recordings:
    settings = folder / SETTINGS
    if settings.exists():
        given = given.over(decode(str(settings), Manifest, read_json(settings)))
    rows = _rows(folder / TABLE)
    framed = "targets" in rows[0][1]
    if given.task is None and not framed:
        raise UserError(f"{folder}: say what is to be done, --task or task in {SETTINGS}")
    items = tuple(_row(folder, where, row, given) for where, row in rows)
    per = "frame" if framed else "string" if given.task == "transcribe" else "sequence"
    return Recordings(items, per, given)


def _rows(path: Path) -> list[tuple[str, dict[str, str]]]:
    """Where each is, for errors, and its values by the names of the columns."""
    lines = csv.DictReader(read_text(path).splitlines(), strict=True)
    try:
        names = lines.fieldnames or ()
        rows = [(f"{path} line {lines.line_num}", row) for row in lines]
    except csv.Error as error:
        raise UserError(f"{path} is no table: {one_line(error)}") from error
    if set(names) - set(COLUMNS) or "file" not in names or not {"target", "targets"} & set(names):
        raise UserError(
            f"{path}: its columns are file, target (or targets, a file) and, if wanted, group, "
            f"split and id, not {', '.join(map(str, names))}"
        )
    for where, row in rows:
        if None in row or None in row.values():
            raise UserError(f"{where} has not as many values as there are columns")
    if not rows:
        raise UserError(f"{path} has no line: one a sequence")
    return rows


def _row(folder: Path, where: str, row: dict[str, str], given: Manifest) -> Recording:
    name = row["file"]
    features = _reals(_table(inside(folder, name, where), where), f"{where}: {name}")
    if "targets" in row:
        target = _table(inside(folder, row["targets"], where), where)
        if len(target) != len(features):
            raise UserError(f"{where}: {len(features)} frames, {len(target)} targets")
        target = target[:, 0] if target.ndim == 2 and target.shape[1] == 1 else target
    else:
        target = _cell(row["target"], given, where)
    key = row.get("id") or name
    return Recording(key, row.get("group") or key, features, target, row.get("split"))


def _cell(text: str, given: Manifest, where: str) -> Array:
    if given.task == "transcribe":
        return np.array(text.split(), str)
    if given.task in ("regress", "detect"):
        try:
            return np.array([float(one) for one in text.split()])
        except ValueError:
            raise UserError(f"{where}: the target is {text!r}, not numbers") from None
    return np.array(text)


def _table(path: Path, where: str) -> Array:
    """Numbers (frames, columns) from .npy, or .csv without a header."""
    if path.suffix == ".npy":
        found: Any = read_array(path)
    else:
        try:
            found = np.loadtxt(read_text(path).splitlines(), delimiter=",", ndmin=2)
        except ValueError as error:
            raise UserError(f"{path} is not a table of numbers: {one_line(error)}") from error
    if found.ndim == 1:
        found = found[:, None]
    if found.ndim != 2:
        raise UserError(f"{where}: {path} is not (frames, channels) but {found.shape}")
    return found
