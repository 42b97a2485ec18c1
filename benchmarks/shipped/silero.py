"""silero-vad 6.2.3: whether someone speaks, every 32 ms, from samples; ONNX, state in and out."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from ernn.api import Model
from shipped.network import Array, Given, Part, Shipped
from shipped.sound import Sounds

THRESHOLD = 0.5
ZEROS = np.zeros((1, 1, 128), np.float32)


def load(speech: Sounds) -> Shipped:
    calibration, held_out = ([_frames(samples) for samples in part] for part in speech)

    def difference(models: Sequence[Model]) -> float:
        differ = [
            (models[0].predict(one.frames)["speech_probs"] > THRESHOLD)
            != (_speech(one) > THRESHOLD)
            for one in held_out
        ]
        return float(np.concatenate(differ).mean())

    file = Path(str(files("silero_vad") / "data" / "silero_vad_16k_sequence.onnx"))
    return Shipped(
        name="silero-vad",
        wheel="silero-vad 6.2.3",
        file=file.name,
        licence="MIT",
        device="ZU7EV",
        parts=(Part(file, calibration, held_out, _speech),),
        task="share of frames whose decision differs",
        difference=difference,
        limit=0.001,
    )


@cache
def _detector() -> Any:
    from silero_vad import load_silero_vad

    return load_silero_vad(sequence=True)


def _frames(samples: Array) -> Given:
    """Frames (time, 576): 512 samples, and the 64 before them."""
    from silero_vad.sequence_vad import frame_blocks

    return Given(np.concatenate(list(frame_blocks(samples, 512, 64, len(samples)))))


def _speech(one: Given) -> Array:
    """Probabilities (time,)."""
    given = {"input": one.frames, "h": ZEROS, "c": ZEROS}
    return _detector().session.run(["speech_probs"], given)[0]
