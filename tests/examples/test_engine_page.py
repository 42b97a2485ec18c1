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
    lines = re.findall(r"^\| (?:k|deep|shallow) \|.*\d \|$", TEXT, re.M)
    for block, *stated in zip(
        *([int(cell) for cell in line.split("|")[2:-1]] for line in lines), strict=True
    ):
        for transform in (forward_transform(block, 14, 2), inverse_transform(block, 14)):
            found = [
                timing.transform_depth(transform, depths)
                for depths in (timing.DEEP, timing.SHALLOW)
            ]
            assert found == stated, block
