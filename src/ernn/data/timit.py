"""TIMIT (LDC93S1): phones with their times, in either layout found in practice.

LDC layout: TRAIN/DR1/FCJF0/SA1.WAV with SA1.PHN beside it, TEST likewise, names in either
letter case. NLTK sample layout: dr1-fvmh0/sa1.wav with sa1.phn. Either is looked for in
`root` and up to two folders below it. Sound is NIST SPHERE or RIFF whatever the name says
(copies may be called SA1.WAV.wav).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from ernn.data.audio import read_audio
from ernn.data.content import files_digest
from ernn.data.corpus import (
    Corpus,
    Segment,
    Split,
    Unit,
    Utterance,
    checked,
    hold_out,
    require_folder,
)
from ernn.data.timit_phones import PHONES_61, PhoneSet, fold, phone_set
from ernn.errors import UserError, one_line
from ernn.ground.reading import read_lines, whole_number

_CORE_TEST = (
    "mdab0 mwbt0 felc0 mtas1 mwew0 fpas0 mjmp0 mlnt0 fpkt0 mlll0 mtls0 fjlm0 "
    "mbpm0 mklt0 fnlp0 mcmj0 mjdh0 fmgd0 mgrt0 mnjm0 fdhc0 mjln0 mpam0 fmld0"
)
CORE_TEST = frozenset(_CORE_TEST.split())
"""The core test set of TIMIT's documentation: two men and one woman of each dialect region."""

_DEVELOPMENT = (
    "faks0 fdac1 fjem0 mgwt0 mjar0 mmdb1 mmdm2 mpdf0 fcmh0 fkms0 mbdg0 mbwm0 mcsh0 fadg0 fdms0 "
    "fedw0 mgjf0 mglb0 mrtk0 mtaa0 mtdt0 mthc0 mwjg0 fnmr0 frew0 fsem0 mbns0 mmjr0 mdls0 mdlf0 "
    "mdvc0 mers0 fmah0 fdrw0 mrcs0 mrjm4 fcal1 mmwh0 fjsj0 majc0 mjsw0 mreb0 fgjd0 fjmg0 mroa0 "
    "mteb0 mjfc0 mrjr0 fmml0 mrws1"
)
DEVELOPMENT = frozenset(_DEVELOPMENT.split())
"""The 50 development speakers of the complete test set (Halberstadt 1998), as in Kaldi."""


@dataclass(frozen=True)
class _Entry:
    """One sentence on disk; `part` is train, test, or sample (NLTK layout)."""

    part: str
    speaker: str
    sentence: str
    phones: Path


@dataclass(frozen=True)
class Timit(Corpus):
    """TIMIT under `root`, with 61, 48 or 39 phone classes; SA sentences are in no split.

    LDC layout: test = the 24 core speakers, validation = the 50 development speakers (where none of
    them is there, held-out training speakers), train = the others of TRAIN. NLTK sample: it holds
    too few speakers for the standard sets, so speakers drawn by `seed` make test and validation (a
    fifth each); not comparable with published figures.
    """

    root: Path
    phones: PhoneSet = 39
    seed: int = 0

    def __post_init__(self) -> None:
        phone_set(self.phones)

    @property
    def name(self) -> str:
        return "timit"

    @property
    def unit(self) -> Unit:
        return "phone"

    @property
    def label_set(self) -> tuple[str, ...]:
        return phone_set(self.phones)

    @property
    def description(self) -> str:
        sets = ", ".join(f"{split} {len(speakers)}" for split, speakers in self._speakers.items())
        return (
            f"TIMIT (LDC93S1, licensed by the LDC), 16 kHz read speech, {self.phones} phone "
            f"classes (Lee and Hon), no SA sentences; {self._rule}; speakers found: {sets}"
        )

    @property
    def identity(self) -> str:
        files = [f for e in self._entries for f in (e.phones, _sound(e.phones))]
        return files_digest(files, self.name, self.phones, self.seed)

    def utterances(self, split: Split) -> list[Utterance]:
        """UserError: an empty split, a missing file, a .PHN line that is not `start end phone`."""
        part = self._parts[split]
        mine = (e for e in self._entries if e.speaker in self._speakers[split] and e.part == part)
        return checked(self.name, split, self.label_set, (self._utterance(e, split) for e in mine))

    def _utterance(self, entry: _Entry, split: Split) -> Utterance:
        segments = read_phones(entry.phones)
        folded = tuple(
            Segment(s.start, s.end, fold(s.label, self.phones) or s.label) for s in segments
        )
        labels = tuple(f for s in segments if (f := fold(s.label, self.phones)) is not None)
        read = partial(read_audio, _sound(entry.phones))
        return Utterance(
            f"{entry.speaker}-{entry.sentence}",
            entry.speaker,
            split,
            labels,
            read,
            alignment=folded,
        )

    @cached_property
    def _entries(self) -> list[_Entry]:
        found = [
            e
            for e in _find(require_folder(self.name, self.root))
            if not e.sentence.startswith("sa")
        ]
        if not found:
            raise UserError(
                f"timit: no .PHN file under {self.root} in TRAIN/DR1/FCJF0/ (LDC) or dr1-fvmh0/ "
                "(NLTK sample); give the folder that holds TRAIN and TEST, or dr1-*"
            )
        return sorted(found, key=lambda e: (e.part, e.speaker, e.sentence))

    @cached_property
    def _by_part(self) -> dict[str, frozenset[str]]:
        return {
            p: frozenset(e.speaker for e in self._entries if e.part == p)
            for p in ("train", "test", "sample")
        }

    @cached_property
    def _held_from_train(self) -> bool:
        return not self._by_part["sample"] and not self._by_part["test"] & DEVELOPMENT

    @cached_property
    def _parts(self) -> dict[Split, str]:
        """Where on disk each split's speakers are."""
        if self._by_part["sample"]:
            return {"train": "sample", "validation": "sample", "test": "sample"}
        return {
            "train": "train",
            "validation": "train" if self._held_from_train else "test",
            "test": "test",
        }

    @cached_property
    def _speakers(self) -> dict[Split, frozenset[str]]:
        train, test, sample = (self._by_part[p] for p in ("train", "test", "sample"))
        if sample:
            held = _held(sample, 5, self.seed)
            second = _held(sample - held, 4, self.seed + 1)
            return {"train": sample - held - second, "validation": second, "test": held}
        if self._held_from_train:
            held = _held(train, 10, self.seed)
            return {"train": train - held, "validation": held, "test": test & CORE_TEST}
        return {"train": train, "validation": test & DEVELOPMENT, "test": test & CORE_TEST}

    @property
    def _rule(self) -> str:
        if self._by_part["sample"]:
            return (
                f"NLTK sample: splits are disjoint in speakers, drawn by seed {self.seed}, not the "
                "standard ones"
            )
        held = (
            f"held-out training speakers (seed {self.seed})"
            if self._held_from_train
            else "50 development speakers"
        )
        return f"test = 24 core speakers, validation = {held}"


def read_phones(path: Path) -> list[Segment]:
    """Lines `start end phone` (samples) of a .PHN file; UserError naming a wrong line."""
    segments: list[Segment] = []
    for where, line in read_lines(path):
        fields = line.split()
        if len(fields) != 3 or fields[2].lower() not in PHONES_61:
            raise UserError(
                f"timit: {where}: expected 'start end phone' with one of 61 phones, got "
                f"{one_line(line)!r}"
            )
        start, end = (whole_number(field, f"timit: {where}") for field in fields[:2])
        segments.append(Segment(start, end, fields[2].lower()))
        if len(segments) > 1 and segments[-1].start < segments[-2].start:
            raise UserError(f"timit: {where}: starts before the line above it")
    if not segments:
        raise UserError(f"timit: {path} is empty")
    return segments


def _held(speakers: frozenset[str], one_in: int, seed: int) -> frozenset[str]:
    if len(speakers) < 2:
        return frozenset()
    return hold_out(speakers, max(1, len(speakers) // one_in), seed)


def _find(root: Path) -> list[_Entry]:
    """Every sentence in the nearest folder that has one of the two layouts."""
    for base in _bases(root):
        if found := [*_ldc(base), *_nltk(base)]:
            return found
    return []


def _ldc(base: Path) -> Iterator[_Entry]:
    for top in _folders(base):
        if (part := top.name.lower()) in ("train", "test"):
            for region in _folders(top):
                if region.name.lower().startswith("dr"):
                    for speaker in _folders(region):
                        yield from _sentences(part, speaker.name, speaker)


def _nltk(base: Path) -> Iterator[_Entry]:
    for folder in _folders(base):
        region, _, speaker = folder.name.lower().partition("-")
        if speaker and region.startswith("dr"):
            yield from _sentences("sample", speaker, folder)


def _bases(root: Path) -> list[Path]:
    """`root` and the folders up to two levels below it, the nearest first."""
    below = _folders(root)
    return [root, *below, *(deeper for folder in below for deeper in _folders(folder))]


def _folders(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))


def _sentences(part: str, speaker: str, folder: Path) -> Iterator[_Entry]:
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() == ".phn" and not path.name.startswith("."):
            yield _Entry(part, speaker.lower(), path.stem.lower(), path)


def _sound(phones: Path) -> Path:
    """The sound beside a .PHN file: its stem with .WAV in either case, or the copy .WAV.wav."""
    names = {p.name.lower(): p for p in phones.parent.iterdir()}
    stem = phones.stem.lower()
    for ending in (".wav", ".wav.wav", ".sph"):
        if f"{stem}{ending}" in names:
            return names[f"{stem}{ending}"]
    raise UserError(f"timit: {phones} has no {stem}.wav beside it")
