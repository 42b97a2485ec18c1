"""The page "add a structure" does what it says: its file, its test and its use run as written."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-structure.md"


def test_the_page(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    structure, test, use = re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S
    )
    module = ModuleType("page_toeplitz")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # dataclasses look their module up
    exec(compile(structure, str(PAGE), "exec"), module.__dict__)
    exec(compile(test, str(PAGE), "exec"), module.__dict__)
    module.__dict__["test_laws"]()
    module.__dict__["test_training_inside"]()
    exec(compile(use, str(PAGE), "exec"), module.__dict__ | {"torch": torch})
    assert "numbers instead of 6144" in capsys.readouterr().out
