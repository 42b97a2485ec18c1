"""A run's engine becomes Verilog once for all steps of one process."""

import json
from pathlib import Path

import numpy as np
import pytest

from ernn.ir import serialization as codec
from ernn.pipeline import hardware
from ernn.pipeline.kept import MODEL
from ernn.pipeline.run import Run
from ernn.rtl.engine import Engine
from tests.models import random_integer_model


def test_a_text_is_made_anew_only_where_model_or_design_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Engine] = []
    monkeypatch.setattr(hardware, "to_verilog", lambda engine: made.append(engine) or len(made))
    begun = Run(tmp_path)
    for step in "train", "compress", "quantize", "design":
        begun.perform(step, {}, lambda: None)

    def text(seed: int, pes: int) -> object:
        model = random_integer_model(np.random.default_rng(seed), hidden=4, block=2)
        codec.save(begun.path(MODEL), model)
        begun.path("design.json").write_text(json.dumps({"device": "LFE5U-25F", "pes": pes}))
        return hardware.verilog_of(begun)

    assert [text(0, 1), text(0, 1), text(0, 2), text(1, 2), text(1, 2)] == [1, 1, 2, 3, 3]
    hardware._verilog.cache_clear()  # what was made here is no Verilog
