"""Training utterances of `benchmarks/paper.py` with another pace and vocal tract."""

from collections.abc import Iterator

import numpy as np

from ernn.data.batches import Example, example
from ernn.data.features import extract
from ernn.data.vary import MelFilters, Variation
from ernn.errors import UserError
from ernn.train.task import Prepared

FILTERS = MelFilters(40, 20.0, 8000.0, cepstra=False)
"""Of librispeech_mini_logmel."""
MOST = 0.1


def takes(data: Prepared, count: int, seed: int) -> list[Example]:
    """So many takes of every training utterance, each drawn by itself."""
    rng = np.random.default_rng(seed)
    return [one for _ in range(count) for one in _once(data, rng)]


def _once(data: Prepared, rng: np.random.Generator) -> Iterator[Example]:
    utterances = data.corpus.utterances("train")
    for utterance, own in zip(utterances, data.task.train, strict=True):
        take = Variation.drawn(rng, MOST, data.features.stack).utterance(utterance, FILTERS)
        frames = data.normalizer(extract(data.features, take))
        try:
            yield example(take, frames, data.objective)
        except UserError:  # so fast that it has fewer frames than phones
            yield own
