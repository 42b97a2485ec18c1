"""Other takes of an utterance, made from its features: another beginning, pace or vocal tract.

Features are a log-mel spectrum, or its cepstra c[k] = sum_j log-mel[j] cos(pi k (j + 1/2) /
filters), up to a factor: its discrete cosine transform, of which the first coefficients keep a
smooth version.  A vocal tract of another length stretches the frequency axis (Jaitly and Hinton
2013), which is one small matrix in either.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from ernn.data.batches import Example, example
from ernn.data.corpus import Corpus, FloatArray, Split, Utterance
from ernn.data.features import FeatureSpec, extract
from ernn.data.normalizer import Normalizer
from ernn.errors import UserError

_Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MelFilters:
    """The filterbank behind the features: `count` filters, equally spaced in mel, from `low` Hz to
    `high` Hz. cepstra: whether features are cepstra of its spectrum, or the spectrum itself.
    """

    count: int = 40
    low: float = 130.0
    high: float = 6800.0
    cepstra: bool = True

    def stretch(self, factor: float, values: int) -> FloatArray:
        """(values, values): to features of a spectrum whose value at f was at `factor` f.

        Beyond the outermost filters the spectrum goes on with their value.
        """
        places = np.linspace(_mel(self.low), _mel(self.high), self.count + 2)[1:-1]
        wanted = np.clip(_mel(factor * _hertz(places)), places[0], places[-1])
        read = (wanted - places[0]) / (places[1] - places[0])
        return self._of_cepstra(read, values) if self.cepstra else self._of_spectra(read)

    def _of_spectra(self, read: _Reals) -> FloatArray:
        """Linear between two filters."""
        filters = np.arange(self.count)
        return np.maximum(0, 1 - abs(read[:, None] - filters)).astype(np.float32)

    def _of_cepstra(self, read: _Reals, coefficients: int) -> FloatArray:
        back = (
            self._cosines(read, coefficients)
            * np.where(np.arange(coefficients) == 0, 1, 2)
            / self.count
        )
        return (
            self._cosines(np.arange(self.count, dtype=np.float64), coefficients).T @ back
        ).astype(np.float32)

    def _cosines(self, places: _Reals, coefficients: int) -> _Reals:
        return np.cos(np.pi * np.outer(places + 0.5, np.arange(coefficients)) / self.count)


@dataclass(frozen=True)
class Variation:
    """start: frames left out at the beginning, so that stacks begin elsewhere. speed: 1.1 is faster
    by a tenth. tract: factor by which the spectrum is read higher (`MelFilters.stretch`).
    """

    start: int = 0
    speed: float = 1.0
    tract: float = 1.0

    def __post_init__(self) -> None:
        if not (self.start >= 0 and 0.5 <= self.speed <= 2 and 0.5 <= self.tract <= 2):
            raise UserError(
                f"a variation needs start >= 0, speed and tract from 0.5 to 2, got {self}"
            )

    @classmethod
    def drawn(cls, rng: np.random.Generator, most: float = 0.1, starts: int = 1) -> "Variation":
        """Speed and tract from 1 - most to 1 + most, one of so many beginnings."""
        speed, tract = 1 + most * rng.uniform(-1, 1, 2)
        return cls(int(rng.integers(starts)), float(speed), float(tract))

    def frames(self, frames: FloatArray, filters: MelFilters) -> FloatArray:
        """float32 [frames, values] -> the other take's. UserError if no frame is left, or if
        frames are not of these filters."""
        if not filters.cepstra and frames.shape[1] != filters.count:
            raise UserError(
                f"a frame of {frames.shape[1]} values is no spectrum of {filters.count} filters"
            )
        if len(frames) <= self.start:
            raise UserError(f"{len(frames)} frames, of which {self.start} are to be left out")
        if self.tract != 1:
            frames = frames @ filters.stretch(self.tract, frames.shape[1]).T
        if self.speed != 1:
            frames = _resampled(frames, max(1, round(len(frames) / self.speed)))
        return frames[self.start :]

    def utterance(self, utterance: Utterance, filters: MelFilters) -> Utterance:
        """This take of an utterance of a corpus of such features; its id tells which one."""
        read = partial(self._read, utterance, filters)
        return replace(
            utterance,
            id=f"{utterance.id}@{self.start},{self.speed:g},{self.tract:g}",
            read_features=read,
        )

    def _read(self, utterance: Utterance, filters: MelFilters) -> FloatArray:
        return self.frames(utterance.features(), filters)


def varied(
    corpus: Corpus,
    split: Split,
    spec: FeatureSpec,
    normalizer: Normalizer,
    variations: Sequence[Variation],
    filters: MelFilters | None = None,
) -> list[Example]:
    """Every utterance of a split in every variation, normalised as the utterances themselves are.

    filters: of the corpus's features (default: AN4's cepstra). UserError: too few frames for the
    labels.
    """
    filters = filters or MelFilters()
    takes = (v.utterance(u, filters) for v in variations for u in corpus.utterances(split))
    return [example(take, normalizer(extract(spec, take)), corpus.objective) for take in takes]


def _resampled(frames: FloatArray, count: int) -> FloatArray:
    """`count` frames, interpolated linearly between the first and the last."""
    times = np.linspace(0, len(frames) - 1, count)
    before = np.minimum(times.astype(int), max(0, len(frames) - 2))
    share = (times - before)[:, None]
    after = np.minimum(before + 1, len(frames) - 1)
    return ((1 - share) * frames[before] + share * frames[after]).astype(np.float32)


def _mel(hertz: float | _Reals) -> _Reals:
    return 1127.0 * np.log1p(np.asarray(hertz, np.float64) / 700.0)


def _hertz(mel: _Reals) -> _Reals:
    return 700.0 * np.expm1(mel / 1127.0)
