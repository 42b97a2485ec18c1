"""LibriSpeech-style folders:
<subset>/<speaker>/<chapter>/<speaker>-<chapter>.trans.txt with FLAC or WAV beside it.

Each line of a .trans.txt is `ID WORD WORD ...`; the sound is ID.flac or ID.wav. Subsets whose name
begins with train, dev and test are the three splits. Phones come from a pronunciation dictionary.
"""

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

from ernn.data.audio import read_audio
from ernn.data.content import files_digest
from ernn.data.corpus import (
    Corpus,
    Split,
    Unit,
    Utterance,
    checked,
    require_file,
    require_folder,
)
from ernn.data.pronounce import ARPABET, Pronunciations, cmu, read_pronunciations
from ernn.errors import UserError
from ernn.ground.reading import inside, read_lines

_SUBSET: dict[Split, str] = {"train": "train", "validation": "dev", "test": "test"}


@dataclass(frozen=True)
class LibriSpeech(Corpus):
    """A corpus in this layout under `root`.

    `dictionary`: file of `WORD PH PH` lines; without it, the CMU dictionary. An utterance with a
    word that is not in it has no phones: `refuse` makes that an error, `leave out` skips the
    utterance and counts it in the description.
    """

    root: Path
    dictionary: Path | None = None
    unknown_words: Literal["refuse", "leave out"] = "refuse"

    def __post_init__(self) -> None:
        if self.unknown_words not in ("refuse", "leave out"):
            raise UserError(f"unknown_words is 'refuse' or 'leave out', got {self.unknown_words!r}")

    @property
    def name(self) -> str:
        return "librispeech"

    @property
    def unit(self) -> Unit:
        return "phone"

    @property
    def label_set(self) -> tuple[str, ...]:
        return ARPABET

    @property
    def description(self) -> str:
        source = self.dictionary.name if self.dictionary else "the CMU dictionary"
        lines = [words for split in _SUBSET for _, words in self._lines(split)]
        left_out = sum(any(w not in self._words for w in words) for words in lines)
        return (
            f"LibriSpeech-style read English in {self._folder.name}, phones by {source} (first "
            f"pronunciation); {left_out} of {len(lines)} utterances have words outside it"
            + (" and are left out" if self.unknown_words == "leave out" and left_out else "")
            + "; LibriSpeech itself is CC BY 4.0"
        )

    @property
    def identity(self) -> str:
        sounds = [p for p in self._folder.rglob("*") if p.suffix in (".flac", ".wav", ".txt")]
        words = files_digest([self.dictionary]) if self.dictionary else ""
        return files_digest(sounds, self.name, self.unknown_words, words)

    def utterances(self, split: Split) -> list[Utterance]:
        """UserError if subset or sound is missing, or (`refuse`) a word has no pronunciation."""
        if not self._lines(split):
            pattern = f"{_SUBSET[split]}*/speaker/chapter/*.trans.txt"
            raise UserError(
                f"{self.name}: split {split!r} is empty: no {pattern} in {self._folder}"
            )
        known = ((path, words) for path, words in self._lines(split) if self._kept(path, words))
        return checked(
            self.name, split, ARPABET, (self._utterance(p, words, split) for p, words in known)
        )

    def _kept(self, sound: Path, words: list[str]) -> bool:
        missing = [word for word in words if word not in self._words]
        if missing and self.unknown_words == "refuse":
            raise UserError(
                f"{self.name}: word {missing[0]!r} of {sound.stem} is not in the dictionary; give "
                "a larger one, or unknown_words='leave out'"
            )
        return not missing

    def _utterance(self, stem: Path, words: list[str], split: Split) -> Utterance:
        flac, wav = (stem.with_name(stem.name + ending) for ending in (".flac", ".wav"))
        sound = require_file(self.name, wav if wav.is_file() else flac)
        phones = tuple(phone for word in words for phone in self._words[word])
        return Utterance(
            stem.name, stem.parent.parent.name, split, phones, partial(read_audio, sound)
        )

    def _lines(self, split: Split) -> list[tuple[Path, list[str]]]:
        """(path of the sound without its ending, words) of every transcript line, in order."""
        texts = sorted(self._folder.glob(f"{_SUBSET[split]}*/*/*/*.trans.txt"))
        return [
            self._line(text, where, *line.split())
            for text in texts
            for where, line in read_lines(text)
        ]

    def _line(self, text: Path, where: str, key: str, *words: str) -> tuple[Path, list[str]]:
        if Path(key).name != key:
            raise UserError(
                f"{self.name}: {where}: the id {key!r} is no file beside its transcript"
            )
        return inside(text.parent, key, f"{self.name}: {where}"), [word.upper() for word in words]

    @cached_property
    def _folder(self) -> Path:
        root = require_folder(self.name, self.root)
        return root / "LibriSpeech" if (root / "LibriSpeech").is_dir() else root

    @cached_property
    def _words(self) -> Pronunciations:
        return read_pronunciations(self.dictionary) if self.dictionary else cmu()
