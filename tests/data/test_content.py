"""A corpus is what its files hold: not when they were written, nor where they lie."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from ernn.data import content
from ernn.data.cache import cache_folder
from ernn.data.content import files_digest

OLD = 1_600_000_000


def write(folder: Path, **texts: str) -> list[Path]:
    (folder / "in").mkdir(parents=True, exist_ok=True)
    files = [folder / "in" / name for name in texts]
    for file, text in zip(files, texts.values(), strict=True):
        file.write_text(text)
        os.utime(file, (OLD, OLD))
    return files


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read, in order; times of change count as old ones."""
    names: list[str] = []
    plain, stamp = content.hashlib.file_digest, content._stamp

    def noted(stream: Any, kind: str) -> Any:
        names.append(Path(stream.name).name)
        return plain(stream, kind)

    monkeypatch.setattr(content.hashlib, "file_digest", noted)
    monkeypatch.setattr(content, "_stamp", lambda path: (*stamp(path)[:2], OLD * 10**9))
    return names


def test_each_file_is_read_once(tmp_path: Path, read: list[str]) -> None:
    files = write(tmp_path, a="1", b="2")
    first = files_digest(files, "x")
    assert files_digest(reversed(files), "x") == first != files_digest(files, "y")
    assert read == ["a", "b"]


def test_a_touch_is_no_change_and_a_change_is_one(tmp_path: Path, read: list[str]) -> None:
    files = write(tmp_path, a="1", b="2")
    first = files_digest(files)
    os.utime(files[0], (OLD + 5, OLD + 5))
    assert files_digest(files) == first
    files[1].write_text("3")
    assert files_digest(files) != first
    files[1].rename(files[1].with_name("c"))
    assert files_digest([files[0], files[1].with_name("c")]) != first


def test_the_place_does_not_count(tmp_path: Path) -> None:
    files = write(tmp_path / "here", a="1", b="2")
    first = files_digest(files)
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert files_digest([tmp_path / "there" / "in" / name for name in "ab"]) == first


def test_a_file_changed_just_now_is_read_again(tmp_path: Path) -> None:
    (file,) = write(tmp_path, a="1")  # its time of change is now
    first = files_digest([file])
    status = file.stat()
    file.write_text("2")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert files_digest([file]) != first


@pytest.mark.parametrize("kept", ["{", "[]", '{"a": [1, 2, 3]}', '{"a": "x"}'])
def test_damaged_notes_are_made_anew(kept: str, tmp_path: Path) -> None:
    files = write(tmp_path, a="1")
    first = files_digest(files)
    (note,) = (cache_folder() / "contents").iterdir()
    note.write_text(kept)
    assert files_digest(files) == first
    assert isinstance(json.loads(note.read_text()), dict)


def test_no_files_and_folders_are_no_content(tmp_path: Path) -> None:
    files = write(tmp_path, a="1")
    assert files_digest([]) == files_digest([]) != files_digest(files)
    assert files_digest([*files, tmp_path]) == files_digest(files)
