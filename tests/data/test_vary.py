"""Other takes of an utterance, against SciPy's cosine transform and interpolation."""

from functools import partial

import numpy as np
import pytest
from scipy.fft import dct, idct

from ernn.data.corpus import Corpus, Utterance
from ernn.data.features import FeatureSpec
from ernn.data.normalizer import Normalizer
from ernn.data.vary import MelFilters, Variation, varied
from ernn.errors import UserError

FILTERS = MelFilters()
RAMP = np.stack([np.arange(20.0), np.arange(20.0) ** 2], 1).astype(np.float32)


def centres() -> np.ndarray:
    """Hz of the filters' centres, by the formula of Slaney's and Young's books."""
    low, high = (2595 * np.log10(1 + f / 700) for f in (130, 6800))
    mel = np.linspace(low, high, 42)[1:-1]
    return 700 * (10 ** (mel / 2595) - 1)


def test_without_a_stretch_nothing_changes() -> None:
    np.testing.assert_allclose(FILTERS.stretch(1.0, 13), np.eye(13), atol=1e-6)
    np.testing.assert_array_equal(Variation().frames(RAMP, FILTERS), RAMP)


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_stretch_moves_a_formant(factor: float) -> None:
    """All 40 coefficients of a spectrum with one peak, by SciPy; the peak moves to f / factor."""
    spectrum = np.exp(-(((centres() - 1500) / 400) ** 2))
    stretched = np.asarray(idct(FILTERS.stretch(factor, 40) @ np.asarray(dct(spectrum))))
    # Linear between filters against cosines.
    np.testing.assert_allclose(
        stretched, np.interp(factor * centres(), centres(), spectrum), atol=0.03
    )
    nearest = np.abs(centres() - 1500 / factor).argmin()
    assert stretched.argmax() == nearest


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.1])
def test_a_spectrum_is_read_between_its_filters(factor: float) -> None:
    rng, filters = np.random.default_rng(0), MelFilters(cepstra=False)
    spectrum = rng.standard_normal(40).astype(np.float32)
    mel = (1127 * np.log1p(f / 700) for f in (factor * centres(), centres()))
    found = Variation(tract=factor).frames(spectrum[None], filters)[0]
    np.testing.assert_allclose(found, np.interp(*mel, spectrum), atol=1e-5)


def test_drawn_takes_stay_within_their_bounds() -> None:
    rng = np.random.default_rng(0)
    takes = [Variation.drawn(rng, 0.1, 3) for _ in range(200)]
    assert {take.start for take in takes} == {0, 1, 2}
    for values in ([take.speed for take in takes], [take.tract for take in takes]):
        assert 0.9 <= min(values) < 0.91 and 1.09 < max(values) <= 1.1


def test_pace_and_beginning() -> None:
    slower = Variation(speed=0.5).frames(RAMP, FILTERS)
    wanted = [np.interp(np.linspace(0, 19, 40), np.arange(20), column) for column in RAMP.T]
    np.testing.assert_allclose(slower, np.stack(wanted, 1), rtol=1e-5)
    assert slower.dtype == np.float32
    np.testing.assert_array_equal(Variation(start=2).frames(RAMP, FILTERS), RAMP[2:])
    assert len(Variation(start=1, speed=2).frames(RAMP[:1].repeat(5, 0), FILTERS)) == 1


class Two(Corpus):
    name, unit, label_set, description, identity = "two", "phone", ("a", "b"), "", ""

    def utterances(self, split: str) -> list[Utterance]:
        rng = np.random.default_rng(0)
        cepstra = [rng.standard_normal((30 + n, 13)).astype(np.float32) for n in range(2)]
        return [
            Utterance(f"u{n}", "s", "train", ("a", "b"), read_features=partial(np.copy, c))
            for n, c in enumerate(cepstra)
        ]


def test_every_utterance_in_every_variation() -> None:
    spec = FeatureSpec(kind="stored", stack=3, subsample=3)
    normalizer = Normalizer(np.zeros(39, np.float32), np.ones(39, np.float32))
    takes = varied(
        Two(), "train", spec, normalizer, [Variation(), Variation(1), Variation(0, 0.9, 1.05)]
    )  # type: ignore[arg-type]
    assert [t.id for t in takes] == [
        "u0@0,1,1",
        "u1@0,1,1",
        "u0@1,1,1",
        "u1@1,1,1",
        "u0@0,0.9,1.05",
        "u1@0,0.9,1.05",
    ]
    assert [len(t.features) for t in takes] == [10, 10, 9, 10, 11, 11]
    own = Two().utterances("train")[0].features()
    np.testing.assert_array_equal(takes[2].features[0], own[1:4].reshape(-1))
    assert all(t.labels == (1, 2) for t in takes)


def test_mistakes_are_named() -> None:
    with pytest.raises(UserError, match="speed and tract from"):
        Variation(speed=3.0)
    with pytest.raises(UserError, match="2 values is no spectrum of 40 filters"):
        Variation().frames(RAMP, MelFilters(cepstra=False))
    with pytest.raises(UserError, match="1 frames, of which 2"):
        Variation(start=2).frames(RAMP[:1], FILTERS)
