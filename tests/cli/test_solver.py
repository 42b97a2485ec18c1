"""`ernn compress` without --solver: the best way known into the structure that is asked for."""

import pytest

from ernn.compress.plan import CompressionPlan
from ernn.errors import UserError
from ernn.ir.structure import LoadBalanced
from ernn.pipeline.choices import solver
from ernn.train.recipes import DIGITS
from ernn.train.solvers import ByAdmm, Direct, Taught

BLOCKS = CompressionPlan.blocks(8, signed=True)


def test_blocks_are_trained_from_the_start() -> None:
    """As the dense network is, which teaches, for as long as all stages of ADMM together."""
    way = solver(None, BLOCKS, DIGITS, None, None)
    assert isinstance(way, Taught) and isinstance(way.way, Direct)
    assert way.way.inside.rate == DIGITS.dense.rate
    assert way.way.inside.epochs == sum(
        stage.epochs for stage in (DIGITS.dense, DIGITS.admm, DIGITS.retrain)
    )
    assert isinstance(solver("direct", BLOCKS, DIGITS, None, None), Direct)
    shorter = solver("direct", BLOCKS, DIGITS, None, 3)
    assert isinstance(shorter, Direct) and shorter.inside.epochs == 3


def test_pruned_weights_are_chosen_from_trained_ones() -> None:
    pruned = CompressionPlan.pruned(LoadBalanced(0.1, 4))
    assert isinstance(solver(None, pruned, DIGITS, 2, None), ByAdmm)


@pytest.mark.parametrize("name", [None, "direct", "one-shot"])
def test_epochs_that_a_way_lacks_are_refused(name: str | None) -> None:
    with pytest.raises(UserError, match="no epochs towards the structure"):
        solver(name, BLOCKS, DIGITS, 2, None)
