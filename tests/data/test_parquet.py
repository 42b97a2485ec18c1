"""Own data in a Parquet file: the same sequences as from arrays, and errors in one line."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from ernn.data.manifest import Manifest, Task
from ernn.data.open import named
from ernn.data.recordings import read
from ernn.errors import UserError

NAMES = np.repeat(["b", "a", "c"], [3, 2, 4])
CHANNELS = {"left": np.arange(9.0), "right": np.arange(9)[::-1]}
CLASSES = np.repeat(["up", "down", "up"], [3, 2, 4])


def written(folder: Path, **columns: Any) -> Path:
    path = folder / "mine.parquet"
    parquet.write_table(
        pyarrow.table({name: np.asarray(one) for name, one in columns.items()}), path
    )
    return path


def found(path: Path, task: Task | None = None) -> tuple[str, dict[str, list[Any]]]:
    recordings = read(path, Manifest(task=task))
    return recordings.per, {item.id: item.target.tolist() for item in recordings.items}


def test_sequences_are_runs_of_rows(tmp_path: Path) -> None:
    path = written(
        tmp_path, sequence=NAMES, target=CLASSES, group=NAMES, split=["train"] * 9, **CHANNELS
    )
    items = read(path, Manifest()).items
    assert [(one.id, one.group, one.split) for one in items] == [
        (name, name, "train") for name in "bac"
    ]
    np.testing.assert_array_equal(items[1].features, [[3, 5], [4, 4]])
    assert named(str(path), None) == ("own", path)


def test_what_targets_are_of(tmp_path: Path) -> None:
    frames = np.arange(9) % 2
    path = written(tmp_path, sequence=NAMES, target=CLASSES, **CHANNELS)
    assert found(path) == ("sequence", {"b": "up", "a": "down", "c": "up"})
    assert found(path, "label")[0] == "frame"
    assert found(path, "transcribe") == ("string", {"b": ["up"], "a": ["down"], "c": ["up"]})
    path = written(tmp_path, sequence=NAMES, target=frames, **CHANNELS)
    assert found(path) == ("frame", {"b": [0, 1, 0], "a": [1, 0], "c": [1, 0, 1, 0]})
    path = written(tmp_path, sequence=NAMES, target_x=frames, target_y=-frames, left=frames)
    assert found(path)[1]["a"] == [[1, -1], [0, 0]]


@pytest.mark.parametrize(
    "columns",
    [
        {"target": CLASSES, **CHANNELS},
        {"sequence": NAMES, **CHANNELS},
        {"sequence": NAMES, "target": CLASSES},
        {"sequence": np.roll(NAMES, 1), "target": CLASSES, **CHANNELS},
        {"sequence": [], "target": [], "left": []},
    ],
)
def test_other_tables_are_refused(tmp_path: Path, columns: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="columns are sequence, target, channels and, if wanted"):
        found(written(tmp_path, **columns))


def test_what_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "mine.parquet").write_bytes(b"PAR1 and no more")
    for name in ("mine.parquet", "none.parquet"):
        with pytest.raises(UserError, match=f"{name} is no Parquet file") as caught:
            found(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="features must be real numbers"):
        found(written(tmp_path, sequence=NAMES, target=CLASSES, left=NAMES))
