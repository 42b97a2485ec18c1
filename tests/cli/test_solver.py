"""`ernn compress --solver`: how long each is, and options that it has no use for."""

import pytest

from ernn.errors import UserError
from ernn.pipeline.choices import solver
from ernn.train.recipes import DIGITS
from ernn.train.solvers import Direct


def test_from_the_start_is_as_long_as_all_stages() -> None:
    """At the dense network's rate: it had the few epochs of retraining, at theirs."""
    way = solver("direct", DIGITS, None, None)
    assert isinstance(way, Direct)
    assert way.inside.rate == DIGITS.dense.rate
    assert way.inside.epochs == sum(
        stage.epochs for stage in (DIGITS.dense, DIGITS.admm, DIGITS.retrain)
    )
    shorter = solver("direct", DIGITS, None, 3)
    assert isinstance(shorter, Direct) and shorter.inside.epochs == 3


@pytest.mark.parametrize("name", ["direct", "one-shot"])
def test_epochs_that_a_way_lacks_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="no epochs towards the structure"):
        solver(name, DIGITS, 2, None)
