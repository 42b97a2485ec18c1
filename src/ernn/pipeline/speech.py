"""The corpus and features that a run was begun with, so that later commands see the same frames."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ernn.data.corpus import Corpus
from ernn.data.features import FeatureSpec
from ernn.data.open import open_corpus
from ernn.errors import UserError, one_line
from ernn.ground.reading import exists
from ernn.pipeline.run import Run
from ernn.pipeline.spoken import SpokenTask
from ernn.train.task import Prepared


def describe(corpus: Corpus, name: str, seed: int, features: FeatureSpec) -> dict[str, Any]:
    """What `prepared` needs to find the same frames again, as JSON holds it."""
    return asdict(SpokenTask(name, seed, corpus.identity, features))


def prepared(run: Run) -> Prepared:
    """The corpus of a run through its features, where it lies now.

    UserError where it is not there, or has changed since training.
    """
    task = run.option("train", "task", SpokenTask)
    for place in run.places or [None]:
        if place is None or exists(place):
            corpus = open_corpus(task.corpus, place, task.corpus_seed)
            if corpus.identity == task.identity:
                return Prepared(corpus, task.features)
    raise UserError(_lost(task, run.places))


def _lost(task: SpokenTask, places: list[Path]) -> str:
    there = [place for place in places if exists(place)]
    if places and not there:
        return (
            f"corpus {task.corpus} is not in {one_line(str(places[-1]))} any more: say where it "
            "lies now, --root FOLDER"
        )
    where = f" in {there[0]}" if there else ""
    other = ", or name the folder of the old one, --root FOLDER" if there else ""
    return (
        f"corpus {task.corpus}{where} has changed since `ernn train`: train again in a new run "
        f"directory{other}"
    )
