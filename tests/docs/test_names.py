"""Modules and names of this package that pages, docstrings and benchmarks speak of are there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")])
NAME = r"ernn(?:\.[A-Za-z_]\w*)+"
FILES = ("bit", "c", "h", "sh")  # ernn.bit is a file, not a module


def is_there(name: str) -> bool:
    """Whether `name` is a folder, a module, or something that a module's text has a word for."""
    place, words = ROOT / "src", name.split(".")
    while words and (place / words[0]).is_dir():
        place, words = place / words[0], words[1:]
    module = place / (f"{words[0]}.py" if words else "__init__.py")
    if not module.is_file():
        module = module.with_suffix(".pyi")  # what is compiled has its names there
    if words and module.is_file():
        words = words[1:]
    else:
        module = place / "__init__.py"
    return (
        not words or re.search(rf"\b{words[0]}\b", module.read_text(encoding="utf-8")) is not None
    )


def missing(text: str, before: str) -> list[str]:
    names = {
        name for name in re.findall(before + NAME, text) if name.rpartition(".")[2] not in FILES
    }
    return sorted(name for name in names if not is_there(name))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_names_on_a_page_are_there(page: Path) -> None:
    assert missing(page.read_text(encoding="utf-8"), r"(?<![\w./])") == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_on_a_page_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:src|tests|benchmarks|docs|examples)/[\w./-]+)`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_names_in_the_sources_are_there() -> None:
    files = sorted((ROOT / "src").rglob("*.py"))
    found = {file.name: missing(file.read_text(encoding="utf-8"), "(?<=`)") for file in files}
    assert {name: names for name, names in found.items() if names} == {}


@pytest.mark.parametrize("script", sorted(ROOT.glob("benchmarks/*.py")), ids=lambda path: path.stem)
def test_what_a_benchmark_imports_is_there(script: Path) -> None:
    """No test runs them: they take minutes to hours."""
    imports = [
        node
        for node in ast.walk(ast.parse(script.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("ernn")
    ]
    names = [f"{node.module}.{alias.name}" for node in imports for alias in node.names]
    assert [name for name in names if not is_there(name)] == []
