"""Training with rounded data: the last stage of a way into the sets, from recipe to integers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import train_toy as toy

from ernn.cli.app import run
from ernn.compress.methods.low_rank import LowRank
from ernn.compress.plan import CompressionPlan, structures
from ernn.errors import UserError
from ernn.frontends.torch import import_torch
from ernn.golden.boundary import quantize_input
from ernn.golden.compiled import Compiled
from ernn.golden.run import run_all
from ernn.ir import serialization as codec
from ernn.ir.edges import DataBits, edge_formats
from ernn.ir.integer_model import IntegerModel
from ernn.quantization.quantize import QuantizeSpec, quantize
from ernn.train.decode import greedy
from ernn.train.recipe_file import changed
from ernn.train.recipes import DIGITS
from ernn.train.score import ErrorRate, compare
from ernn.train.solvers import OneShot, Rounding, Taught, compress, to_dict
from ernn.train.spec import DataSpec
from ernn.train.stages import retrain_rounded

PLAN = CompressionPlan.blocks(2)
DATA = DataSpec(DataBits(input=3, hidden=2, activations=3), epochs=8, rate=1e-2)
WAY = Rounding(OneShot(replace(toy.SPEC, epochs=18)), DATA)


def errors(integers: IntegerModel) -> float:
    """Of the integers on validation examples."""
    examples = toy.task().validation
    scores = run_all(integers, [quantize_input(integers, e.features) for e in examples], Compiled)
    pairs = zip(examples, scores, strict=True)
    return sum((compare(e.labels, greedy(found)) for e, found in pairs), ErrorRate()).rate


def test_the_integers_are_what_was_trained(tmp_path: Path) -> None:
    """Few bits trained with are better than few bits afterwards, and the integers
    have the errors that training saw.
    """
    model, task = toy.model(), toy.task()
    calibration = [e.features.astype(np.float64) for e in task.train]

    def network():
        return import_torch(model, torch.zeros(1, 8, 4), structures=structures(model, PLAN)).network

    first, last = compress(model, task, PLAN, WAY, tmp_path, progress=False)
    assert last.formats is not None and first.formats is None
    trained = errors(quantize(network(), calibration, QuantizeSpec(), like=last.formats))
    assert trained == pytest.approx(last.validation, abs=0.05)
    model.load_state_dict(first.state)
    assert trained < errors(quantize(network(), calibration, DATA.quantization()))
    again = compress(toy.model(), task, PLAN, WAY, tmp_path, progress=False)[-1]
    assert (
        codec.digest(again.formats) == codec.digest(last.formats) and again.history == last.history
    )


def test_it_is_written_in_words_and_read_from_a_table() -> None:
    recipe = changed(
        DIGITS, {"data": {"cell": 8, "hidden": 6, "random": True, "epochs": 3}, "distil": {}}
    )
    assert recipe.data is not None
    assert recipe.data == DataSpec(DataBits(hidden=6, cell=8), random=True, epochs=3)
    assert DataSpec.from_dict(recipe.data.to_dict()) == recipe.data
    assert isinstance(recipe.by_admm, Taught) and isinstance(recipe.by_admm.way, Rounding)
    words = to_dict(recipe.by_admm)
    assert words["way"]["solver"] == "then with rounded data" and words["way"]["data"]["cell"] == 8
    assert words["way"]["way"]["solver"] == "ADMM" and json.dumps(words)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"cells": 8},
            r"\[data\]: DataSpec has no cells: it has input, hidden, cell, gates, activations, "
            r"data_bits",
        ),
        ({"cell": 1}, r"\[data\]: bits of cell must be a whole number, 2\.\.32, not 1"),
        ({"hidden": 17}, r"\[data\]: hidden cannot have 17 bits where data_bits is 16"),
        ({"epochs": 0}, r"\[data\]: epochs must be a whole number of at least 1"),
        ({"random": 1}, r"\[data\]: random must be true or false, not 1"),
    ],
)
def test_a_wrong_table_is_named(values: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        changed(DIGITS, {"data": values})


def test_what_cannot_be_rounded_is_refused_before_training() -> None:
    plan = CompressionPlan(recurrent=LowRank(4))
    with pytest.raises(UserError, match=r"recurrent\.0\.weight_hh_l0 is compressed to factors"):
        compress(toy.model(), toy.task(), plan, WAY, progress=False)
    with pytest.raises(
        UserError, match=r"a search chooses formats of its own: leave \[data\] out of its recipe"
    ):
        changed(DIGITS, {"data": {}}).without_data("a search")


@pytest.mark.parametrize("far", [False, True])
def test_training_has_the_formats_that_quantization_chooses(far: bool) -> None:
    """Operands apart, and inputs of three integers a number: none is left out for training."""
    model, plan, task = toy.model(4), CompressionPlan(), toy.task()
    if far:  # one frame is many times as loud as another
        sizes = 2.0 ** np.random.default_rng(0).integers(-8, 8, (99, 1)).astype(np.float32)
        splits = task.train, task.validation
        one, other = (
            [replace(e, features=e.features * sizes[: len(e.features)]) for e in split]
            for split in splits
        )
        task = replace(task, train=one, validation=other)
    with torch.no_grad():  # what the input gives is far larger: operands are taken apart
        model.recurrent[0].get_parameter("weight_ih_l0").mul_(64)
    data = DataSpec(DataBits(hidden=8), epochs=1)
    last = retrain_rounded(model, task, plan, data.training(toy.SPEC), data, progress=False)
    assert last.formats is not None
    assert "l0.gates_rest0" in {one.name for one in last.formats.layers[0].products}
    assert last.formats.of_input.integers == (3 if far else 1)
    network = import_torch(model, torch.zeros(1, 8, 4)).network
    calibration = [e.features.astype(np.float64) for e in task.train]
    after = quantize(network, calibration, QuantizeSpec(), like=last.formats)
    assert edge_formats(after) == edge_formats(last.formats)


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`ernn quantize` takes the formats that were trained with; others are refused."""
    folder, recipe = tmp_path / "run", tmp_path / "recipe.toml"
    short = "epochs = 1\nbatch = 512\n"
    recipe.write_text(f"[dense]\n{short}[retrain]\n{short}[data]\nhidden = 5\nepochs = 1\n")
    assert run(["train", "--out", str(folder), "--hidden", "8", "--recipe", str(recipe)]) == 0
    assert run(["compress", str(folder), "--recipe", str(recipe), "--solver", "one-shot"]) == 0
    few = ["--utterances", "10", "--weight-bits", "8", "--bits-of", "l0.gates.x=5"]
    assert run(["quantize", str(folder), *few]) == 0
    found, given = (
        codec.load(folder / f"{name}.safetensors", IntegerModel) for name in ("model", "formats")
    )
    assert edge_formats(found) == edge_formats(given)
    assert found.signal("l0.h_read").format.width == 5  # the state itself has a cell's bits
    assert [one.bits for one in found.matrices][:2] == [5, 8]
    capsys.readouterr()
    refused = {
        "no weights are called l9: the network has l0.gates.x, ": ["--bits-of", "l9=4"],
        "leave the bits of single kinds out": ["--bits-of", "cell=8"],
        "trained with data of 16 bits": ["--data-bits", "12"],
        "as cell=8, not 'cells=8'; kinds are input, hidden": ["--bits-of", "cells=8"],
    }
    for message, options in refused.items():
        assert run(["quantize", str(folder), *options]) == 2
        assert message in capsys.readouterr().err
