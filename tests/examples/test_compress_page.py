"""What the page on compression shows of a user's own loop and own cell runs as it stands."""

import re
from pathlib import Path

import torch
from torch import nn

import ernn
from ernn.compress.sets import project

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "compress.md"


def run(word: str, names: dict) -> None:
    """The page's first block with that word."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    exec(compile(next(block for block in blocks if word in block), str(PAGE), "exec"), names)


def test_a_loop_with_admm() -> None:
    torch.manual_seed(0)
    model = nn.GRU(8, 8, batch_first=True)
    optimizer = torch.optim.Adam(model.parameters())
    names = {
        "model": model,
        "optimizer": optimizer,
        "batches": [torch.randn(2, 5, 8)],
        "loss": lambda model, batch: (model(batch)[0] - batch).square().mean(),
    }
    run("Admm(", names)
    weight = model.weight_hh_l0.detach().unflatten(0, (3, 8))
    assert torch.allclose(project(weight, ernn.BlockCirculant(8)), weight, atol=1e-6)


def test_a_cell_of_ones_own() -> None:
    names: dict = {}
    run("DescribedCell(", names)
    frames = torch.randn(6, 40)
    model = ernn.convert(names["layer"], [frames])
    expected = names["layer"](frames[None])[0][0].detach().numpy()
    assert abs(model.predict_float(frames) - expected).max() < 1e-5
