"""Error rates against counts by hand, for anything that gives scores."""

import numpy as np
import pytest
import torch
import train_toy as toy

from ernn.data.batches import Example
from ernn.errors import UserError
from ernn.train.evaluate import evaluate, evaluate_model
from ernn.train.score import ErrorRate, compare


@pytest.mark.parametrize(
    ("truth", "found", "ins", "dels", "subs"),
    [
        ((1, 2, 3), (1, 2, 3), 0, 0, 0),
        ((1, 2, 3), (1, 3), 0, 1, 0),
        ((1, 2, 3), (1, 2, 2, 3), 1, 0, 0),
        ((1, 2, 3), (1, 4, 3), 0, 0, 1),
        ((1, 2), (), 0, 2, 0),
        ((), (1,), 1, 0, 0),
        ((1, 2, 3, 4), (2, 3, 5, 4, 6), 2, 1, 0),
    ],
)
def test_counts_by_hand(truth: tuple, found: tuple, ins: int, dels: int, subs: int) -> None:
    assert compare(truth, found) == ErrorRate(ins, dels, subs, len(truth), 1)


def test_the_rate_is_of_all_tokens_not_a_mean_of_rates() -> None:
    total = compare((1,), (2,)) + compare((1, 2, 3), (1, 2, 3))
    assert total.rate == 0.25 and total.percent == 25 and total.utterances == 2
    assert str(total) == "25.00 % of 4 (1 substituted, 0 deleted, 0 inserted)"
    with pytest.raises(UserError, match="at least one label"):
        _ = ErrorRate().rate


def test_any_callable_is_evaluated() -> None:
    """Features that are the scores themselves, as integers: what the integer model gives."""
    path = np.eye(4, dtype=np.float32)[[0, 1, 1, 0, 2]]
    rate = evaluate(
        lambda frames: frames.astype(np.int64),
        [Example("x", path, (1, 2)), Example("y", path, (1, 3))],
        toy.OBJECTIVE,
    )
    assert rate == ErrorRate(substitutions=1, tokens=4, utterances=2)


def test_padded_batches_count_as_single_utterances_do() -> None:
    model, examples = toy.model().eval(), toy.examples(9, 3)

    def scores(frames: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.from_numpy(frames)[None])[0].numpy()

    alone = evaluate(scores, examples, toy.OBJECTIVE)
    assert evaluate_model(model, examples, toy.OBJECTIVE, batch=4) == alone
    model.train()
    evaluate_model(model, examples, toy.OBJECTIVE)
    assert model.training
