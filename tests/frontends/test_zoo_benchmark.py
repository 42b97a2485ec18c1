"""`benchmarks/zoo.py` without its packages: rows are kept, pickles name nothing but layers."""

import argparse
import importlib
import os
import pickle
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from tests.scripts import loaded

ROOT = Path(__file__).resolve().parents[2]
ROW: dict[str, Any] = {
    "network": "one",
    "whole": True,
    "share_in_hardware": 0.5571,
    "float_difference": 2e-7,
    "integer_error": 0.0123,
    "task": "share of frames",
    "task_difference": 0.0004,
    "task_limit": 0.001,
    "device": "LFE5U-25F",
    "frames": 200,
    "mismatches": 0,
    "cycles": 1152.0,
    "seconds": 61.4,
    "processor_seconds": 55.0,
}


@pytest.fixture
def zoo(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")  # as for a script there
    return loaded("benchmarks/zoo.py")


def test_a_row_is_made_once(zoo: ModuleType, tmp_path: Path) -> None:
    made = []

    def make() -> dict[str, Any]:
        made.append(1)
        return ROW

    rows = [zoo.kept(tmp_path / "work" / "one.json", make) for _ in range(2)]
    assert rows == [ROW, ROW] and made == [1]


def test_every_number_of_a_row_has_a_kind(zoo: ModuleType) -> None:
    numbers = {name for name, value in ROW.items() if not isinstance(value, str)}
    assert numbers - {"task_limit"} == set(zoo.KINDS)


def test_a_table_has_a_line_a_row(zoo: ModuleType) -> None:
    head, rule, *lines = zoo.table([ROW, ROW | {"whole": False}]).splitlines()
    assert {line.count("|") for line in (head, rule, *lines)} == {head.count("|")}
    assert "| one | yes | 0.557 | 2.0e-07 | 1.23% |" in lines[0] and "| no |" in lines[1]


def test_sequences_until_there_are_enough_frames(zoo: ModuleType) -> None:
    some = [SimpleNamespace(frames=np.zeros((length, 1))) for length in (3, 4, 5)]
    assert zoo.enough(some, 7) == some[:2] and zoo.enough(some, 100) == some


def test_the_last_sequence_is_cut(zoo: ModuleType) -> None:
    given = importlib.import_module("shipped.network").Given
    some = [given(np.zeros((length, 1))) for length in (3, 4)]
    assert [len(one.frames) for one in zoo.cut(some, 5)] == [3, 2]
    assert [len(one.frames) for one in zoo.cut(some, 100)] == [3, 4]


def test_what_is_missing_is_named(
    zoo: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(zoo, "PACKAGES", ("numpy", "no_such_package"))
    monkeypatch.setattr(zoo, "parse", argparse.Namespace)
    zoo.main()
    assert capsys.readouterr().out.startswith("not run: no_such_package")


def test_a_pickle_that_names_anything_else_is_refused(zoo: ModuleType, tmp_path: Path) -> None:
    from shipped.madmom import Unpickler  # type: ignore[import-not-found]

    class Calls:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {tmp_path / 'called'}",)

    (tmp_path / "bad.pkl").write_bytes(pickle.dumps(Calls()))
    refused = pytest.raises(pickle.UnpicklingError, match="system has no place")
    with (tmp_path / "bad.pkl").open("rb") as file, refused:
        Unpickler(file).load()
    assert not (tmp_path / "called").exists()


def test_madmoms_layers_in_onnx(zoo: ModuleType) -> None:
    """As its code computes them: peepholes of the cell before, of the new one for the output."""
    from shipped.madmom import graph

    rng = np.random.default_rng(0)

    def gate(inputs: int) -> SimpleNamespace:
        shapes = {"weights": (inputs, 3), "recurrent_weights": (3, 3)}
        shapes |= {"bias": (3,), "peephole_weights": (3,)}
        arrays = {name: rng.normal(size=shape) for name, shape in shapes.items()}
        return SimpleNamespace(**{name: one.astype(np.float32) for name, one in arrays.items()})

    names = ("input_gate", "forget_gate", "cell", "output_gate")
    layer = SimpleNamespace(**{name: gate(2) for name in names})
    last = SimpleNamespace(
        weights=rng.normal(size=(3, 1)).astype(np.float32), bias=np.zeros(1, np.float32)
    )
    frames = rng.normal(size=(5, 2)).astype(np.float32)
    model = graph(SimpleNamespace(layers=[layer, last])).SerializeToString()
    found = onnxruntime.InferenceSession(model).run(None, {"frames": frames[:, None]})[0]
    np.testing.assert_allclose(found[:, 0], beats(layer, last, frames), rtol=0, atol=1e-6)


def beats(layer: SimpleNamespace, last: SimpleNamespace, frames: np.ndarray) -> np.ndarray:
    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    def given(gate: SimpleNamespace, x: np.ndarray, h: np.ndarray) -> np.ndarray:
        return x @ gate.weights + gate.bias + h @ gate.recurrent_weights

    h, c, found = np.zeros(3), np.zeros(3), []
    for x in frames:
        i = sigmoid(given(layer.input_gate, x, h) + c * layer.input_gate.peephole_weights)
        f = sigmoid(given(layer.forget_gate, x, h) + c * layer.forget_gate.peephole_weights)
        c = np.tanh(given(layer.cell, x, h)) * i + c * f
        o = sigmoid(given(layer.output_gate, x, h) + c * layer.output_gate.peephole_weights)
        h = np.tanh(c) * o
        found.append(sigmoid(h @ last.weights + last.bias))
    return np.stack(found)
