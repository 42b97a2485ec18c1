"""Specifications refuse what makes no sense and survive the disk."""

from pathlib import Path

import pytest

from ernn.errors import UserError
from ernn.train.spec import AdmmSpec, TrainSpec


@pytest.mark.parametrize(
    "spec", [TrainSpec(epochs=3, rate=0.01, seed=7), AdmmSpec(rho=0.5, every=2)]
)
def test_through_json(spec: TrainSpec | AdmmSpec, tmp_path: Path) -> None:
    assert type(spec).load(spec.save(tmp_path / "spec.json")) == spec


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1, not 0"),
        ({"batch": 2.5}, "batch must be a whole number"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"rate": 0.0}, "rate and clip must be above 0"),
        ({"warmup": 1.0}, "warmup is a share of all steps"),
        ({"noise": -0.1}, "noise and weight_decay must be at least 0"),
        ({"rate": "high"}, "rate must be a number, not 'high'"),
        ({"rate": float("nan")}, "rate must be a number, not nan"),
        ({"learning_rate": 1.0}, "TrainSpec has no learning_rate: it has epochs, batch"),
    ],
)
def test_bad_values_are_named(values: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        TrainSpec.from_dict(values)


def test_bad_admm_values_are_named() -> None:
    for values, message in (
        ({"rho": 0.0}, "rho must be above 0"),
        ({"growth": 0.9}, "growth must be at least 1"),
        ({"every": 0}, "every must be at least 1"),
    ):
        with pytest.raises(UserError, match=message):
            AdmmSpec(**values)


def test_a_file_that_is_no_spec_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        TrainSpec.load(tmp_path / "none.json")
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(UserError, match=r"is a table of values, not \[1\]"):
        TrainSpec.load(tmp_path / "list.json")
