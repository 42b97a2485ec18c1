"""Figures and code on docs/explanation/engine.md are those of the engine."""

import re
from pathlib import Path

from ernn.quantization.integer_fft import forward_transform, inverse_transform
from ernn.scheduling import timing

TEXT = (Path(__file__).parents[2] / "docs" / "explanation" / "engine.md").read_text(
    encoding="utf-8"
)


def test_latencies() -> None:
    stated = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \|", TEXT, re.MULTILINE)
    assert len(stated) == 9
    for name, *cycles in stated:
        found = [
            getattr(timing if name.isupper() else depths, name)
            for depths in (timing.DEEP, timing.SHALLOW)
        ]
        assert found == list(map(int, cycles)), name


def test_transforms() -> None:
    lines = re.findall(r"^\| (k|deep|shallow, \w+) \|(.*\d) \|$", TEXT, re.M)
    stated = {name: list(map(int, cells.split("|"))) for name, cells in lines}
    for block, deep, forward, inverse in zip(*stated.values(), strict=True):
        there, back = forward_transform(block, 14, 2), inverse_transform(block, 14)
        assert timing.transform_depth(there, timing.DEEP) == deep
        assert timing.transform_depth(back, timing.DEEP) == deep
        assert timing.transform_depth(there, timing.SHALLOW) == forward
        assert timing.transform_depth(back, timing.SHALLOW) == inverse
