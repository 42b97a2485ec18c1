"""TIMIT's 61 phones, and their folding to 48 for training and 39 for scoring.

Source: Lee and Hon, "Speaker-independent phone recognition using hidden Markov models", IEEE Trans.
ASSP 37(11), 1989, table I; the glottal stop q is dropped in both.
"""

from typing import Literal

from ernn.errors import UserError

PhoneSet = Literal[61, 48, 39]

_TO_48 = {
    "ux": "uw", "axr": "er", "em": "m", "nx": "n", "eng": "ng", "hv": "hh", "ax-h": "ax",
    "pcl": "cl", "tcl": "cl", "kcl": "cl", "bcl": "vcl", "dcl": "vcl", "gcl": "vcl",
    "h#": "sil", "pau": "sil",
}  # fmt: skip
_TO_39 = {
    "cl": "sil", "vcl": "sil", "epi": "sil", "el": "l", "en": "n", "zh": "sh",
    "ao": "aa", "ix": "ih", "ax": "ah",
}  # fmt: skip

_PHONES = (
    "aa ae ah ao aw ax ax-h axr ay b bcl ch d dcl dh dx eh el em en eng epi er ey f g gcl h# hh hv "
    "ih ix iy jh k kcl l m n ng nx ow oy p pau pcl q r s sh t tcl th uh uw ux v w y z zh"
)
PHONES_61 = tuple(_PHONES.split())


def fold(phone: str, size: PhoneSet) -> str | None:
    """The class of a phone of the 61 in the set of `size`, None for q in 48, 39; else UserError."""
    if phone not in PHONES_61:
        raise UserError(f"{phone!r} is not one of TIMIT's 61 phones")
    if size == 61:
        return phone
    if phone == "q":
        return None
    coarse = _TO_48.get(phone, phone)
    return coarse if size == 48 else _TO_39.get(coarse, coarse)


def phone_set(size: PhoneSet) -> tuple[str, ...]:
    """The classes, sorted; UserError for a size other than 61, 48 or 39."""
    if size not in (61, 48, 39):
        raise UserError(f"TIMIT's phone sets have 61, 48 or 39 classes, not {size}")
    return tuple(
        sorted({folded for phone in PHONES_61 if (folded := fold(phone, size)) is not None})
    )
