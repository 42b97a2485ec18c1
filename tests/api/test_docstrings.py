"""Docstrings of the face say what a user needs, and their examples are true."""

import doctest
import re
from importlib import import_module
from pathlib import Path

import pytest

import ernn

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
SOURCES = sorted((ROOT / "src").rglob("*.py"))
WITH_EXAMPLES = [path for path in SOURCES if ">>> " in path.read_text(encoding="utf-8")]
SECTIONS = dict(re.findall(r"^##+ ([\w.]+)\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S))
"""The page's, by name; it is what the docstrings say (tests/docs)."""


def names_in(section: str) -> list[str]:
    """Parameters of a signature, fields of a class."""
    found = re.search(r"^```python\n(.*?)^```", section, re.M | re.S)
    parameters = [] if found is None else re.findall(r"(\w+): ", found[1])
    return parameters + re.findall(r"^- \*\*(\w+)\*\*", section, re.M)


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_true(path: Path) -> None:
    name = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
    assert doctest.testmod(import_module(name)).failed == 0


@pytest.mark.parametrize("name", SECTIONS)
def test_every_parameter_and_field_is_explained(name: str) -> None:
    section = SECTIONS[name]
    unexplained = [
        one
        for one in names_in(section)
        if not re.search(rf"^- \*\*{one}\*\*( \(.*?\))?: \S|`{one}`", section, re.M)
    ]
    assert unexplained == []


@pytest.mark.parametrize("name", sorted({*ernn.__all__} - {"UserError", "PrecisionWarning"}))
def test_every_name_has_an_example_and_says_what_it_raises(name: str) -> None:
    assert ">>> " in SECTIONS[name], "an example"
    whole = [text for title, text in SECTIONS.items() if title.split(".")[0] == name]
    assert any("UserError" in text for text in whole), "what it raises"
