"""A network of one's own: each mistake in a call is one line that says what to do."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from ernn.errors import UserError
from ernn.frontends.torch import import_torch
from ernn.golden import quantize_input
from ernn.ir.structure import BlockCirculant
from ernn.quantization.quantize import QuantizeSpec
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import Schedule, schedule
from ernn.verify import measure_cycles, prove
from tests.models import random_integer_model

FRAMES = torch.zeros(1, 8, 3)


@pytest.fixture(scope="module")
def engine() -> Schedule:
    made = random_integer_model(
        np.random.default_rng(0), cell="gru", input_size=3, hidden=4, outputs=2, block=4
    )
    return schedule(made, Design(pes=1, streams=1))


def test_weights_are_not_a_module() -> None:
    for mistaken in (nn.GRU(3, 4).state_dict(), nn.GRU, "classifier.pt"):
        with pytest.raises(
            UserError, match=r"the module must be a torch\.nn\.Module, not .*load_state_dict"
        ):
            import_torch(mistaken, FRAMES)  # type: ignore[arg-type]


def test_an_import_with_a_projection_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        import_torch(nn.LSTM(3, 4, proj_size=2, batch_first=True), FRAMES)


@pytest.mark.parametrize("values", [{"weight_bits": 12.5}, {"data_bits": True}, {"guard": "2"}])
def test_bits_are_whole_numbers(values: dict) -> None:
    with pytest.raises(UserError, match="must be a whole number, "):
        QuantizeSpec(**values)


def test_pad_is_true_or_false() -> None:
    with pytest.raises(UserError, match="pad must be true or false, not 'no'"):
        BlockCirculant(8, "no")  # type: ignore[arg-type]


def test_frames_of_another_size_are_not_quantized(engine: Schedule) -> None:
    model = engine.layout.model
    assert quantize_input(model, np.zeros(3)).shape == (3,)
    for wrong in (np.zeros((5, 4)), np.zeros(4), 0.0):
        with pytest.raises(UserError, match=r"features must be \(time, 3\), not"):
            quantize_input(model, wrong)  # type: ignore[arg-type]


def test_a_proof_asked_for_with_wrong_values_is_not_begun(engine: Schedule) -> None:
    frames = np.zeros((5, 3), np.int64)
    for stall in (1.0, -0.1, float("nan")):
        with pytest.raises(UserError, match="stall is a probability, at least 0 and below 1"):
            prove(None, engine, [frames], stall=stall)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="reset_at is a cycle"):
        prove(None, engine, [frames], reset_at=-5)  # type: ignore[arg-type]
    with pytest.raises(
        UserError, match=r"one frame of \(3,\) integers is measured with, not \(5, 3\)"
    ):
        measure_cycles(None, engine, frames)  # type: ignore[arg-type]
