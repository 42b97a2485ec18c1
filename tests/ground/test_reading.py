"""Whatever a file holds, it is read, or refused in one line that says where."""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ernn.errors import UserError
from ernn.ground.reading import (
    exists,
    inside,
    is_file,
    parse_json,
    parse_toml,
    read_arrays,
    read_bytes,
    read_lines,
    read_text,
)


def refused(read: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(UserError) as error:
        read(*arguments)
    said = str(error.value)
    assert "\n" not in said and len(said) < 500
    return said


def test_a_pipe_a_folder_and_no_file_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "it is no file but a folder, a pipe" in refused(read_bytes, tmp_path / "pipe")
    assert "it is no file but a folder, a pipe" in refused(read_bytes, tmp_path)
    assert "No such file or directory" in refused(read_bytes, tmp_path / "none")
    assert "null" in refused(read_bytes, "a\0b") and not is_file(Path("a\0b"))
    assert "File name too long" in refused(read_bytes, "a" * 300)
    assert not is_file(Path("a" * 5000)) and not exists(Path("a" * 5000))


def test_text_is_utf_8_with_or_without_a_mark(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_bytes(b"\xef\xbb\xbfONE\r\n\r\nTWO\xe2\x80\xa8\rX")
    assert list(read_lines(file)) == [
        (f"{file} line 1", "ONE"),
        (f"{file} line 3", "TWO\u2028"),
        (f"{file} line 4", "X"),
    ]
    file.write_bytes(b"one\ntw\xe9 three")
    assert "text line 2 is not UTF-8 (invalid continuation byte)" in refused(read_text, file)
    assert "at most 3" in refused(read_text, file, 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "Expecting property name"),
        ("[NaN]", "NaN is no number of JSON"),
        ("1e999", "inf is no number"),
        ("1" + "0" * 400, "a whole number has 401 digits"),
        ("1" + "0" * 5000, "5001 digits"),
        ('"\\ud800"', "has half a character"),
        ("[" * 65 + "]" * 65, "nested more than 64 times"),
        ("[" * 100_000, "nested more than 64 times"),
        ('{"a":' * 100_000, "nested more than 64 times"),
    ],
)
def test_json_of_no_use_is_refused(text: str, said: str) -> None:
    assert said in refused(parse_json, text, "here")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = nan", "nan is no number"),
        ("a = [", "Invalid"),
        ("a = " + "[\n" * 20_000, "nested more than 64 times"),
        ("a" + ".a" * 900 + " = 1", "nested more than 64 times"),
        ("a" + ".a" * 100_000 + " = 1", "more than 2000 characters"),
    ],
)
def test_toml_of_no_use_is_refused(text: str, said: str) -> None:
    assert said in refused(parse_toml, text, "here")


def test_values_that_are_of_use_are_read() -> None:
    deep = "[" * 60 + "]" * 60
    for text in (deep, '{"a": [1, -2.5, true, null, "\\u00e9\\ud83d\\ude00"]}', str(2**100)):
        assert parse_json(text, "here") is not None
    assert parse_toml("a = [1,\n 2]", "here") == {"a": [1, 2]}


def archive(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(f"{name}.npy", content)
    return file.getvalue()


def header(shape: str, descr: str = "<f4") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        archive(),
        archive(X=b""),
        archive(X=header("(3,)")),
        archive(X=header("(1000000000000000,)")),
        archive(X=header("(1,)", "O") + bytes(8)),
        archive(X=header("((")),
        archive(X=header("(99999999,)") + bytes(4 * 99_999_999)),
        header("(1,)") + bytes(4),
    ],
)
def test_damaged_arrays_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    assert "a.npz is not an npz file with X, or is damaged" in refused(
        read_arrays, tmp_path / "a.npz", "X"
    )


def test_arrays_are_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", X=np.arange(3), y=np.zeros((2, 0)))
    y, X = read_arrays(tmp_path / "a.npz", "y", "X")
    assert y.shape == (2, 0) and X.tolist() == [0, 1, 2]


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "a\0"])
def test_a_name_that_leads_out_of_its_folder_is_refused(name: str) -> None:
    assert "leads out of" in refused(inside, Path("folder"), name, "here")
    assert inside(Path("folder"), "a/b..c", "here") == Path("folder/a/b..c")
