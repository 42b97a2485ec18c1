"""What a corpus' files hold, as a digest: the same wherever they lie and whenever they were copied.

Digests of files are kept by size and times, so that a corpus is read once, not by every command.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from ernn.data.cache import cache_folder, progress
from ernn.errors import UserError
from ernn.files import write_atomic
from ernn.ground.plain import decode
from ernn.ground.reading import is_file, read_json

SETTLED = 2_000_000_000
"""Nanoseconds: a file changed later than that before it was read may change again unnoticed."""

Kept = dict[str, tuple[int, int, int, str]]
"""By name: size, times of modification and of change in nanoseconds, digest."""


def files_digest(files: Iterable[Path], *more: object) -> str:
    """Digest of `more`, and of the names (within the files' common folder) and content of files."""
    paths = sorted(path.absolute() for path in files if is_file(path))
    base = Path(os.path.commonpath([path.parent for path in paths])) if paths else Path()
    digest = hashlib.sha256(repr(more).encode())
    names = [path.relative_to(base).as_posix() for path in paths]
    for name, content in zip(names, _contents(base, paths, names), strict=True):
        digest.update(f"{name}\0{content}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def _contents(base: Path, paths: Sequence[Path], names: Sequence[str]) -> list[str]:
    """SHA-256 of every file, from what is kept of this folder or read now."""
    file = (
        cache_folder() / "contents" / f"{hashlib.sha256(os.fsencode(base)).hexdigest()[:24]}.json"
    )
    kept, now = _load(file), time.time_ns()
    stamps = [_stamp(path) for path in paths]
    new = [
        (path, name, stamp)
        for path, name, stamp in zip(paths, names, stamps, strict=True)
        if kept.get(name, ())[:3] != stamp
    ]
    found = {name: one[3] for name, one in kept.items()}
    for path, name, stamp in progress(new, "reading the corpus", len(new)):
        with path.open("rb") as stream:
            found[name] = hashlib.file_digest(stream, "sha256").hexdigest()
        kept.pop(name, None)
        if max(stamp[1:]) < now - SETTLED:
            kept[name] = (*stamp, found[name])
    if new:
        with contextlib.suppress(OSError):  # the next command then reads the files again
            write_atomic(file, json.dumps(kept, sort_keys=True))
    return [found[name] for name in names]


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _load(file: Path) -> Kept:
    """What is kept; nothing where that is damaged."""
    if not file.exists():
        return {}
    try:
        return decode(str(file), Kept, read_json(file))
    except UserError:
        return {}
