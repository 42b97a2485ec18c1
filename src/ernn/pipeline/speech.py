"""The corpus and features that a run was begun with, so that later commands see the same frames."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ernn.data.corpus import Corpus
from ernn.data.features import FeatureSpec
from ernn.data.open import open_corpus
from ernn.errors import UserError
from ernn.pipeline.run import Run
from ernn.train.task import Prepared


def describe(
    corpus: Corpus, name: str, root: Path | None, seed: int, features: FeatureSpec
) -> dict[str, Any]:
    """What `prepared` needs to find the same frames again, as JSON holds it."""
    return {
        "corpus": name,
        "root": None if root is None else str(root.expanduser().resolve()),
        "corpus_seed": seed,
        "identity": corpus.identity,
        "features": asdict(features),
    }


def prepared(run: Run) -> Prepared:
    """The corpus of a run through its features; UserError where it has changed since training."""
    task = run.trained("task")
    root = None if task["root"] is None else Path(task["root"])
    corpus = open_corpus(task["corpus"], root, task["corpus_seed"])
    if corpus.identity != task["identity"]:
        raise UserError(
            f"corpus {task['corpus']} has changed since `ernn train`: train again in a new run "
            "directory"
        )
    return Prepared(corpus, FeatureSpec(**task["features"]))
