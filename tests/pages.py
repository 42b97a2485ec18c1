"""Pages as programs: their blocks in order, from an empty folder, with nothing beforehand."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ernn.cli.app import run

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)


class Block(NamedTuple):
    language: str
    text: str


def blocks(page: Path, *languages: str) -> Iterator[Block]:
    """Blocks of a page in these languages."""
    found = map(Block._make, BLOCK.findall(page.read_text(encoding="utf-8")))
    return (block for block in found if block.language in languages)


def follow(page: Path) -> dict[str, Any]:
    """Do what a page says: Python in one interpreter, commands of `sh`, C into the file that its
    first comment names; the names that Python has at the end."""
    names: dict[str, Any] = {"__name__": page.stem}
    for language, text in blocks(page, "python", "sh", "c"):
        match language:
            case "python":
                exec(compile(text, str(page), "exec"), names)
            case "sh":
                _typed(text)
            case "c":
                Path(text.split()[1].rstrip(":")).write_text(text, encoding="utf-8")
    return names


def _typed(text: str) -> None:
    for line in text.splitlines():
        program, *arguments = shlex.split(line, comments=True)
        if program == "ernn":
            assert run(arguments) == 0, line
        else:
            subprocess.run([program, *arguments], check=True, timeout=60)
