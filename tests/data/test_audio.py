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


def written(container: str) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, tone(), 16000, format=container)
    return stream.getvalue()


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64", "W64", "FLAC"])
def test_every_container_is_read_whole_or_refused(container: str, tmp_path) -> None:
    content = written(container)
    (tmp_path / "x").write_bytes(content)
    np.testing.assert_array_equal(read_audio(tmp_path / "x")[0] * 32768, tone())
    for missing in (2, 16, 100, len(content) // 2, len(content) - 60):
        (tmp_path / "x").write_bytes(content[:-missing])
        with pytest.raises(UserError, match="truncated"):
            read_audio(tmp_path / "x")


def with_more_samples(content: bytes) -> bytes:
    """The data chunk states more than the file, whose own size is right."""
    return content[:40] + (2 * len(content)).to_bytes(4, "little") + content[44:]


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
        (with_more_samples(riff(tone())), "truncated"),
        (written("AIFF"), "is AIFF: convert it to WAV or FLAC"),
        (b"", "truncated or no sound file"),
        (b"\0" * 3000, "truncated or no sound file"),
        (riff(np.zeros(0, np.int16)), "0 samples"),
        (stereo(), "2 channels; mono"),
        (
            sphere(tone(), sample_coding="-s26 pcm,embedded-shorten-v2.00"),
            "not plain 16-bit PCM; convert it",
        ),
        (sphere(tone(), sample_count="-i 999999999999"), "at most an hour"),
        (sphere(tone(), sample_rate="-i abc"), "sample_rate: expected a whole number, got 'abc'"),
        (sphere(tone(), channel_count="-i many"), "channel_count: expected a whole number"),
        (sphere(tone(), sample_count="-i " + "9" * 5000), "header length|whole number|end_head"),
    ],
)
def test_unsuitable_sound_is_refused(content: bytes, rule: str, tmp_path) -> None:
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(UserError, match=rule):
        read_audio(tmp_path / "x.wav")


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(UserError, match=r"none\.wav is missing"):
        read_audio(tmp_path / "none.wav")
