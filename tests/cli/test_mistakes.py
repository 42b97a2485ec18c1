"""What careless users do: each mistake is one line that says what to do, its exit
status is 2, and nothing is lost.
"""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import torch

from ernn.cli.app import app, run
from ernn.compress.plan import CompressionPlan
from ernn.errors import UserError
from ernn.nn.model import AcousticModel, require_memory
from ernn.nn.spec import LayerSpec, ModelSpec
from ernn.pipeline import corpora, exports, hardware, network
from ernn.pipeline.run import Run
from ernn.train import weights

MODEL = ModelSpec(3, (LayerSpec("gru", 4),), 2)
TASK = {"corpus": "digits", "title": "digits", "corpus_seed": 0, "identity": "", "features": {}}


def _begun(folder: Path) -> Run:
    """A run whose first step is done, without its training."""
    begun, module = Run(folder), AcousticModel(MODEL)
    options = {"task": TASK, "model": MODEL.to_dict(), "train": {"seed": 0}}
    begun.perform("train", options, lambda: weights.save_weights(begun.path(network.DENSE), module))
    return begun


def _designed(folder: Path) -> Run:
    """A run that is said to have been designed and built, on files that say nothing yet."""
    begun = _begun(folder)
    spec = {"weight_bits": 12, "data_bits": 16}
    options = {
        "compress": {"plan": CompressionPlan().to_dict(), "solver": "ADMM"},
        "quantize": {"spec": spec},
    }
    for step in ("compress", "quantize", "design", "build"):
        begun.perform(step, options.get(step, {"device": "LFE5U-25F"}), lambda: None)
    begun.path("model.safetensors").write_text("")
    begun.path("design.json").write_text('{"device": "LFE5U-25F", "pes": 1}')
    return begun


def _edited(path: Path, change: Callable[[Any], Any]) -> None:
    values = json.loads(path.read_text())
    path.write_text(json.dumps(change(values) or values))


@pytest.mark.parametrize("hidden", ["1000000000", "99999999999999999999"])
def test_a_network_too_large_to_count_is_refused_in_a_line(
    hidden: str, capsys: Any, tmp_path: Path
) -> None:
    assert run(["train", "--out", str(tmp_path / "run"), "--hidden", hidden]) == 2
    assert "choose fewer units" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_wide_layer_without_a_matrix_between_its_units_is_not_taken_for_too_large() -> None:
    require_memory(ModelSpec(8, (LayerSpec("indrnn", 100_000),), 2))


@pytest.mark.parametrize("seed", ["4294967296", "99999999999999999999999"])
def test_a_seed_beyond_32_bits_is_refused(
    seed: str, capsys: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(network, "train", lambda *_, **__: pytest.fail("begun"))
    assert run(["train", "--out", str(tmp_path / "run"), "--seed", seed]) == 2
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f"[dense]\nseed = {seed}\n")
    assert (
        run(["train", "--out", str(tmp_path / "run"), "--recipe", str(recipe), "--hidden", "2"])
        == 2
    )
    assert "seed must be below 2**32" in capsys.readouterr().err


def test_a_folder_for_a_corpus_that_is_a_file_is_named_as_a_folder(
    capsys: Any, tmp_path: Path
) -> None:
    assert run(["corpus", "digits", "--root", str(tmp_path)]) == 2
    assert "is a folder; leave it out" in capsys.readouterr().err


@pytest.mark.parametrize("below", ["", "/run"])
def test_a_run_directory_that_cannot_be_is_said_before_the_work(below: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    worked = []
    with pytest.raises(UserError, match=r"cannot be a run directory .*: choose another"):
        Run(f"{tmp_path}/file{below}").perform("train", {}, lambda: worked.append(1))
    assert not worked and (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    "change",
    [
        lambda state: {"steps": {"train": {}}},
        lambda state: {"steps": {"train": 3}},
        lambda state: state["steps"]["train"].update(options={}),
        lambda state: state["steps"]["train"]["options"]["task"].pop("features"),
    ],
)
def test_a_run_file_changed_by_hand_is_named(
    change: Callable[[Any], Any], capsys: Any, tmp_path: Path
) -> None:
    begun = _begun(tmp_path)
    _edited(begun.path("run.json"), change)
    for arguments in (["compress", str(tmp_path)], ["report", str(tmp_path)]):
        assert run(arguments) == 2
        said = capsys.readouterr().err.splitlines()[-1]
        assert said.startswith(f"ernn: {tmp_path}/run.json") and "put back a copy" in said


def test_a_record_that_is_damaged_is_named_with_what_to_do(capsys: Any, tmp_path: Path) -> None:
    begun = _begun(tmp_path)
    for content in (b"{", b"\xff\xfe", b"[]"):
        begun.path("record.json").write_bytes(content)
        assert run(["report", str(tmp_path)]) == 2
        said = capsys.readouterr().err
        assert (
            said.startswith(f"ernn: {tmp_path}/record.json: ")
            and "remove it, and do the steps again" in said
        )


def test_weights_that_are_missing_or_of_another_network_are_named(tmp_path: Path) -> None:
    begun = _begun(tmp_path)
    other = AcousticModel(ModelSpec(3, (LayerSpec("gru", 5),), 2))
    weights.save_weights(begun.path(network.DENSE), other)
    with pytest.raises(UserError, match="holds the weights of another network"):
        network.dense_model(begun)
    begun.path(network.DENSE).unlink()
    with pytest.raises(
        UserError, match=r"dense\.safetensors is missing: do one of `ernn train` again"
    ):
        begun.perform("compress", {}, lambda: None, reads=[network.DENSE])


@pytest.mark.parametrize("file", ["run.json", "record.json", "dense.safetensors"])
def test_a_pipe_is_not_waited_for(file: str, capsys: Any, tmp_path: Path) -> None:
    begun = _designed(tmp_path)
    begun.path(file).unlink(missing_ok=True)
    os.mkfifo(begun.path(file))
    signal.alarm(60)  # whose default is the end of the process
    try:
        assert run(["sensitivity", str(tmp_path)]) == 2
    finally:
        signal.alarm(0)
    assert f"{file}: it is no file but a folder, a pipe" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (
            OSError(28, "No space left on device", "out/x"),
            "out/x: No space left on device; make room",
        ),
        (OSError(30, "Read-only file system", "out/x"), "name another folder"),
        (IsADirectoryError(21, "Is a directory", "out/x"), "out/x: Is a directory; check the path"),
        (MemoryError(), "not enough memory"),
    ],
)
def test_what_the_system_refuses_is_a_line(
    raised: Exception, said: str, capsys: Any, monkeypatch: Any
) -> None:
    def refuse(*_: Any) -> None:
        raise raised

    monkeypatch.setattr(corpora, "describe", refuse)
    monkeypatch.setattr(corpora, "listed", refuse)  # outside of what is watched while a step works
    for arguments in (["corpus", "digits"], ["corpus"]):
        assert run(arguments) == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"device": "XX", "pes": 1}',
        '{"device": "LFE5U-25F", "pes": 1, "shallow": true}',  # as earlier versions wrote it
        "{}}",
    ],
)
def test_a_design_that_is_damaged_is_named(content: str, capsys: Any, tmp_path: Path) -> None:
    begun = _designed(tmp_path)
    begun.path("design.json").write_text(content)
    for command in ("build", "export", "place", "report"):
        assert run([command, str(tmp_path)]) == 2
        said = capsys.readouterr().err
        assert (
            said.startswith(f"ernn: {tmp_path}/design.json is missing or damaged")
            and "`ernn design" in said
        )


def test_what_cannot_be_placed_or_exported_is_said_before_the_verilog_is_made(
    capsys: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(hardware, "verilog_of", lambda run: pytest.fail("begun"))
    monkeypatch.setattr(exports, "scheduled", lambda run: pytest.fail("begun"))
    _designed(tmp_path)
    asked = {
        "comes in grades": ["place", "--grade", "3"],
        "has package and speed grade": ["export", "--part", "xc7"],
    }
    for said, arguments in asked.items():
        assert run([*arguments, str(tmp_path)]) == 2
        assert said in capsys.readouterr().err


def test_weights_that_are_not_finite_are_named(tmp_path: Path) -> None:
    begun, module = _begun(tmp_path), AcousticModel(MODEL)
    with torch.no_grad():
        module.output.bias[0] = float("nan")
    weights.save_weights(begun.path(network.DENSE), module)
    with pytest.raises(
        UserError, match=r"value in .output\.bias. that is not finite: do again what made it"
    ):
        network.dense_model(begun)


def _options_in_floats() -> list[tuple[str, str]]:
    """Commands and their options that are numbers with a point, or several of them."""
    found = []
    for command in (one.callback for one in app.registered_commands):
        assert command is not None
        for name, hint in get_type_hints(command).items():
            if "float" in str(hint):
                found.append((command.__name__, name))
    return [(command, f"--{name.replace('_', '-')}") for command, name in found]


@pytest.mark.parametrize(("command", "option"), _options_in_floats())
def test_a_number_that_is_none_is_refused(command: str, option: str, capsys: Any) -> None:
    """Where a range has no end, infinity is in it; where there is none, NaN is too."""
    for value in ("nan", "inf"):
        assert run([command, "anything", option, value]) == 2
        said = capsys.readouterr().err
        assert "is no number that can be used" in said or "should be" in said


@pytest.mark.parametrize("times", ["nan", "4,inf", "1", "-3", "x"])
def test_budgets_are_numbers_above_one(times: str, capsys: Any, tmp_path: Path) -> None:
    assert run(["compare", "digits", "--times", times, "--work", str(tmp_path)]) == 2
    assert "ernn: " in capsys.readouterr().err and list(tmp_path.iterdir()) == []
