"""One sound file: RIFF, FLAC, SPHERE; truncated and unsuitable ones."""

import io

import numpy as np
import pytest
import soundfile
from miniature import corpora_with, riff, sphere, tone

from ernn.data.audio import read_audio
from ernn.errors import UserError


@pytest.mark.parametrize(
    "content", [riff(tone()), sphere(tone()), sphere(tone(), order="10")], ids=["riff", "le", "be"]
)
def test_content_decides_not_the_extension(content: bytes, tmp_path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(content)
    samples, rate = read_audio(path)
    assert rate == 16000 and samples.dtype == np.float32
    np.testing.assert_array_equal(samples * 32768, tone())


def test_flac(tmp_path) -> None:
    soundfile.write(tmp_path / "x.flac", tone(), 16000)
    np.testing.assert_array_equal(read_audio(tmp_path / "x.flac")[0] * 32768, tone())


@pytest.mark.parametrize("root", corpora_with("an4_cepstra/wav_sample"))
def test_real_sphere_recordings_as_libsndfile_reads_them(root) -> None:
    paths = sorted(root.rglob("*.sph"))
    assert len(paths) == 8
    for path in paths:
        samples, rate = read_audio(path)
        expected, expected_rate = soundfile.read(path, dtype="float32")
        assert rate == expected_rate
        np.testing.assert_array_equal(samples, expected)


def flac_bytes() -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, tone(), 16000, format="FLAC")
    return stream.getvalue()


def stereo() -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, np.stack([tone(), tone()], 1), 16000, format="WAV")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (riff(tone())[:-100], "truncated"),
        (sphere(tone())[:-100], "truncated"),
        (sphere(tone())[:500], "truncated"),
        (flac_bytes()[:-1000], "truncated"),
        (b"", "truncated or no sound file"),
        (b"\0" * 3000, "truncated or no sound file"),
        (riff(np.zeros(0, np.int16)), "0 samples"),
        (stereo(), "2 channels; mono"),
        (
            sphere(tone(), sample_coding="-s26 pcm,embedded-shorten-v2.00"),
            "not plain 16-bit PCM; convert it",
        ),
        (sphere(tone(), sample_count="-i 999999999999"), "at most an hour"),
        (sphere(tone(), sample_rate="-i abc"), "lacks a number for sample_rate"),
    ],
)
def test_unsuitable_sound_is_refused(content: bytes, rule: str, tmp_path) -> None:
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(UserError, match=rule):
        read_audio(tmp_path / "x.wav")


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(UserError, match=r"none\.wav is missing"):
        read_audio(tmp_path / "none.wav")
