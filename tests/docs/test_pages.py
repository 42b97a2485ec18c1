"""Documentation cannot rot: links lead somewhere, every command is documented,
make targets that are named exist.
"""

import importlib.util
import re
import shlex
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import typer

from ernn.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")])
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def _shell_lines(page: Path) -> list[str]:
    """Lines of code blocks that begin with one of our commands, continuation
    lines joined, comments dropped.
    """
    text = "\n".join(BLOCK.findall(page.read_text(encoding="utf-8"))).replace("\\\n", " ")
    lines = [line.strip().removeprefix("$ ") for line in text.splitlines()]
    return [line for line in lines if re.match(r"(ernn|make) [a-z]", line)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    missing = [
        link
        for link in LINK.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists()
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_on_a_page_can_be_typed(page: Path) -> None:
    """Every `ernn ...` line parses: the command exists and has these options;
    every `make ...` target exists.
    """
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in _shell_lines(page):
        program, name, *arguments = shlex.split(line, comments=True)
        if program == "make":
            assert name in targets, line
        elif page.name != "cli.md":
            assert name in COMMANDS, line
            COMMANDS[name].make_context(name, arguments, resilient_parsing=False)


def test_the_reference_is_what_the_program_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    generator = _load(ROOT / "docs" / "make_reference.py")
    stale = [path.name for path in generator.PAGES if not generator.is_current(path)]
    assert stale == [], "run `make reference`"


def test_every_command_is_in_the_tutorial() -> None:
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"ernn {name}" not in text] == []


def test_every_page_is_reached_from_the_index() -> None:
    """The index links to it, or an index page of a folder does, which the index links to."""
    docs = ROOT / "docs"
    indices = [docs / "index.md", *(docs / name / "README.md" for name in ("decisions", "results"))]
    reached = {docs / "index.md"}
    for index in indices:
        assert index in reached
        links = LINK.findall(index.read_text(encoding="utf-8"))
        reached |= {(index.parent / link).resolve() for link in links}
    assert sorted(set(docs.rglob("*.md")) - reached) == []


def test_headlines_of_results_are_on_their_pages() -> None:
    """Every figure in bold in a line of the index of results is on the page that it links to."""
    index = ROOT / "docs" / "results" / "README.md"
    lines = index.read_text(encoding="utf-8").splitlines()
    missing = []
    for line in (line for line in lines if line.startswith("| [")):
        page = (index.parent / LINK.findall(line)[0]).read_text(encoding="utf-8")
        missing += [figure for figure in re.findall(r"\*\*(.+?)\*\*", line) if figure not in page]
    assert missing == []


def test_every_dependency_has_a_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    dependencies = text[text.index("dependencies = [") : text.index("all = [")]
    entries = [line for line in dependencies.splitlines() if line.strip().startswith('"')]
    assert entries and all("#" in line for line in entries)


def test_the_root_of_the_package_stays_small() -> None:
    """What is new belongs in a folder, which stands in the contract on layers."""
    package = ROOT / "src" / "ernn"
    root = {path.stem for path in package.glob("*.py")}
    assert root <= {"__init__", "__main__", "api", "errors", "files", "pareto"}
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ][0]["layers"]
    placed = {name for line in layers for name in re.findall(r"\w+", line)}
    assert {path.parent.name for path in package.glob("*/__init__.py")} <= placed


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_listed_and_run_by_a_test() -> None:
    listed = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    names = [path.name for path in (ROOT / "examples").glob("*.py")]
    assert [name for name in names if f"]({name})" not in listed] == []
    assert [name for name in names if name not in tests] == []
