"""Features against the published definition, written here in NumPy;
streaming against batch; batches.
"""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ernn.data.alignment import frame_labels
from ernn.data.corpus import Segment, Utterance
from ernn.data.deltas import append_deltas
from ernn.data.features import FeatureSpec, FeatureStream, compute, extract
from ernn.data.normalizer import Normalizer
from ernn.errors import UserError


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def mel(hertz):
    return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)


def power_spectra(x: np.ndarray, rate: int) -> np.ndarray:
    """Kaldi's windows: mean removed, pre-emphasis 0.97, Povey window, next power of two."""
    size, shift = rate // 40, rate // 100
    fft = 1 << (size - 1).bit_length()
    frames = (
        np.stack([x[t : t + size] for t in range(0, len(x) - size + 1, shift)]).astype(np.float64)
        * 32768
    )
    frames -= frames.mean(1, keepdims=True)
    frames = np.concatenate([frames[:, :1] * 0.03, frames[:, 1:] - 0.97 * frames[:, :-1]], 1)
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / (size - 1))) ** 0.85
    return np.abs(np.fft.rfft(frames * window, fft)) ** 2


def log_mel(x: np.ndarray, rate: int, bins: int) -> np.ndarray:
    """Triangles evenly spaced in mel from 20 Hz to half the rate,
    straight in mel; natural logarithm.
    """
    spectra = power_spectra(x, rate)
    edges = np.linspace(mel(20), mel(rate / 2), bins + 2)
    at = mel(np.arange(spectra.shape[1]) * rate / (2 * (spectra.shape[1] - 1)))
    up = (at - edges[:-2, None]) / np.diff(edges)[:-1, None]
    down = (edges[2:, None] - at) / np.diff(edges)[1:, None]
    weights = np.maximum(0, np.minimum(up, down))
    weights[:, -1] = 0  # Kaldi leaves out the bin at half the rate
    return np.log(np.maximum(spectra @ weights.T, np.finfo(np.float32).eps))


@pytest.mark.parametrize("rate", [8000, 16000])
def test_log_mel_is_kaldis_definition(rate: int) -> None:
    x = noise(rate)
    np.testing.assert_allclose(
        compute(FeatureSpec("logmel", rate, bins=40), x), log_mel(x, rate, 40), atol=2e-3
    )


@pytest.mark.parametrize("rate", [8000, 16000])
def test_mfcc_is_the_liftered_cosine_transform_of_log_mel(rate: int) -> None:
    x, bins = noise(rate, 1), 23
    n = np.arange(bins)
    transform = np.sqrt(2 / bins) * np.cos(np.pi * np.outer(np.arange(13), n + 0.5) / bins)
    transform[0] = np.sqrt(1 / bins)
    lifter = 1 + 11 * np.sin(np.pi * np.arange(13) / 22)
    expected = log_mel(x, rate, bins) @ transform.T * lifter
    np.testing.assert_allclose(
        compute(FeatureSpec("mfcc", rate, bins=bins), x), expected, atol=2e-2
    )


def test_first_delta_is_the_regression_formula() -> None:
    x = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    held = [x[min(max(t, 0), 8)] for t in range(-2, 11)]
    expected = [(held[t + 3] - held[t + 1] + 2 * (held[t + 4] - held[t])) / 10 for t in range(9)]
    np.testing.assert_allclose(append_deltas(x, 1)[:, 3:], expected, atol=1e-6)


def test_second_delta_of_a_parabola_is_its_curvature() -> None:
    t = np.arange(30, dtype=np.float32)[:, None]
    inner = append_deltas(0.5 * t**2, 2)[4:-4]
    np.testing.assert_allclose(inner[:, 1], t[4:-4, 0], rtol=1e-4)
    np.testing.assert_allclose(inner[:, 2], 1.0, atol=1e-3)


specs = st.builds(
    FeatureSpec,
    kind=st.sampled_from(["logmel", "mfcc"]),
    rate=st.sampled_from([8000, 16000]),
    bins=st.just(23),
    deltas=st.integers(0, 2),
    delta_window=st.integers(1, 3),
    stack=st.integers(2, 4),
    subsample=st.integers(1, 2),
)


@settings(max_examples=40, deadline=None)
@given(spec=specs, samples=st.integers(400, 5000), cuts=st.lists(st.integers(0, 700), max_size=12))
def test_streaming_equals_batch_bit_for_bit(
    spec: FeatureSpec, samples: int, cuts: list[int]
) -> None:
    x, stream = noise(samples), FeatureStream(spec)
    bounds = [*np.minimum(np.cumsum([0, *cuts]), samples), samples]
    for _ in range(2):  # after finish, the stream is as new
        parts = [stream.push(x[a:b]) for a, b in pairwise(bounds)]
        np.testing.assert_array_equal(np.concatenate([*parts, stream.finish()]), compute(spec, x))


def test_a_frame_comes_out_after_the_stated_latency() -> None:
    spec = FeatureSpec("mfcc", 16000, bins=23, deltas=2, stack=3, subsample=1)
    x, stream = noise(16000), FeatureStream(spec)
    assert len(stream.push(x[: spec.latency_samples - 1])) == 0
    assert len(stream.push(x[spec.latency_samples - 1 : spec.latency_samples])) == 1


def test_stacking_puts_neighbours_side_by_side() -> None:
    x = noise(4000)
    plain = compute(FeatureSpec("logmel", bins=23), x)
    stacked = compute(FeatureSpec("logmel", bins=23, stack=3, subsample=2), x)
    np.testing.assert_array_equal(stacked[1], plain[2:5].ravel())
    assert len(stacked) == (len(plain) - 3) // 2 + 1


def test_normalised_training_frames_have_mean_zero_and_deviation_one(tmp_path) -> None:
    rng = np.random.default_rng(3)
    arrays = [(rng.normal(50, 7, (n, 4))).astype(np.float32) for n in (20, 300, 7)]
    for a in arrays:
        a[:, 3] = 2.5
    fitted = Normalizer.fit(arrays)
    frames = np.concatenate([fitted(a) for a in arrays]).astype(np.float64)
    np.testing.assert_allclose(frames.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(frames.std(0), [1, 1, 1, 0], atol=1e-4)
    loaded = Normalizer.load(fitted.save(tmp_path / "n.npz"))
    np.testing.assert_array_equal(loaded.mean, fitted.mean)
    np.testing.assert_array_equal(loaded.deviation, fitted.deviation)


def test_frame_labels_are_those_at_the_centres_of_windows() -> None:
    alignment = (Segment(0, 300, "a"), Segment(300, 520, "b"), Segment(520, 800, "c"))
    assert frame_labels(alignment, FeatureSpec(), 4) == ("a", "b", "c", "c")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"kind": "fbank"}, "kind is stored, logmel or mfcc"),
        ({"rate": 44100}, "44100; convert"),
        ({"subsample": 3}, "subsample <= stack"),
        ({"kind": "mfcc", "coefficients": 50}, "coefficients <= bins"),
        ({"bins": 128}, "mel filters are narrower than a frequency bin"),
        ({"shift_ms": 0.01}, "1 <= shift_ms"),
        ({"deltas": 3}, "deltas is 0, 1 or 2"),
    ],
)
def test_spec_rules(change: dict, rule: str) -> None:
    with pytest.raises(UserError, match=rule):
        FeatureSpec(**change)


def test_bad_sound_is_refused() -> None:
    at_8k = Utterance("u1", "s", "train", ("a",), read_audio=lambda: (noise(8000), 8000))
    with pytest.raises(UserError, match="u1 has 8000 Hz, the features are for 16000"):
        extract(FeatureSpec(), at_8k)
    with pytest.raises(UserError, match="kind='logmel' or 'mfcc'"):
        extract(FeatureSpec("stored"), at_8k)
    with pytest.raises(UserError, match="fewer than one window"):
        compute(FeatureSpec(), noise(399))
    with pytest.raises(UserError, match="finite"):
        compute(FeatureSpec(), np.full(1000, np.nan, np.float32))
    with pytest.raises(UserError, match="mono"):
        compute(FeatureSpec(), np.zeros((1000, 2), np.float32))


def test_bad_statistics_are_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="needs frames"):
        Normalizer.fit([])
    normalise = Normalizer(np.zeros(13, np.float32), np.ones(13, np.float32))
    assert normalise([[1.0] * 13]).tolist() == [[1.0] * 13]  # type: ignore[arg-type]
    for wrong in (np.zeros((2, 3), np.float32), 5.0, ["x"] * 13):
        with pytest.raises(UserError, match="for 13 dimensions, not for "):
            normalise(wrong)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="not a saved normalisation"):
        Normalizer.load(tmp_path / "missing.npz")
