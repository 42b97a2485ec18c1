"""Files of corpora: sound, features, lists of what is said, sequences of a user's own."""

import io
import json
import shutil
import tarfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from ernn.data.an4 import CEPSTRA, read_cepstra
from ernn.data.audio import read_audio
from ernn.data.fsdd import Fsdd, connected_digits
from ernn.data.fsdd_files import Sound
from ernn.data.librispeech import LibriSpeech
from ernn.data.logmel import LogMel
from ernn.data.own import OwnData
from ernn.data.pronounce import read_pronunciations
from ernn.data.speechocean import SpeechOcean
from ernn.data.timit import read_phones
from tests.data.miniature import riff, sphere, tone
from tests.fuzz.harness import Kind
from tests.fuzz.making import Array, by_arrays, by_bytes, by_values
from tests.fuzz.mutate import (
    as_json,
    as_lines,
)

# Sound


def sound(container: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, tone(0.05), 16000, format=container)
    return file.getvalue()


def use_sound(path: Path) -> None:
    samples, rate = read_audio(path)
    assert samples.dtype == np.float32 and samples.ndim == 1 and rate > 0
    assert np.isfinite(samples).all()


# Features and lists


def digits() -> dict[str, Array]:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 3, 300)
    X = rng.normal(size=(lengths.sum(), 13)).astype(np.float16)
    return {"X": X, "y": (np.arange(300) % 10).astype(np.int8), "lengths": lengths}


def use_digits(path: Path) -> None:
    for split in ("train", "validation", "test"):
        for utterance in connected_digits(path=path).utterances(split):
            utterance.features()


def lines(folder: Path) -> list[dict[str, str]]:
    """Of speechocean762, whose sound is there."""
    made = []
    for number in range(4):
        soundfile.write(folder / f"{number}.flac", tone(0.05), 16000)
        item = {"id": f"u{number}", "speaker": f"s{number}", "path": f"{number}.flac"}
        made.append(item | {"phones": "IH T S"})
    return made


def use_lines(path: Path) -> None:
    shutil.copyfile(path, path.with_name("train.jsonl"))
    corpus = SpeechOcean(path.parent, held_out=1)
    for split in ("train", "validation", "test"):
        for utterance in corpus.utterances(split):
            utterance.samples()
    assert corpus.identity


DICTIONARY = b";;; comment\nONE  W AH1 N\nTWO T UW1\nTWO(2) T UW0\nTHREE TH R IY1\n"
TRANSCRIPT = b"1-2-0000 ONE TWO\n1-2-0001 THREE\n"
PHONES = b"0 100 h#\n100 400 iy\n400 700 sh\n700 800 h#\n"


def use_transcript(path: Path) -> None:
    folder = path.parent / "train-clean" / "1" / "2"
    if not folder.exists():
        folder.mkdir(parents=True)
        (path.parent / "words").write_bytes(DICTIONARY)
        for number in range(2):
            soundfile.write(folder / f"1-2-{number:04}.flac", tone(0.05), 16000)
    shutil.copyfile(path, folder / "1-2.trans.txt")
    corpus = LibriSpeech(path.parent, path.parent / "words", "leave out")
    for utterance in corpus.utterances("train"):
        utterance.samples()
    assert corpus.description and corpus.identity


def recordings(mode: str) -> bytes:
    """An archive of FSDD, of the digits that a split needs."""
    file = io.BytesIO()
    with tarfile.open(None, mode, file) as made:  # type: ignore[call-overload]
        for number in range(40):
            content = riff(tone(0.02, 8000, number), 8000)
            member = tarfile.TarInfo(f"recordings/{number % 10}_ann_{number // 10}.wav")
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return file.getvalue()


def use_recordings(path: Path) -> None:
    corpus = Fsdd(Sound(path), "recording", strings=None)
    for utterance in corpus.utterances("train"):
        utterance.samples()
    assert corpus.identity


LABELS = [
    {"id": f"u{n}", "speaker": "s", "split": split, "frames": 3, "offset": 0, "phones": "AA B"}
    for n, split in enumerate(("train", "valid", "test"))
]


def stored_features(folder: Path) -> bytes:
    """A corpus of them, and what each split's frames are packed to."""
    packed = zlib.compress(np.arange(12, dtype=np.uint8).tobytes())
    (folder / "feats").mkdir()
    for split in ("train", "valid", "test"):
        (folder / "feats" / f"{split}.z").write_bytes(packed)
    (folder / "labels.jsonl").write_bytes(as_lines(LABELS))
    return packed


def of_labels(folder: Path) -> Kind:
    stored_features(folder)
    return by_values("labels", use_logmel, as_lines, LABELS, file="labels.jsonl")


def of_packed(folder: Path) -> Kind:
    return by_bytes("packed", use_logmel, stored_features(folder), file="feats/train.z")


def use_logmel(path: Path) -> None:
    corpus = LogMel(path.parent if path.suffix == ".jsonl" else path.parent.parent)
    for split in ("train", "validation", "test"):
        for utterance in corpus.utterances(split):
            assert np.isfinite(utterance.features()).all()
    assert corpus.description and corpus.identity


def of_cepstra(folder: Path) -> Kind:
    frames = np.random.default_rng(0).normal(size=(5, CEPSTRA)).astype("<f4")
    content = np.array([frames.size], "<i4").tobytes() + frames.tobytes()
    return by_bytes("cepstra", read_cepstra, content)


def of_wav(folder: Path) -> Kind:
    return by_bytes("wav", use_sound, riff(tone(0.05)), sound("RF64"), sound("W64"))


# Sequences of a user's own


OWN = {
    "features": np.random.default_rng(0).normal(size=(24, 2)).astype(np.float32),
    "lengths": np.array([2, 4] * 4),
    "targets": np.arange(8) % 2,
    "groups": np.array(list("aabbccdd")),
    "manifest": np.array(json.dumps({"task": "classify", "window": 2})),
}
SETTINGS = {"task": "label", "classes": ["no", "yes"], "weights": {"no": 1.0, "yes": 2.0}}
TABLE = "file,targets,group\n" + "".join(f"{n}.npy,{n}.csv,g{n // 2}\n" for n in range(6))


def a_table(folder: Path) -> dict[str, bytes]:
    """A folder of own data: its files."""
    for number in range(6):
        np.save(folder / f"{number}.npy", np.full((4, 2), number, np.float32))
        (folder / f"{number}.csv").write_text("0\n1\n0\n1\n")
    (folder / "manifest.csv").write_text(TABLE)
    (folder / "manifest.json").write_bytes(as_json(SETTINGS))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def use_own(path: Path) -> None:
    corpus = OwnData(path)
    for split in ("train", "validation", "test"):
        for utterance in corpus.utterances(split):
            assert utterance.features().ndim == 2
    assert corpus.objective and corpus.description and corpus.identity


def use_table(path: Path) -> None:
    use_own(path.parent)


def of_own(file: str, folder: Path) -> Kind:
    return by_bytes(f"own {file}", use_table, a_table(folder)[file], file=file)


def of_settings(folder: Path) -> Kind:
    a_table(folder)
    return by_values("settings", use_table, as_json, SETTINGS, file="manifest.json")


CORPORA: dict[str, Callable[[Path], Kind]] = {
    "wav": of_wav,
    "flac": lambda _: by_bytes("flac", use_sound, sound("FLAC")),
    "sphere": lambda _: by_bytes("sphere", use_sound, sphere(tone(0.05))),
    "npz": lambda _: by_arrays("npz", use_digits, digits()),
    "jsonl": lambda folder: by_values(
        "jsonl", use_lines, as_lines, lines(folder), file="test.jsonl"
    ),
    "dictionary": lambda _: by_bytes("dictionary", read_pronunciations, DICTIONARY),
    "transcript": lambda _: by_bytes("transcript", use_transcript, TRANSCRIPT),
    "recordings": lambda _: by_bytes(
        "recordings", use_recordings, recordings("w:gz"), recordings("w:")
    ),
    "cepstra": of_cepstra,
    "labels": of_labels,
    "packed": of_packed,
    "phones": lambda _: by_bytes("phones", read_phones, PHONES),
    "own": lambda _: by_arrays("own", use_own, OWN),
    "table": partial(of_own, "manifest.csv"),
    "settings": of_settings,
    "array": partial(of_own, "0.npy"),
    "numbers": partial(of_own, "0.csv"),
}
