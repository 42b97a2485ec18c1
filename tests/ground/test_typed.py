import sys

import pytest

from ernn.ground.typed import command_line


@pytest.mark.parametrize("program", ["/usr/bin/ernn", "/somewhere/ernn/__main__.py"])
def test_it_can_be_typed_again(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [program, "compare", "digits", "--only", "low rank"])
    assert command_line() == "ernn compare digits --only 'low rank'"
