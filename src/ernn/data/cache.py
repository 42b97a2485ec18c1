"""Where computed things are kept, and how long work shows its progress."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def cache_folder() -> Path:
    """$ERNN_CACHE, or ernn under $XDG_CACHE_HOME or ~/.cache."""
    if chosen := os.environ.get("ERNN_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ernn"


def progress(items: Iterable[T], title: str, total: int) -> Iterator[T]:
    """The items, with a bar on standard error while it is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from items
    else:
        yield from track(items, title, total, console=console, transient=True)
