"""Losses, answers and scores of every task, against scikit-learn, torch and counts by hand."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, mean_squared_error
from torch.nn.functional import cross_entropy

from ernn.data.batches import Example, collate
from ernn.data.objective import Classification, Detection, Objective, Regression
from ernn.train.decode import answer, greedy
from ernn.train.distil import Distillation, soft_labels
from ernn.train.evaluate import evaluate, evaluate_model
from ernn.train.loss import loss
from ernn.train.parallel import part_of
from ernn.train.robustness import attacked
from ernn.train.score import Decisions, Deviations, bootstrap, wilson

NAMES = ("a", "b", "c")
LENGTHS = (5, 3, 7, 4, 6, 2, 8, 5)
OBJECTIVES: list[Objective] = [
    Classification(NAMES),
    Classification(NAMES, read="mean", weights=(0.5, 1.5, 1.0)),
    Classification(NAMES, "frame", weights=(2.0, 0.5, 0.5)),
    Detection(NAMES),
    Detection(NAMES, "frame"),
    Regression(NAMES, read="mean"),
    Regression(NAMES, "frame"),
]


def examples(objective: Objective) -> list[Example]:
    rng, found = np.random.default_rng(0), []
    for number, length in enumerate(LENGTHS):
        features = rng.standard_normal((length, 3)).astype(np.float32)
        count = length if objective.per == "frame" else 1  # type: ignore[union-attr]
        if isinstance(objective, Classification):
            labels = tuple(int(one) for one in rng.integers(0, 3, count))
            found.append(Example(str(number), features, labels))
            continue
        numbers = rng.standard_normal((count, 3)).astype(np.float32)
        asked = (numbers > 0).astype(np.float32) if isinstance(objective, Detection) else numbers
        found.append(Example(str(number), features, numbers=asked))
    return found


def said(objective: Objective, features: torch.Tensor) -> torch.Tensor:
    """What is judged of one sequence whose outputs are its features, as the words have it."""
    if objective.per == "frame":  # type: ignore[union-attr]
        return features
    return features[-1:] if objective.read == "last" else features.mean(0, keepdim=True)  # type: ignore[union-attr]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_the_loss_is_the_mean_over_what_is_asked_for(objective: Objective) -> None:
    found = examples(objective)
    batch = collate(found)
    outputs = torch.cat([said(objective, torch.from_numpy(e.features)) for e in found])
    asked = torch.from_numpy(np.concatenate([e.asked for e in found]))
    match objective:
        case Classification(weights=weights):
            each = cross_entropy(outputs, asked, reduction="none")
            expected = (each * torch.tensor(weights)[asked]).mean() if weights else each.mean()
        case Detection():
            expected = torch.nn.BCEWithLogitsLoss()(outputs, asked)
        case _:
            expected = (outputs - asked).square().mean()
    torch.testing.assert_close(loss(objective, batch.features, batch), expected)
    parts = [part_of(batch, own, 3) for own in range(3)]
    shared = sum(weight * loss(objective, part.features, part) for part, weight in parts) / 3
    torch.testing.assert_close(shared, expected)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_scores_are_scikit_learn_s(objective: Objective) -> None:
    found = examples(objective)
    score = evaluate(lambda frames: frames, found, objective)
    asked = np.concatenate([e.asked for e in found])
    given = np.concatenate([answer(objective, e.features, greedy) for e in found])
    if isinstance(score, Deviations):
        assert score.rate == pytest.approx(mean_squared_error(asked, given) ** 0.5)
        each = mean_squared_error(asked, given, multioutput="raw_values") ** 0.5
        assert score.of_each == pytest.approx(each)
    else:
        assert isinstance(score, Decisions)
        flat = (asked.ravel(), given.ravel())
        assert score.rate == pytest.approx(1 - accuracy_score(*flat))
        expected = f1_score(asked > 0, given, average="macro") if given.ndim > 1 else None
        if given.ndim == 1:
            expected = f1_score(*flat, average="macro", zero_division=0)
        assert score.f1 == pytest.approx(100 * expected)
        low, high = score.f1_interval
        assert 0 <= low <= high <= 100
    low, high = score.interval
    assert low <= score.percent <= high and score.tokens == asked.size
    model = torch.nn.Identity()
    again = evaluate_model(model, found, objective, batch=3)
    assert again.rate == pytest.approx(score.rate) and str(again) == str(score)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_a_network_that_says_what_its_teacher_does_learns_nothing(objective: Objective) -> None:
    found = examples(objective)
    batch = collate(found)
    learning = Distillation(soft_labels([torch.nn.Identity()], found, objective))
    same = learning.divergence(objective, batch.features, batch)
    torch.testing.assert_close(same, torch.tensor(0.0), atol=1e-6, rtol=0)
    assert learning.divergence(objective, batch.features * 3 + 1, batch) > 0.01


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_attacks_raise_the_loss(objective: Objective) -> None:
    found, model = examples(objective), torch.nn.Linear(3, 3)
    moved = attacked(model, found, objective, 0.3)
    before, after = (
        loss(objective, model(collate(some).features), collate(some)) for some in (found, moved)
    )
    assert after > before


def test_intervals_cover_what_they_should() -> None:
    """Of independent decisions the bootstrap's is about Wilson's; of frames that belong together it
    is wider."""
    rng = np.random.default_rng(1)
    wrong = (rng.random(400) < 0.2).astype(int)
    alone = np.column_stack([wrong, np.ones_like(wrong)])

    def share(sums: np.ndarray) -> np.ndarray:
        return 100 * sums[:, 0] / sums[:, 1]

    assert bootstrap(share, alone) == pytest.approx(wilson(int(wrong.sum()), 400), abs=1.0)
    together = alone * 50
    low, high = bootstrap(share, together)
    exact = wilson(int(50 * wrong.sum()), 400 * 50)
    assert high - low > 3 * (exact[1] - exact[0])
