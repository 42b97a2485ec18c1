"""The recipe that `ernn train` and `ernn compress` follow for a corpus if no other is given."""

from dataclasses import replace
from pathlib import Path

from ernn.data.corpus import Corpus
from ernn.data.features import FeatureSpec
from ernn.data.objective import Regression
from ernn.data.own import OwnData
from ernn.train.recipe_file import load_recipe
from ernn.train.recipes import AN4, DIGITS, OWN, SPEECHOCEAN, TIMIT, Recipe


def recipe_for(corpus: Corpus, file: Path | None = None) -> Recipe:
    """The corpus's own recipe with what `file` changes; UserError where the file is wrong."""
    return _own(corpus) if file is None else load_recipe(file, _own(corpus))


def _own(corpus: Corpus) -> Recipe:
    """For a corpus without a recipe: its unit's, on the features that it holds, or 40 log-mel bins
    of its sound, three frames at a time."""
    if isinstance(corpus, OwnData):
        return OWN.without_noise() if isinstance(corpus.objective, Regression) else OWN
    match corpus.name:
        case "digits":
            return DIGITS
        case "an4":
            return AN4
        case "timit":
            return TIMIT
        case "speechocean762":
            return SPEECHOCEAN
        case _:
            recipe, first = DIGITS if corpus.unit == "digit" else AN4, corpus.utterances("train")[0]
            features = FeatureSpec(kind="stored", stack=3, subsample=3)
            if first.read_audio is not None:
                features = replace(features, kind="logmel", rate=first.samples()[1])
            return replace(recipe, features=features)
