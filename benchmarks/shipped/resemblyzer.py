"""Resemblyzer 0.1.4: a voice's embedding from pieces of 1.6 s; torch."""

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
import torch

from ernn.api import Model
from shipped.network import Array, Given, Part, Shipped
from shipped.sound import Sounds


def load(speech: Sounds) -> Shipped:
    calibration, held_out = ([_pieces(samples) for samples in part] for part in speech)

    def difference(models: Sequence[Model]) -> float:
        cosines = [
            _utterance([_embed(one) for one in pieces])
            @ _utterance([models[0].predict(one.frames) for one in pieces])
            for pieces in held_out
        ]
        return float(1 - min(cosines))

    pieces = (list(chain.from_iterable(part)) for part in (calibration, held_out))
    return Shipped(
        name="Resemblyzer",
        wheel="Resemblyzer 0.1.4",
        file="pretrained.pt",
        licence="Apache-2.0",
        device="XCKU060",
        parts=(Part(_encoder(), *pieces, _embed),),
        task="1 - cosine of an utterance's embeddings, the largest",
        difference=difference,
        limit=0.001,
    )


@cache
def _encoder() -> Any:
    from resemblyzer import VoiceEncoder

    return VoiceEncoder("cpu", verbose=False).eval()


def _pieces(samples: Array) -> list[Given]:
    """Mel spectra (160, 40) of the pieces that `VoiceEncoder.embed_utterance` cuts."""
    from resemblyzer import preprocess_wav, wav_to_mel_spectrogram

    samples = preprocess_wav(samples, 16_000)
    waves, mels = _encoder().compute_partial_slices(len(samples), rate=1.3, min_coverage=0.75)
    short = max(0, waves[-1].stop - len(samples))
    spectrum = wav_to_mel_spectrogram(np.pad(samples, (0, short)))
    return [Given(spectrum[piece]) for piece in mels]


def _embed(one: Given) -> Array:
    """(1, 256)."""
    with torch.inference_mode():
        return _encoder()(torch.from_numpy(one.frames)[None]).numpy()


def _utterance(embeddings: list[Array]) -> Array:
    """Of an utterance, from those of its pieces."""
    mean = np.concatenate(embeddings).reshape(-1, 256).mean(axis=0)
    return mean / np.linalg.norm(mean)
