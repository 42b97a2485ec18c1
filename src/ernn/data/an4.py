"""CMU AN4 (census): Sphinx cepstra, with phones through the corpus's own dictionary.

Layout: etc/an4_{train,test}.{fileids,transcription}, etc/an4.dic, feat/<fileid>.mfc. An .mfc file
is one 4-byte integer, the number of floats that follow, then float32 [frames, 13]; its byte order
is the one in which that count fits the file.
"""

import re
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from ernn.data.content import files_digest
from ernn.data.corpus import (
    Corpus,
    FloatArray,
    Split,
    Unit,
    Utterance,
    checked,
    hold_out,
    require_file,
    require_folder,
)
from ernn.errors import UserError
from ernn.ground.reading import inside, read_lines

CEPSTRA = 13
_SILENT = ("<s>", "</s>", "<sil>")


def read_cepstra(path: Path) -> FloatArray:
    """float32 [frames, 13] of a Sphinx feature file; UserError if count and size disagree."""
    size = require_file("an4", path).stat().st_size
    with path.open("rb") as stream:
        head = stream.read(4)
        order = next(
            (
                o
                for o in ("<", ">")
                if len(head) == 4 and 4 * int(np.frombuffer(head, f"{o}i4")[0]) == size - 4
            ),
            None,
        )
        if order is None or size == 4 or (size - 4) % (4 * CEPSTRA):
            raise UserError(
                f"an4: {path} is truncated or no cepstra file: {size} bytes are not [frames, "
                f"{CEPSTRA}]"
            )
        values = np.frombuffer(stream.read(size - 4), dtype=f"{order}f4").astype(np.float32)
    if not np.isfinite(values).all():
        raise UserError(f"an4: {path} holds values that are not finite")
    return values.reshape(-1, CEPSTRA)


def read_dictionary(path: Path) -> dict[str, tuple[str, ...]]:
    """Word -> phones of its first pronunciation, of a Sphinx dictionary (others: `WORD(2)`)."""
    words: dict[str, tuple[str, ...]] = {}
    for line in (text.split() for _, text in read_lines(require_file("an4", path))):
        if len(line) >= 2 and not re.search(r"\(\d+\)$", line[0]):
            words.setdefault(line[0], tuple(line[1:]))
    if not words:
        raise UserError(f"an4: dictionary {path} is empty")
    return words


@dataclass(frozen=True)
class An4(Corpus):
    """AN4 under `root`; `held_out` training speakers, drawn by `seed`, make the validation split.

    Speakers such as mdcs and mdcs2, which may be one person's two sessions, stay on the same side.
    """

    root: Path
    held_out: int = 8
    seed: int = 0

    @property
    def name(self) -> str:
        return "an4"

    @property
    def unit(self) -> Unit:
        return "phone"

    @property
    def frame_ms(self) -> float:
        return 10.0

    @property
    def description(self) -> str:
        return (
            "CMU AN4: spelled names, numbers and commands read by 84 speakers, 13 Sphinx cepstra "
            "per 10 ms; phones through its dictionary; official test speakers, validation = "
            f"{self.held_out} held-out training speakers (seed {self.seed}); free for any use, CMU "
            "notice and disclaimer to be kept"
        )

    @property
    def label_set(self) -> tuple[str, ...]:
        """The phones of the dictionary's first pronunciations."""
        return tuple(sorted({phone for phones in self._dictionary.values() for phone in phones}))

    @property
    def identity(self) -> str:
        features = sorted((self._folder / "feat").rglob("*.mfc"))
        texts = sorted((self._folder / "etc").glob("*"))
        return files_digest([*features, *texts], self.name, self.held_out, self.seed)

    def utterances(self, split: Split) -> list[Utterance]:
        """UserError if a file is missing or a word is not in the dictionary."""
        if split == "test":
            return checked(self.name, split, self.label_set, self._listed("test", split))
        held, listed = self._validation_speakers, self._listed("train", split)
        mine = (u for u in listed if (_person(u.speaker) in held) == (split == "validation"))
        return checked(self.name, split, self.label_set, mine)

    def _listed(self, part: str, split: Split) -> list[Utterance]:
        texts = self._transcripts(part)
        return [self._utterance(fileid, texts, split) for fileid in self._fileids(part)]

    def _utterance(self, fileid: str, texts: dict[str, list[str]], split: Split) -> Utterance:
        key = fileid.rsplit("/", 1)[-1]
        if key not in texts:
            raise UserError(f"an4: {fileid} has no line in the transcription")
        path = require_file(self.name, self._folder / "feat" / f"{fileid}.mfc")
        return Utterance(
            key,
            _speaker(fileid),
            split,
            self._phones(key, texts[key]),
            None,
            partial(read_cepstra, path),
        )

    def _phones(self, key: str, words: list[str]) -> tuple[str, ...]:
        if missing := [word for word in words if word not in self._dictionary]:
            raise UserError(f"an4: word {missing[0]!r} of {key} is not in etc/an4.dic")
        return tuple(phone for word in words for phone in self._dictionary[word])

    def _fileids(self, part: str) -> list[str]:
        path = require_file(self.name, self._folder / "etc" / f"an4_{part}.fileids")
        ids = []
        for where, line in read_lines(path):
            fileid = line.strip()
            inside(self._folder / "feat", fileid, f"an4: {where}")
            if "/" not in fileid.strip("/"):
                raise UserError(f"an4: {where} lists {fileid!r}; expected folder/speaker/utterance")
            ids.append(fileid)
        return ids

    def _transcripts(self, part: str) -> dict[str, list[str]]:
        path = require_file(self.name, self._folder / "etc" / f"an4_{part}.transcription")
        lines = (line.strip().rpartition("(") for _, line in read_lines(path))
        return {
            key[:-1]: [word for word in words.split() if word not in _SILENT]
            for words, _, key in lines
            if key.endswith(")")
        }

    @cached_property
    def _folder(self) -> Path:
        return require_folder(self.name, self.root)

    @cached_property
    def _dictionary(self) -> dict[str, tuple[str, ...]]:
        return read_dictionary(self._folder / "etc" / "an4.dic")

    @cached_property
    def _validation_speakers(self) -> frozenset[str]:
        return hold_out(
            (_person(_speaker(f)) for f in self._fileids("train")), self.held_out, self.seed
        )


def _speaker(fileid: str) -> str:
    return fileid.split("/")[-2]


def _person(speaker: str) -> str:
    return speaker.rstrip("0123456789")
