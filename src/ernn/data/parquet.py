"""A user's own sequences in a Parquet file: a row a frame."""

from pathlib import Path
from typing import Any

import numpy as np

from ernn.data.manifest import Task
from ernn.errors import UserError, naming_extras, one_line

Array = np.ndarray
_OF_SEQUENCES = ("group", "split")


def arrays_of(path: Path, task: Task | None) -> dict[str, Array]:
    """As an npz has them: sequences by the column `sequence`, targets by what begins with `target`,
    all other columns as channels.

    A target that is the same in all frames of each sequence is the sequence's, unless frames are to
    be labelled.  UserError for a file that is damaged or has no such columns.
    """
    columns = _columns(path)
    names = columns.pop("sequence", np.zeros(0)).astype(str)
    own = {name: columns.pop(name) for name in list(columns) if name.startswith("target")}
    beside = {f"{one}s": columns.pop(one).astype(str) for one in _OF_SEQUENCES if one in columns}
    starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]]) if len(names) else names
    if not (columns and own and len(names)) or len({*names[starts]}) < len(starts):
        raise UserError(
            f"{path}: columns are sequence, target, channels and, if wanted, group and split; the "
            "frames of a sequence follow one another"
        )
    lengths, targets = np.diff(np.r_[starts, len(names)]), np.column_stack(list(own.values()))
    found = {"features": np.column_stack(list(columns.values())), "lengths": lengths}
    found |= {"ids": names[starts]} | {name: array[starts] for name, array in beside.items()}
    if task == "transcribe":
        labels = [str(one).split() for one in targets[starts, 0]]
        found["target_lengths"] = np.array([len(one) for one in labels])
        return found | {"targets": np.array([one for some in labels for one in some], str)}
    if task != "label" and (targets == np.repeat(targets[starts], lengths, axis=0)).all():
        targets = targets[starts]
    return found | {"targets": targets[:, 0] if len(own) == 1 else targets}


@naming_extras()
def _columns(path: Path) -> dict[str, Array]:
    """By name, without what pandas leaves of its index; text as text."""
    from pyarrow import parquet

    try:
        table: Any = parquet.read_table(path)
        pairs = [(name, table[name].to_numpy()) for name in table.column_names]
    except Exception as error:
        raise UserError(f"{path} is no Parquet file: {one_line(error)}") from error
    kept = [(name, array) for name, array in pairs if not name.startswith("__index")]
    return {name: array.astype(str) if array.dtype == object else array for name, array in kept}
