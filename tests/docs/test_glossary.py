"""Every name on the page of the project's words is where it says."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "glossary.md"
NAMES = sorted(set(re.findall(r"`(ernn(?:\.\w+)+)`", PAGE.read_text(encoding="utf-8"))))


@pytest.mark.parametrize("name", NAMES)
def test_a_module_or_a_name_in_one_is_there(name: str) -> None:
    path = ROOT / "src" / name.replace(".", "/")
    if path.is_dir() or path.with_suffix(".py").is_file():
        return
    module = path.parent.with_suffix(".py")
    assert module.is_file()
    assert re.search(rf"^class {path.name}\b", module.read_text(encoding="utf-8"), re.MULTILINE)
