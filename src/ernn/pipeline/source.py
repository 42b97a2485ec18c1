"""What a run learns from, as its file keeps it."""

from dataclasses import dataclass

from ernn.data.features import FeatureSpec
from ernn.data.manifest import Manifest


@dataclass(frozen=True)
class Source:
    """A corpus through its features, wherever it lies. identity: the corpus's.

    title: for people; of own data, their file's name. given: what was said of these besides.
    """

    corpus: str
    title: str
    corpus_seed: int
    identity: str
    features: FeatureSpec
    given: Manifest | None = None
