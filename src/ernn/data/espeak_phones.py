"""espeak-ng's phonemes of American English, with times, folded to 39 ARPAbet phones and silence."""

from ernn.data.corpus import Segment
from ernn.errors import UserError

SILENCE = "sil"

_FOLD = {
    # consonants
    "b": "B", "tS": "CH", "d": "D", "D": "DH", "f": "F", "g": "G", "h": "HH", "dZ": "JH", "k": "K",
    "l": "L", "m": "M", "n": "N", "N": "NG", "p": "P", "r": "R", "s": "S", "S": "SH", "t": "T",
    "T": "TH", "v": "V", "w": "W", "j": "Y", "z": "Z", "Z": "ZH",
    # a flapped, unreleased or glottal t; syllabic n and l; linking r; the ch of loch; dark l
    "t#": "T", "t2": "T", "?": "T", "n-": "N", "@L": "AH L", "r-": "R", "x": "K", "l#": "L",
    # vowels
    "A:": "AA", "0": "AA", "a": "AE", "aa": "AE", "V": "AH", "@": "AH", "a#": "AH", "@2": "AH",
    "@-": "AH", "O:": "AO", "O2": "AO", "O": "AO", "aU": "AW", "aI": "AY", "E": "EH", "3": "ER",
    "3:": "ER", "eI": "EY", "I": "IH", "I2": "IH", "I#": "IH", "i": "IY", "i:": "IY", "oU": "OW",
    "OI": "OY", "U": "UH", "u:": "UW",
    # vowels that end in r, or glide
    "A@": "AA R", "o@": "AO R", "O@": "AO R", "e@": "EH R", "i@3": "IH R", "U@": "UH R", "i@": "IH",
    "aI3": "AY ER", "aI@": "AY AH",
    # nasal and plain vowels of borrowed words
    "A~": "AA", "O~": "AO", "o": "OW",
}  # fmt: skip

_JOINED = frozenset((";",))
"""Marks without a sound of their own: the glide between vowels, part of the phone before it."""


def segments(events: list[tuple[int, str]], length: int) -> tuple[Segment, ...]:
    """Phones that cover samples [0, length) without gap, from events (start, phoneme with stress).

    What comes before the first event is silence. A phoneme that folds to two phones is
    divided in the middle; the R of such a pair is left to a following r, where there is one.
    UserError for a phoneme without a class.
    """
    kept = [(start, name) for start, mark in events if (name := mark.lstrip("',%=")) not in _JOINED]
    starts = [min(start, length) for start, _ in kept] + [length]
    phones = [SILENCE] + [p for i in range(len(kept)) for p in _fold(kept, i)]
    bounds = [0] + [
        b for i in range(len(kept)) for b in _bounds(starts[i], starts[i + 1], len(_fold(kept, i)))
    ]
    return _merged(
        [
            Segment(a, b, p)
            for a, b, p in zip(bounds, [*bounds[1:], length], phones, strict=True)
            if b > a
        ]
    )


def labels(found: tuple[Segment, ...]) -> tuple[str, ...]:
    """The phones without silence."""
    return tuple(s.label for s in found if s.label != SILENCE)


def _fold(events: list[tuple[int, str]], at: int) -> list[str]:
    name = events[at][1]
    if name.startswith("_"):
        return [SILENCE]
    if name not in _FOLD:
        raise UserError(
            f"espeak: phoneme {name!r} has no class; a voice other than American English?"
        )
    phones = _FOLD[name].split()
    followed = at + 1 < len(events) and events[at + 1][1] in ("r", "r-")
    return phones[:1] if followed and phones[1:] == ["R"] else phones


def _bounds(start: int, end: int, parts: int) -> list[int]:
    return [start + (end - start) * part // parts for part in range(parts)]


def _merged(found: list[Segment]) -> tuple[Segment, ...]:
    """Neighbouring pauses as one."""
    out: list[Segment] = []
    for segment in found:
        if out and out[-1].label == segment.label == SILENCE:
            out[-1] = Segment(out[-1].start, segment.end, SILENCE)
        else:
            out.append(segment)
    return tuple(out)
