"""speechocean762: non-native English, canonical phones; {train,test}.jsonl beside FLAC files.

Each line of the jsonl: id, speaker, path within the folder, phones (39 ARPAbet, no stress), ...
"""

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from ernn.data.audio import read_audio
from ernn.data.content import files_digest
from ernn.data.corpus import (
    Corpus,
    Split,
    Unit,
    Utterance,
    checked,
    hold_out,
    require_file,
    require_folder,
)
from ernn.data.pronounce import ARPABET
from ernn.errors import UserError
from ernn.ground.reading import inside, parse_json, read_lines


@dataclass(frozen=True)
class SpeechOcean(Corpus):
    """The corpus under `root`; `held_out` training speakers, by `seed`, are for validation."""

    root: Path
    held_out: int = 8
    seed: int = 0

    @property
    def name(self) -> str:
        return "speechocean762"

    @property
    def unit(self) -> Unit:
        return "phone"

    @property
    def label_set(self) -> tuple[str, ...]:
        return ARPABET

    @property
    def description(self) -> str:
        return (
            "speechocean762: English read by speakers of Mandarin, 16 kHz, canonical phones (what "
            f"should be said, not what was); official test speakers, validation = {self.held_out} "
            f"held-out training speakers (seed {self.seed}); free for commercial and other use, "
            "cite Zhang et al., Interspeech 2021"
        )

    @property
    def identity(self) -> str:
        lists = [self._folder / "train.jsonl", self._folder / "test.jsonl"]
        sounds = [
            u.read_audio.args[0]
            for u in self._train + self._test
            if isinstance(u.read_audio, partial)
        ]
        return files_digest([*lists, *sounds], self.name, self.held_out, self.seed)

    def utterances(self, split: Split) -> list[Utterance]:
        """UserError if a file is missing, a line is damaged or a phone unknown."""
        if split == "test":
            return checked(self.name, split, ARPABET, self._test)
        held = hold_out((u.speaker for u in self._train), self.held_out, self.seed)
        mine = (u for u in self._train if (u.speaker in held) == (split == "validation"))
        moved = (Utterance(u.id, u.speaker, split, u.labels, u.read_audio) for u in mine)
        return checked(self.name, split, ARPABET, moved)

    @cached_property
    def _folder(self) -> Path:
        return require_folder(self.name, self.root)

    @cached_property
    def _train(self) -> list[Utterance]:
        return self._read("train")

    @cached_property
    def _test(self) -> list[Utterance]:
        return self._read("test")

    def _read(self, split: Split) -> list[Utterance]:
        path = require_file(self.name, self._folder / f"{split}.jsonl")
        return [self._utterance(line, split, where) for where, line in read_lines(path)]

    def _utterance(self, line: str, split: Split, where: str) -> Utterance:
        item = parse_json(line, f"{self.name}: {where}")
        found = item if isinstance(item, dict) else {}
        key, speaker, path, phones = (found.get(k) for k in ("id", "speaker", "path", "phones"))
        named = isinstance(key, str | int) and isinstance(speaker, str | int)
        if not (named and isinstance(path, str) and isinstance(phones, str)):
            raise UserError(
                f"{self.name}: {where} lacks id, speaker, path or phones, or one is no text"
            )
        sound = require_file(self.name, inside(self._folder, path, f"{self.name}: {where}"))
        labels = tuple(phones.split())
        return Utterance(str(key), str(speaker), split, labels, partial(read_audio, sound))
