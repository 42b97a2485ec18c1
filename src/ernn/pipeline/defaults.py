"""The recipe that `ernn train` and `ernn compress` follow for a corpus where nothing else is asked for."""

from dataclasses import replace

from ernn.compress.plan import CompressionPlan
from ernn.data.corpus import Corpus
from ernn.pipeline.speech import features_of
from ernn.spec import LayerSpec
from ernn.train.recipes import Recipe
from ernn.train.spec import AdmmSpec, TrainSpec


def recipe_for(corpus: Corpus) -> Recipe:
    """Two layers of 128 gated recurrent units on the corpus's own features, or 40 log-mel bins."""
    gru = LayerSpec("gru", 128)
    train = TrainSpec(epochs=30)
    return Recipe(
        features=features_of(corpus),
        layers=(gru, gru),
        dropout=0.1,
        plan=CompressionPlan.blocks(8),
        dense=train,
        admm=replace(train, epochs=12, rate=2e-3),
        solver=AdmmSpec(),
        retrain=replace(train, epochs=15, rate=2e-3),
    )
