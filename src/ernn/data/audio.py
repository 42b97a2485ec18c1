"""A sound file to float32 samples: WAV (RIFF, RF64, W64) and FLAC by libsndfile, NIST SPHERE here.

What a file is follows from its content, not from its name.  One that is shorter than it states is
refused: libsndfile would give what is left of it.
"""

import io
from pathlib import Path

import numpy as np

from ernn.data.corpus import Audio, require_file
from ernn.errors import UserError, one_line
from ernn.ground.reading import read_bytes, whole_number

LONGEST_SECONDS = 3600
FORMATS = ("WAV", "WAVEX", "RF64", "W64", "FLAC")
_SPHERE = b"NIST_1A\n"
_SPHERE_NUMBERS = {
    "sample_count": "",
    "sample_rate": "",
    "sample_n_bytes": "",
    "channel_count": "1",
}


def read_audio(path: Path) -> Audio:
    """Mono samples [n] in [-1, 1), rate; UserError: truncated, not mono, empty or over an hour."""
    content = read_bytes(require_file("audio", path))
    sphere = content.startswith(_SPHERE)
    return decode_sphere(content, str(path)) if sphere else decode(content, str(path))


def decode(content: bytes, label: str) -> Audio:
    """Mono samples of a WAV or FLAC file held in memory; `label` names it in errors."""
    import soundfile

    _check_chunks(content, label)
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as sound:
            if sound.format not in FORMATS:
                raise UserError(f"{label} is {sound.format}: convert it to WAV or FLAC")
            _check(label, sound.frames, sound.samplerate, sound.channels)
            samples = sound.read(dtype="float32")
            if len(samples) != sound.frames:
                raise UserError(f"{label} is truncated: {len(samples)} of {sound.frames} samples")
            if not np.isfinite(samples).all():
                raise UserError(f"{label} has a sample that is not finite")
            return np.asarray(samples, np.float32), sound.samplerate
    except soundfile.LibsndfileError as error:
        raise UserError(
            f"{label} is truncated or no sound file that libsndfile reads: {one_line(error)}"
        ) from error


def decode_sphere(content: bytes, label: str) -> Audio:
    """Mono 16-bit PCM samples of a NIST SPHERE file (lines `name -type value`, then samples)."""
    head, start = _sphere_header(content, label)
    count, rate, width, channels = (
        whole_number(head.get(key, default), f"{label}: {key}")
        for key, default in _SPHERE_NUMBERS.items()
    )
    coding, order = head.get("sample_coding", "pcm"), head.get("sample_byte_format", "01")
    if coding != "pcm" or width != 2 or order not in ("01", "10"):
        raise UserError(
            f"{label}: SPHERE coding {coding!r}, {width} bytes, order {order!r} is not plain "
            "16-bit PCM; convert it with sph2pipe or sox"
        )
    _check(label, count, rate, channels)
    if len(content) - start < 2 * count:
        raise UserError(f"{label} is truncated: {(len(content) - start) // 2} of {count} samples")
    raw = np.frombuffer(content, "<i2" if order == "01" else ">i2", count, start)
    return raw.astype(np.float32) / np.float32(32768), rate


def _sphere_header(content: bytes, label: str) -> tuple[dict[str, str], int]:
    """The header's fields and its length in bytes, which its second line states."""
    size = content[8:16].strip()
    if not size.isdigit() or not 16 < int(size) <= min(len(content), 1 << 16):
        raise UserError(f"{label} is truncated or no SPHERE file: header length {size!r}")
    text = content[16 : int(size)].decode("latin-1").split("end_head")
    if len(text) < 2:
        raise UserError(f"{label}: SPHERE header without end_head")
    fields = (line.split(None, 2) for line in text[0].split("\n"))
    return {f[0]: f[2].strip() for f in fields if len(f) == 3}, int(size)


def _check(label: str, frames: int, rate: int, channels: int) -> None:
    """UserError for a size out of range, before anything of that size is allocated."""
    if channels != 1:
        raise UserError(f"{label} has {channels} channels; mono is needed")
    if rate < 1000 or not 0 < frames <= LONGEST_SECONDS * rate:
        raise UserError(
            f"{label} has {frames} samples at {rate} Hz; expected more than none and at most an "
            "hour"
        )


def _check_chunks(content: bytes, label: str) -> None:
    """UserError where a WAV's file or its samples end before the size that it states."""
    match content[:4]:
        case b"RIFF":
            whole, at, name, size = _number(content, 4, 4) + 8, 12, 4, 4
        case b"RF64":
            whole, at, name, size = _number(content, 20, 8) + 8, 12, 4, 4
        case b"riff":
            whole, at, name, size = _number(content, 16, 8), 40, 16, 8
        case _:
            return
    length = len(content) + 1  # a last byte of padding may be missing
    while at < whole <= length and content[at : at + 4] != b"data":
        stated = _number(content, at + name, size)
        # W64 counts the chunk's head and fills up to 8 bytes, the others do not and fill to 2.
        at += -(-max(stated, 24) // 8) * 8 if size == 8 else 8 + stated + stated % 2
    stated = _number(content, at + name, size) + (0 if size == 8 else 8)
    if content[:4] == b"RF64":
        stated = _number(content, 28, 8) + 8
    if whole > length or at + stated > length:
        raise UserError(f"{label} is truncated: {len(content)} of {max(whole, at + stated)} bytes")


def _number(content: bytes, at: int, size: int) -> int:
    return int.from_bytes(content[at : at + size], "little")
