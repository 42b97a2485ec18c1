"""The synthetic corpus: deterministic in any order, voices held out, alignments
that cover the sound and fit it.
"""

from pathlib import Path

import numpy as np
import pytest

from ernn.data.corpus import SPLITS
from ernn.data.espeak import VOICES, EspeakPhones, synthesise
from ernn.data.espeak_phones import labels, segments
from ernn.data.pronounce import ARPABET
from ernn.errors import UserError

SIZES = (12, 4, 4)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> EspeakPhones:
    return EspeakPhones(SIZES, snr_db=(60.0, 60.0), cache=tmp_path_factory.mktemp("espeak"))


def test_alignments_cover_the_sound(corpus: EspeakPhones) -> None:
    for split in SPLITS:
        for u in corpus.utterances(split):
            samples, rate = u.samples()
            assert rate == 16000 and samples.dtype == np.float32 and u.alignment
            assert u.alignment[0].start == 0 and u.alignment[-1].end == len(samples)
            assert all(a.end == b.start for a, b in zip(u.alignment, u.alignment[1:], strict=False))
            assert sum(s.end - s.start for s in u.alignment) == len(samples)
            assert labels(u.alignment) == u.labels and set(u.labels) <= set(ARPABET)


def test_alignments_fit_the_sound(corpus: EspeakPhones) -> None:
    """Vowels are louder than pauses, and S has the higher frequencies (seen as changes of sign)."""
    found: dict[str, list[np.ndarray]] = {"sil": [], "AE": [], "S": []}
    for u in corpus.utterances("train"):
        samples, _ = u.samples()
        for s in u.alignment or ():
            if s.label in found and s.end - s.start > 400:
                middle = (s.end - s.start) // 4
                found[s.label].append(samples[s.start + middle : s.end - middle])

    def crossings(x: np.ndarray) -> float:
        return float(np.mean(np.diff(np.signbit(x))))

    assert all(len(parts) >= 5 for parts in found.values())
    loudness = {label: np.median([x.std() for x in parts]) for label, parts in found.items()}
    assert loudness["AE"] > 10 * loudness["sil"]
    assert np.median([crossings(x) for x in found["S"]]) > 3 * np.median(
        [crossings(x) for x in found["AE"]]
    )


def test_the_same_again_elsewhere_and_for_other_sizes(corpus: EspeakPhones, tmp_path: Path) -> None:
    other = EspeakPhones((5, 1, 1), snr_db=(60.0, 60.0), cache=tmp_path)
    for a, b in zip(corpus.utterances("train"), other.utterances("train"), strict=False):
        assert (a.id, a.speaker, a.alignment) == (b.id, b.speaker, b.alignment)
        np.testing.assert_array_equal(a.samples()[0], b.samples()[0])
    different = EspeakPhones((5, 1, 1), snr_db=(60.0, 60.0), seed=1, cache=tmp_path)
    assert [u.labels for u in different.utterances("train")] != [
        u.labels for u in other.utterances("train")
    ]


def test_output_does_not_depend_on_the_order() -> None:
    jobs = [
        {"text": t, "voice": f"en-us+{v}", "rate": 170, "pitch": 50}
        for t, v in (("rural", "f2"), ("yes", "klatt"))
    ]
    forward, backward = list(synthesise(jobs)), list(synthesise(jobs[::-1]))[::-1]
    for (sound, rate, events), (sound2, rate2, events2) in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(sound, sound2)
        assert (rate, events) == (rate2, events2) and rate == 22050


def test_noise_has_the_asked_level(tmp_path: Path) -> None:
    quiet, loud = (
        EspeakPhones((2, 1, 1), snr_db=(d, d), cache=tmp_path / str(d)) for d in (300.0, 10.0)
    )
    for a, b in zip(quiet.utterances("train"), loud.utterances("train"), strict=True):
        clean, noisy = a.samples()[0].astype(float), b.samples()[0].astype(float)
        assert 10 * np.log10(np.mean(clean**2) / np.mean((noisy - clean) ** 2)) == pytest.approx(
            10, abs=0.2
        )


def test_eight_kilohertz(tmp_path: Path) -> None:
    half = EspeakPhones((1, 1, 1), rate=8000, cache=tmp_path).utterances("test")[0]
    assert (
        half.samples()[1] == 8000
        and half.alignment
        and half.alignment[-1].end == len(half.samples()[0])
    )


def test_no_voice_is_in_two_splits(corpus: EspeakPhones) -> None:
    train, validation, test = (set(VOICES[s]) for s in SPLITS)
    assert not (train & validation | train & test | validation & test) and len(test) == 10
    for split in SPLITS:
        assert {u.speaker for u in corpus.utterances(split)} <= set(VOICES[split])


def test_folding_of_events() -> None:
    found = segments(
        [(100, "k"), (200, "'A@"), (400, "r"), (500, ",i:"), (550, ";"), (600, "@L"), (800, "_:")],
        1000,
    )
    expected = [
        (0, "sil"),
        (100, "K"),
        (200, "AA"),
        (400, "R"),
        (500, "IY"),
        (600, "AH"),
        (700, "L"),
        (800, "sil"),
    ]
    assert [(s.start, s.label) for s in found] == expected and found[-1].end == 1000
    assert labels(segments([(0, "k"), (200, "'A@"), (400, "_")], 500)) == ("K", "AA", "R")
    with pytest.raises(UserError, match="'y' has no class"):
        segments([(0, "y")], 100)


def test_bad_requests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1 to 200,000"):
        EspeakPhones((0, 1, 1))
    with pytest.raises(UserError, match="8000 or 16000"):
        EspeakPhones(rate=44100)
    with pytest.raises(UserError, match=r"no voice 'en-us\+nobody'|failed in voice"):
        list(synthesise([{"text": "yes", "voice": "xx-nowhere+nobody", "rate": 170, "pitch": 50}]))
    corpus = EspeakPhones((2, 1, 1), cache=tmp_path)
    utterance = corpus.utterances("train")[1]
    (raw,) = tmp_path.rglob("train.raw")
    raw.write_bytes(raw.read_bytes()[:1000])
    with pytest.raises(UserError, match="missing or truncated"):
        utterance.samples()
