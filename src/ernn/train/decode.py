"""From a network's outputs to answers; of CTC by the best path, or by prefix beam search."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ernn.data.batches import BLANK
from ernn.data.objective import Classification, Detection, Objective, Transcription
from ernn.errors import UserError

Outputs = npt.NDArray[Any]
"""(frames, outputs): of CTC logits, log-probabilities or a quantized model's integers; 0: blank."""

Decoder = Callable[[Outputs], tuple[int, ...]]
Answer = tuple[int, ...] | npt.NDArray[Any]
"""Labels, or an array (1 or frames,) of classes, (1 or frames, names) of yes and no or numbers."""


def answer(objective: Objective, outputs: Outputs, decoder: Callable[[Outputs], Any]) -> Answer:
    """What a network says of one sequence; what a host does with the engine's outputs.

    outputs: (frames, outputs) in the network's own numbers, of at least one frame.
    """
    if isinstance(objective, Transcription):
        return decoder(outputs)
    if objective.per == "sequence":
        outputs = outputs[-1:] if objective.read == "last" else outputs.mean(0, keepdims=True)
    match objective:
        case Classification():
            return outputs.argmax(axis=1)
        case Detection():
            return outputs > 0
        case _:
            return outputs


def greedy(scores: Outputs) -> tuple[int, ...]:
    """The best class of every frame, repeats merged, blanks dropped."""
    best = np.asarray(scores).argmax(axis=1)
    first = np.ones(len(best), bool)
    first[1:] = best[1:] != best[:-1]
    return tuple(int(label) for label in best[first & (best != BLANK)])


def beam_search(scores: Outputs, width: int = 10, scale: float = 1.0) -> tuple[int, ...]:
    """The most probable labelling over all alignments, among `width` prefixes (fast-ctc-decode).

    `scale` turns integer scores into logits; floats are logits or log-probabilities as they are.
    Raises UserError where width is below 1.
    """
    from fast_ctc_decode import beam_search as search  # type: ignore[attr-defined]

    if width < 1:
        raise UserError(f"beam width must be at least 1, not {width}")
    probabilities = _softmax(np.asarray(scores, np.float64) * scale).astype(np.float32)
    if len(probabilities) == 0:
        return ()
    # The library joins labels into one string: one private character for each class keeps them
    # apart.
    alphabet = [chr(0xE000 + index) for index in range(probabilities.shape[1])]
    text, _ = search(probabilities, alphabet, beam_size=width, beam_cut_threshold=0.0)
    return tuple(ord(character) - 0xE000 for character in text)


def _softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, initial=0.0, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
