"""The page on running a network on a CPU runs as it stands."""

import re
from pathlib import Path

import numpy as np
import torch
from torch import nn

import ernn

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "runtime.md"


def test_the_page() -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    recordings = [rng.normal(size=(int(length), 3)) for length in rng.integers(5, 12, size=16)]
    model = ernn.convert(nn.GRU(3, 8, batch_first=True), recordings)
    names = {"np": np, "model": model, "features": recordings[0], "recordings": recordings}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S):
        exec(compile(block, str(PAGE), "exec"), names)
    for number, whole in enumerate(recordings):
        assert np.array_equal(names["scores"][:, number], model.predict(whole)[:5])
