"""More bits never make integers worse: benchmarks/widths.py, on a few of its networks."""

import pytest

from tests.scripts import loaded


# 48: weights that make up for one another's rounding are better with a bit less elsewhere; 94: a
# wider input left its neighbour fewer bits; 221: two bits less of all data are better; 322: luck in
# the rounding of few bits; 327: a state that products read a copy of, with a bit more than it has;
# 648: a step too many is taken back; 833: of many bits less, none between them is better.
# Cells that climb by less than half a step: tests/golden/test_least_error.py
@pytest.mark.parametrize("seed", [0, 48, 94, 221, 322, 327, 648, 833])
def test_no_width_makes_the_error_grow(seed: int) -> None:
    compared, found = loaded("benchmarks/widths.py").violations(seed)
    assert compared >= 2 and not found
