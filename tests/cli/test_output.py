"""What commands show: nothing that was asked for is missing, a mistake's line leads somewhere."""

import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from ernn.cli.app import run
from ernn.data.open import NAMES
from ernn.errors import UserError
from ernn.flow import process
from ernn.pipeline import choosing
from ernn.pipeline.corpora import listed
from ernn.search.pool import RayPool
from ernn.search.rivals import RIVALS

Capture = pytest.CaptureFixture[str]


def test_corpora_say_what_they_are(capsys: Capture) -> None:
    assert [one["name"] for one in listed()] == list(NAMES)
    assert run(["corpus"]) == 0
    assert "Sphinx" in capsys.readouterr().out


def test_methods_are_told_apart(capsys: Capture) -> None:
    """Their names have commas."""
    assert run(["compare", "digits", "--only", "nonsense"]) == 2
    assert "; ".join(RIVALS) in capsys.readouterr().err


def test_a_model_file_that_is_missing(capsys: Capture) -> None:
    assert run(["design", "missing.safetensors"]) == 2
    said = capsys.readouterr().err
    assert "missing.safetensors is not there" in said and "train" not in said


def test_no_two_columns_of_designs_are_the_same() -> None:
    assert "multipliers" not in choosing.COLUMNS and "DSP" in choosing.COLUMNS


def test_a_cluster_of_nobody_is_not_waited_for() -> None:
    with socket.create_server(("localhost", 0)) as free:
        address = f"localhost:{free.getsockname()[1]}"
    with pytest.raises(UserError, match=f"no Ray cluster answers at '{address}'"):
        RayPool(1, address)


@pytest.mark.parametrize(("free", "said"), [(0, "make room, or name"), (1 << 30, "says nothing")])
def test_a_tool_that_said_nothing(
    free: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=free))
    with pytest.raises(process.ToolError, match=said):
        process.run(["false"], tmp_path, tmp_path / "log", what="a tool", timeout=9)


def test_an_error_is_a_line_whatever_it_quotes() -> None:
    assert str(UserError("no class is called 'a\nb'")) == r"no class is called 'a\nb'"
