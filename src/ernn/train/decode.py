"""From scores per frame to labels: greedy, and prefix beam search."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ernn.data.batches import BLANK
from ernn.errors import UserError

Scores = npt.NDArray[Any]
"""(frames, classes): logits, log-probabilities or a quantized model's integers; class 0: blank."""

Decoder = Callable[[Scores], tuple[int, ...]]


def greedy(scores: Scores) -> tuple[int, ...]:
    """The best class of every frame, repeats merged, blanks dropped."""
    best = np.asarray(scores).argmax(axis=1)
    first = np.ones(len(best), bool)
    first[1:] = best[1:] != best[:-1]
    return tuple(int(label) for label in best[first & (best != BLANK)])


def beam_search(scores: Scores, width: int = 10, scale: float = 1.0) -> tuple[int, ...]:
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
