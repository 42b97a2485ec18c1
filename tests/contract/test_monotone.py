"""More bits never make integers worse: benchmarks/widths.py, on a few of its networks."""

import pytest

from tests.scripts import loaded


@pytest.mark.parametrize("seed", [0, 1, 2, 94])  # 94: a wider input left its neighbour fewer bits
def test_no_width_makes_the_error_grow(seed: int) -> None:
    compared, found = loaded("benchmarks/widths.py").violations(seed)
    assert compared >= 2 and not found
