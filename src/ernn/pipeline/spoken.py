"""What a run hears, as its file keeps it."""

from dataclasses import dataclass

from ernn.data.features import FeatureSpec


@dataclass(frozen=True)
class SpokenTask:
    """A corpus through its features, wherever it lies. identity: the corpus's."""

    corpus: str
    corpus_seed: int
    identity: str
    features: FeatureSpec
