"""A sound file to float32 samples: WAV and FLAC by libsndfile, NIST SPHERE here; by content."""

import io
from pathlib import Path

import numpy as np

from ernn.data.corpus import Audio, require_file
from ernn.errors import UserError

LONGEST_SECONDS = 3600
_SPHERE = b"NIST_1A\n"


def read_audio(path: Path) -> Audio:
    """Mono samples [n] in [-1, 1), rate; UserError: truncated, not mono, empty or over an hour."""
    require_file("audio", path)
    with path.open("rb") as stream:
        sphere = stream.read(len(_SPHERE)) == _SPHERE
    return read_sphere(path) if sphere else decode(path.read_bytes(), str(path))


def decode(content: bytes, label: str) -> Audio:
    """Mono samples of a WAV or FLAC file held in memory; `label` names it in errors."""
    import soundfile

    _check_riff(content, label)
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as sound:
            _check(label, sound.frames, sound.samplerate, sound.channels)
            samples = sound.read(dtype="float32")
            if len(samples) != sound.frames:
                raise UserError(f"{label} is truncated: {len(samples)} of {sound.frames} samples")
            return np.asarray(samples, np.float32), sound.samplerate
    except soundfile.LibsndfileError as error:
        raise UserError(
            f"{label} is truncated or no sound file that libsndfile reads: {error}"
        ) from error


def read_sphere(path: Path) -> Audio:
    """Mono 16-bit PCM samples of a NIST SPHERE file (lines `name -type value`, then samples)."""
    content = path.read_bytes()
    head, start = _sphere_header(content, path)
    count, rate, width = (
        _sphere_integer(head, key, path)
        for key in ("sample_count", "sample_rate", "sample_n_bytes")
    )
    coding, order = head.get("sample_coding", "pcm"), head.get("sample_byte_format", "01")
    if coding != "pcm" or width != 2 or order not in ("01", "10"):
        raise UserError(
            f"{path}: SPHERE coding {coding!r}, {width} bytes, order {order!r} is not plain 16-bit "
            "PCM; convert it with sph2pipe or sox"
        )
    _check(str(path), count, rate, int(head.get("channel_count", "1")))
    if len(content) - start < 2 * count:
        raise UserError(f"{path} is truncated: {(len(content) - start) // 2} of {count} samples")
    raw = np.frombuffer(content, "<i2" if order == "01" else ">i2", count, start)
    return raw.astype(np.float32) / np.float32(32768), rate


def _sphere_header(content: bytes, path: Path) -> tuple[dict[str, str], int]:
    """The header's fields and its length in bytes, which its second line states."""
    size = content[8:16].strip()
    if not size.isdigit() or not 16 < int(size) <= min(len(content), 1 << 16):
        raise UserError(f"{path} is truncated or no SPHERE file: header length {size!r}")
    text = content[16 : int(size)].decode("latin-1").split("end_head")
    if len(text) < 2:
        raise UserError(f"{path}: SPHERE header without end_head")
    fields = (line.split(None, 2) for line in text[0].splitlines())
    return {f[0]: f[2].strip() for f in fields if len(f) == 3}, int(size)


def _sphere_integer(head: dict[str, str], key: str, path: Path) -> int:
    if not head.get(key, "").isdigit():
        raise UserError(f"{path}: SPHERE header lacks a number for {key}")
    return int(head[key])


def _check(label: str, frames: int, rate: int, channels: int) -> None:
    """UserError for a size out of range, before anything of that size is allocated."""
    if channels != 1:
        raise UserError(f"{label} has {channels} channels; mono is needed")
    if rate < 1000 or not 0 < frames <= LONGEST_SECONDS * rate:
        raise UserError(
            f"{label} has {frames} samples at {rate} Hz; expected more than none and at most an "
            "hour"
        )


def _check_riff(content: bytes, label: str) -> None:
    """libsndfile silently shortens a truncated WAV: compare its header's size with the file's."""
    if content[:4] == b"RIFF":
        stated = int.from_bytes(content[4:8], "little") + 8
        if stated > len(content) + 1:
            raise UserError(f"{label} is truncated: {len(content)} of {stated} bytes")
