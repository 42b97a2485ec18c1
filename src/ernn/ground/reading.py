"""Files that others wrote, read whole: what is wrong with one is a UserError that says where.

Nothing here executes anything, waits for a file that is no file, or returns what later surprises:
numbers are finite, text is Unicode, tables are nested a few times.
"""

import io
import json
import stat
import tomllib
from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ernn.errors import UserError, one_line

Array = np.ndarray

MOST_TEXT = 1 << 30
MOST_TOML = 1 << 18
LONGEST_LINE = 2000
"""Of TOML: a parser's time may grow with the square of a line's length."""
DEEPEST = 64
LARGEST = 1 << 128
"""Of whole numbers: far below what no float can hold; what a number counts has its own bound."""
MOST_UNPACKED = 64
"""Bytes from a compressed one, of all arrays of a file together."""


def is_file(path: Path) -> bool:
    """Whether there is a file that can be read to its end; no error for a name that cannot be."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def exists(path: Path) -> bool:
    """Whether there is something; no error for a name that cannot be."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def read_bytes(path: Path | str, most: int | None = None) -> bytes:
    """A file's content; UserError where it cannot be read, is no file, or has more than `most`."""
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"cannot read {path}: it is no file but a folder, a pipe or a device")
        if most is not None and status.st_size > most:
            raise UserError(f"cannot read {path}: it has {status.st_size} bytes, at most {most}")
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"cannot read {str(path)!r}: {error}") from error


def read_text(path: Path | str, most: int = MOST_TEXT) -> str:
    """A file in UTF-8, with or without a byte order mark, its lines ending in "\\n"."""
    content = read_bytes(path, most)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path} line {line} is not UTF-8 ({error.reason}): save it as UTF-8"
        ) from error
    if "\0" in text:
        raise UserError(f"{path} line {text[: text.index(chr(0))].count(chr(10)) + 1} is no text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_lines(path: Path | str) -> Iterator[tuple[str, str]]:
    """Every line that is not blank, and where it is, for errors: "FILE line 3"."""
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            yield f"{path} line {number}", line


def read_json(path: Path | str) -> Any:
    """Plain values from a file of JSON."""
    return parse_json(read_text(path), str(path))


def parse_json(text: str, where: str) -> Any:
    """Plain values from JSON; `where` names it in errors."""

    def constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is no number of JSON")

    return _parsed(lambda: json.loads(text, parse_constant=constant), where, "JSON")


def read_toml(path: Path | str) -> dict[str, Any]:
    """Plain values from a file of TOML."""
    return parse_toml(read_text(path, MOST_TOML), str(path))


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Plain values from TOML; `where` names it in errors."""
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LONGEST_LINE:
            raise UserError(f"{where} line {number} has more than {LONGEST_LINE} characters")
    return _parsed(lambda: tomllib.loads(text), where, "TOML")


def _parsed(parse: Callable[[], Any], where: str, language: str) -> Any:
    try:
        value = parse()
    except RecursionError:
        raise UserError(f"{where} is nested more than {DEEPEST} times") from None
    except ValueError as error:
        raise UserError(f"{where} is not {language}: {one_line(error)}") from error
    _check(value, where)
    return value


def _check(value: Any, where: str) -> None:
    """UserError for what some parser admits and nothing of ours means."""
    waiting = [(value, 0)]
    while waiting:
        part, depth = waiting.pop()
        kind = type(part)
        if kind is dict or kind is list:
            if depth == DEEPEST:
                raise UserError(f"{where} is nested more than {DEEPEST} times")
            inner = [*part, *part.values()] if kind is dict else part
            waiting += [(one, depth + 1) for one in inner]
        elif kind is str:
            if not part.isascii() and any("\ud800" <= one < "\ue000" for one in part):
                raise UserError(f"{where}: the text {part[:60]!a} has half a character")
        elif kind is float and not isfinite(part):
            raise UserError(f"{where}: {part} is no number that can be used")
        elif kind is int and abs(part) >= LARGEST:
            raise UserError(f"{where}: a whole number has {len(str(abs(part)))} digits")


def read_arrays(path: Path | str, *names: str) -> tuple[Array, ...]:
    """Arrays of plain numbers or text from an npz file, by name."""
    found = read_named(path, names)
    return tuple(found[name] for name in names)


def read_named(
    path: Path | str, needed: Sequence[str], optional: Sequence[str] | None = None
) -> dict[str, Array]:
    """Arrays of plain numbers or text from an npz file: those needed, and optional ones if there.

    UserError where one is neither, unless `optional` is None: then others are left unread.
    """
    content = read_bytes(path)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            size = sum(member.file_size for member in arrays.zip.infolist())
            if size > MOST_UNPACKED * len(content):
                raise ValueError(f"{len(content)} bytes that unpack to {size}")
            known = [*needed, *(name for name in optional or () if name in arrays.files)]
            if optional is not None and (other := sorted({*arrays.files} - {*known})):
                raise ValueError(f"{other[0]!r} is none of {', '.join([*needed, *optional])}")
            found = {name: arrays[name] for name in known}
        for name, array in found.items():
            _require_plain(array, name)
        return found
    except Exception as error:  # whatever a damaged archive does to zipfile, zlib and NumPy
        raise UserError(
            f"{path} is not an npz file with {', '.join(needed)}, or is damaged ({one_line(error)})"
        ) from error


def read_array(path: Path | str) -> Array:
    """An array of plain numbers or text from a .npy file."""
    try:
        array = np.load(io.BytesIO(read_bytes(path)), allow_pickle=False)
        _require_plain(array, "it")
        return array
    except Exception as error:  # as above
        raise UserError(f"{path} is not an npy file, or is damaged ({one_line(error)})") from error


def _require_plain(array: Any, name: str) -> None:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biufUS":
        raise ValueError(f"{name} is no array of numbers or text")


def whole_number(text: str, where: str) -> int:
    """A number written in digits; UserError for anything else, and for more than 18 of them."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise UserError(f"{where}: expected a whole number, got {one_line(text)!r}")
    return int(text)


def inside(folder: Path, name: str, where: str) -> Path:
    """The file `name` of a folder; UserError where the name leads out of it."""
    if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
        raise UserError(f"{where}: {name!r} leads out of {folder}")
    return folder / name
