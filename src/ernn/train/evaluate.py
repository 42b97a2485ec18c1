"""Error rate of what turns features into outputs: torch model, float reference, integer model."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from ernn.data.batches import Batches, Example
from ernn.data.corpus import FloatArray
from ernn.data.objective import Objective
from ernn.train.decode import Decoder, Outputs, answer, greedy
from ernn.train.score import Score, score


def evaluate(
    outputs: Callable[[FloatArray], Outputs],
    examples: Sequence[Example],
    objective: Objective,
    decoder: Decoder = greedy,
) -> Score:
    """Score of `outputs`: features float32 (frames, dim) to (frames, outputs)."""
    answers = [answer(objective, outputs(example.features), decoder) for example in examples]
    return score(objective, examples, answers)


def evaluate_model(
    model: nn.Module,
    examples: Sequence[Example],
    objective: Objective,
    decoder: Decoder = greedy,
    batch: int = 32,
) -> Score:
    """Score of a torch model (batch, frames, dim) -> (batch, frames, outputs), no dropout."""
    training = model.training
    model.eval()
    ordered = sorted(examples, key=lambda example: len(example.features))
    answers = []
    with torch.inference_mode():
        for part in Batches(ordered, batch, shuffle=False):
            rows = zip(model(part.features), part.lengths, strict=True)
            answers += [answer(objective, row[:length].numpy(), decoder) for row, length in rows]
    model.train(training)
    return score(objective, ordered, answers)
