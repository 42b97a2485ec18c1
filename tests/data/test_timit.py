"""TIMIT on miniatures in its documented layouts."""

from pathlib import Path

import numpy as np
import pytest
from miniature import riff, sphere, tone

from ernn.cli.app import run
from ernn.data.corpus import SPLITS
from ernn.data.timit import CORE_TEST, DEVELOPMENT, Timit
from ernn.data.timit_phones import PHONES_61, fold, phone_set
from ernn.errors import UserError
from ernn.pipeline.defaults import recipe_for

# Kaldi's egs/timit/s5/conf/phones.60-48-39.map, of the same table by Lee and Hon, where a phone
# changes.
KALDI_48 = (
    "ax-h:ax axr:er bcl:vcl dcl:vcl em:m eng:ng gcl:vcl h#:sil hv:hh kcl:cl nx:n pau:sil pcl:cl "
    "tcl:cl ux:uw"
)
KALDI_39 = (
    "ao:aa ax:ah ax-h:ah axr:er bcl:sil dcl:sil el:l em:m en:n eng:ng epi:sil gcl:sil h#:sil hv:hh "
    "ix:ih kcl:sil nx:n pau:sil pcl:sil tcl:sil ux:uw zh:sh"
)
PHN = (
    "0 800 h#\n800 1600 sh\n1600 2400 ix\n2400 3000 dcl\n3000 3500 q\n3500 4000 zh\n4000 4800 h#\n"
)


@pytest.mark.parametrize(("size", "table"), [(48, KALDI_48), (39, KALDI_39)])
def test_folding_is_lee_and_hons(size, table: str) -> None:
    changed = dict(pair.split(":") for pair in table.split())
    for phone in PHONES_61:
        assert fold(phone, size) == (None if phone == "q" else changed.get(phone, phone))
    assert len(phone_set(size)) == size and len(phone_set(61)) == len(PHONES_61) == 61


def test_the_standard_speakers() -> None:
    assert len(CORE_TEST) == 24 and len(DEVELOPMENT) == 50 and not CORE_TEST & DEVELOPMENT
    assert sum(s[0] == "f" for s in CORE_TEST) == 8


def write(folder: Path, sentence: str, content: bytes, upper: bool, doubled: bool = False) -> None:
    case = str.upper if upper else str.lower
    folder.mkdir(parents=True, exist_ok=True)
    (folder / case(f"{sentence}.phn")).write_text(PHN)
    (folder / (case(f"{sentence}.wav") + (".wav" if doubled else ""))).write_bytes(content)


SPEAKERS = [
    ("train", "dr1", "fcjf0"),
    ("train", "dr2", "marc0"),
    ("test", "dr1", "mdab0"),
    ("test", "dr1", "felc0"),
    ("test", "dr3", "faks0"),
    ("test", "dr3", "mxyz0"),
]


def ldc(root: Path, upper: bool, content: bytes, speakers=SPEAKERS, doubled: bool = False) -> Path:
    case = str.upper if upper else str.lower
    for part, region, speaker in speakers:
        for sentence in ("sa1", "sx127", "si648"):
            write(
                root / case(part) / case(region) / case(speaker), sentence, content, upper, doubled
            )
    return root


@pytest.mark.parametrize("upper", [True, False], ids=["upper", "lower"])
@pytest.mark.parametrize("content", [sphere(tone()), riff(tone())], ids=["sphere", "riff"])
@pytest.mark.parametrize("inside", ["", "TIMIT", "LDC93S1/timit"])
def test_ldc_layout(upper: bool, content: bytes, inside: str, tmp_path) -> None:
    ldc(tmp_path / inside, upper, content)
    (tmp_path / inside / "doc").mkdir()
    corpus = Timit(tmp_path)
    found = {split: corpus.utterances(split) for split in SPLITS}
    assert {u.speaker for u in found["train"]} == {"fcjf0", "marc0"}
    # Core speakers only: neither faks0 nor mxyz0.
    assert {u.speaker for u in found["test"]} == {
        "mdab0",
        "felc0",
    }
    assert {u.speaker for u in found["validation"]} == {"faks0"}
    assert not any("-sa" in u.id for s in SPLITS for u in found[s])
    first = found["train"][0]
    # The glottal stop q is dropped.
    assert first.id == "fcjf0-si648" and first.labels == (
        "sil",
        "sh",
        "ih",
        "sil",
        "sh",
        "sil",
    )
    assert [s.label for s in first.alignment or ()] == ["sil", "sh", "ih", "sil", "q", "sh", "sil"]
    samples, rate = first.samples()
    assert rate == 16000
    np.testing.assert_array_equal(samples * 32768, tone())


def test_copies_called_wav_wav(tmp_path) -> None:
    ldc(tmp_path / "data", True, riff(tone()), doubled=True)
    assert len(Timit(tmp_path).utterances("train")[0].samples()[0]) == len(tone())


def test_other_phone_sets(tmp_path) -> None:
    ldc(tmp_path, True, riff(tone()))
    assert Timit(tmp_path, 48).utterances("test")[0].labels == (
        "sil",
        "sh",
        "ix",
        "vcl",
        "zh",
        "sil",
    )
    assert Timit(tmp_path, 61).utterances("test")[0].labels == (
        "h#",
        "sh",
        "ix",
        "dcl",
        "q",
        "zh",
        "h#",
    )
    with pytest.raises(UserError, match="61, 48 or 39"):
        Timit(tmp_path, 40)  # pyright: ignore[reportArgumentType]


def test_without_development_speakers_training_speakers_are_held_out(tmp_path) -> None:
    train = [("train", "dr1", f"m{i:02d}x0") for i in range(20)]
    corpus = Timit(ldc(tmp_path, False, riff(tone()), [*train, ("test", "dr1", "mdab0")]))
    held, rest = ({u.speaker for u in corpus.utterances(s)} for s in ("validation", "train"))
    assert len(held) == 2 and len(rest) == 18 and not held & rest
    assert "held-out training speakers" in corpus.description
    assert {u.speaker for u in Timit(tmp_path, seed=1).utterances("validation")} != held


def test_nltk_sample_layout(tmp_path) -> None:
    names = [f"dr{i % 8 + 1}-{'mf'[i % 2]}sp{i}0" for i in range(16)]
    for name in names:
        for sentence in ("sa1", "sa2", "si1", "sx2"):
            write(tmp_path / name, sentence, riff(tone()), upper=False)
    corpus = Timit(tmp_path)
    speakers = [{u.speaker for u in corpus.utterances(split)} for split in SPLITS]
    assert [len(s) for s in speakers] == [10, 3, 3]
    assert len(set.union(*speakers)) == 16  # disjoint
    assert sum(len(corpus.utterances(s)) for s in SPLITS) == 32  # no SA
    assert "not the standard ones" in corpus.description


def test_bad_folders_are_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        Timit(tmp_path / "none").utterances("train")
    with pytest.raises(UserError, match=r"no \.PHN file"):
        Timit(tmp_path).utterances("train")
    ldc(tmp_path, True, riff(tone()), [("train", "dr1", "fcjf0"), ("train", "dr1", "marc0")])
    with pytest.raises(UserError, match="split 'test' is empty"):
        Timit(tmp_path).utterances("test")
    (tmp_path / "TRAIN" / "DR1" / "FCJF0" / "SX127.WAV").unlink()
    (tmp_path / "TRAIN" / "DR1" / "MARC0" / "SX127.WAV").unlink()
    with pytest.raises(UserError, match=r"has no sx127\.wav"):
        Timit(tmp_path).utterances("train")


@pytest.mark.parametrize("line", ["0 800", "0 x sh", "0 800 zzz", "800 200 sh"])
def test_bad_phone_lines_are_named(line: str, tmp_path) -> None:
    ldc(tmp_path, True, riff(tone()))
    (tmp_path / "TEST" / "DR1" / "MDAB0" / "SX127.PHN").write_text(f"0 10 h#\n{line}\n")
    with pytest.raises(UserError, match=r"line 2|start <= end"):
        Timit(tmp_path).utterances("test")


MINIATURE = """
[[layers]]
cell = "lstm"
hidden = 32
projection = 16
peepholes = true
[dense]
epochs = 1
[admm]
epochs = 1
[retrain]
epochs = 1
"""


def test_the_recipe_on_a_miniature(tmp_path) -> None:
    """From TIMIT's folder to a block-circulant network by the recipe that its
    owner would use, but for its size.
    """
    root = ldc(tmp_path / "timit", True, sphere(tone()))
    recipe = recipe_for(Timit(root))
    assert [(one.hidden, one.projection, one.peepholes) for one in recipe.layers] == [
        (1024, 512, True)
    ] * 2
    (tmp_path / "small.toml").write_text(MINIATURE)
    small = ["--recipe", str(tmp_path / "small.toml")]
    assert (
        run(
            [
                "train",
                "--corpus",
                "timit",
                "--root",
                str(root),
                "--out",
                str(tmp_path / "run"),
                *small,
            ]
        )
        == 0
    )
    assert run(["compress", str(tmp_path / "run"), *small]) == 0
    assert (tmp_path / "run" / "compressed.safetensors").is_file()
