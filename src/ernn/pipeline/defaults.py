"""The recipe that `ernn train` and `ernn compress` follow for a corpus if no other is given."""

from dataclasses import replace
from pathlib import Path

from ernn.data.corpus import Corpus
from ernn.data.features import FeatureSpec
from ernn.train.recipe_file import load_recipe
from ernn.train.recipes import AN4, DIGITS, SPEECHOCEAN, TIMIT, Recipe


def recipe_for(corpus: Corpus, file: Path | None = None) -> Recipe:
    """The corpus's own recipe with what `file` changes; UserError where the file is wrong."""
    return _own(corpus) if file is None else load_recipe(file, _own(corpus))


def _own(corpus: Corpus) -> Recipe:
    """For a corpus without a recipe: its unit's, on 40 log-mel bins, three frames at a time."""
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
            _, rate = corpus.utterances("train")[0].samples()
            recipe = DIGITS if corpus.unit == "digit" else AN4
            return replace(
                recipe, features=FeatureSpec(kind="logmel", rate=rate, stack=3, subsample=3)
            )
