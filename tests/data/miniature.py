"""Where the real corpora are, if they are, and writers of miniatures in their formats."""

import os
from pathlib import Path

import numpy as np


def shared_data() -> Path:
    """$ERNN_SHARED (the folder of corpora, or the one that holds `data`), else
    ../shared/data beside the repository.
    """
    repository = Path(__file__).resolve().parents[2]
    chosen = Path(os.environ.get("ERNN_SHARED") or repository.parent / "shared")
    return chosen / "data" if (chosen / "data").is_dir() else chosen


def corpora_with(folder: str) -> list[Path]:
    """The real corpus as a list of one, or of none where it is not on this machine."""
    path = shared_data() / folder
    return [path] if path.exists() else []


def tone(seconds: float = 0.3, rate: int = 16000, seed: int = 0) -> np.ndarray:
    """int16 noise over a tone."""
    t = np.arange(int(seconds * rate)) / rate
    wave = 0.3 * np.sin(2 * np.pi * (300 + 40 * seed) * t) + 0.05 * np.random.default_rng(
        seed
    ).standard_normal(len(t))
    return (32767 * wave).astype(np.int16)


def sphere(samples: np.ndarray, rate: int = 16000, order: str = "01", **changed: str) -> bytes:
    """A NIST SPHERE file with the header fields of TIMIT's; `changed` replaces or adds some."""
    fields = {
        "sample_count": f"-i {len(samples)}",
        "sample_rate": f"-i {rate}",
        "sample_n_bytes": "-i 2",
        "channel_count": "-i 1",
        "sample_sig_bits": "-i 16",
        "sample_byte_format": f"-s2 {order}",
    } | changed
    head = "NIST_1A\n   1024\n" + "".join(f"{k} {v}\n" for k, v in fields.items()) + "end_head\n"
    return head.encode().ljust(1024) + samples.astype("<i2" if order == "01" else ">i2").tobytes()


def riff(samples: np.ndarray, rate: int = 16000) -> bytes:
    """A RIFF WAV file, byte by byte."""
    data = samples.astype("<i2").tobytes()
    form = b"fmt " + np.array([16], "<u4").tobytes() + np.array([1, 1], "<u2").tobytes()
    form += np.array([rate, 2 * rate], "<u4").tobytes() + np.array([2, 16], "<u2").tobytes()
    body = b"WAVE" + form + b"data" + np.array([len(data)], "<u4").tobytes() + data
    return b"RIFF" + np.array([len(body)], "<u4").tobytes() + body
