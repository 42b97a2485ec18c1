"""The corpus and features that a run was begun with, so that later commands see the same frames."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ernn.data.corpus import Corpus
from ernn.data.features import FeatureSpec
from ernn.data.open import open_corpus
from ernn.data.own import OwnData
from ernn.errors import UserError, one_line
from ernn.ground.reading import exists
from ernn.pipeline.run import Run
from ernn.pipeline.source import Source
from ernn.train.task import Prepared


def describe(corpus: Corpus, name: str, seed: int, features: FeatureSpec) -> dict[str, Any]:
    """What `prepared` needs to find the same frames again, as JSON holds it."""
    given = corpus.given if isinstance(corpus, OwnData) else None
    return asdict(Source(name, title(name, corpus), seed, corpus.identity, features, given))


def title(name: str, corpus: Corpus) -> str:
    """What `name` opens, for people: own data have their file's name."""
    return corpus.name if isinstance(corpus, OwnData) else name


def prepared(run: Run) -> Prepared:
    """The corpus of a run through its features, where it lies now.

    UserError where it is not there, or has changed since training.
    """
    task = run.option("train", "task", Source)
    for place in run.places or [None]:
        if place is None or exists(place):
            corpus = open_corpus(task.corpus, place, task.corpus_seed, task.given)
            if corpus.identity == task.identity:
                return Prepared(corpus, task.features)
    raise UserError(_lost(task, run.places))


def _lost(task: Source, places: list[Path]) -> str:
    there = [place for place in places if exists(place)]
    if places and not there:
        return (
            f"corpus {task.title} is not in {one_line(str(places[-1]))} any more: say where it "
            "lies now, --root FOLDER"
        )
    where = f" in {there[0]}" if there else ""
    other = ", or name the folder of the old one, --root FOLDER" if there else ""
    return (
        f"corpus {task.title}{where} has changed since `ernn train`: train again in a new run "
        f"directory{other}"
    )
