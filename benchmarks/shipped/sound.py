"""Real input: speech from a folder of FLAC files, music that the wheel of pygame brings."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ernn.errors import UserError

Array = np.ndarray
Sounds = tuple[list[Array], list[Array]]
"""Samples that choose formats, and those that are measured."""

CALIBRATION = 8
"""Files of speech, in the order of their names, that choose formats."""


def speech(folder: Path) -> Sounds:
    """16 kHz samples of a folder's FLAC files."""
    paths = sorted(folder.glob("*.flac"))
    if len(paths) <= CALIBRATION:
        raise UserError(f"{folder} has {len(paths)} FLAC files: more than {CALIBRATION} are needed")
    samples = [_at(path, 16_000) for path in paths]
    return samples[:CALIBRATION], samples[CALIBRATION:]


def music() -> Sounds:
    """44.1 kHz samples of pygame's `house_lo.wav`: the first half, and the second."""
    found = find_spec("pygame")  # importing it greets
    if found is None or found.origin is None:
        raise UserError("music needs the wheel of pygame: pip install -e '.[zoo]'")
    whole = _at(Path(found.origin).with_name("examples") / "data" / "house_lo.wav", 44_100)
    return [whole[: len(whole) // 2]], [whole[len(whole) // 2 :]]


def _at(path: Path, rate: int) -> Array:
    """A file's samples at a rate in Hz."""
    samples, own = soundfile.read(path, dtype="float32")
    return soxr.resample(samples, own, rate)
