"""AN4 on a miniature and, where it is, the real corpus."""

from pathlib import Path

import numpy as np
import pytest
from miniature import corpora_with

from ernn.data.an4 import An4, read_cepstra
from ernn.data.corpus import SPLITS
from ernn.errors import UserError


def mfc(frames: np.ndarray, order: str) -> bytes:
    return np.array([frames.size], f"{order}i4").tobytes() + frames.astype(f"{order}f4").tobytes()


def frames_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(40 + seed, 13)).astype(np.float32)


def write_an4(root: Path) -> Path:
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "an4.dic").write_text("A  AH\nA(2)  EY\nYES   Y EH S\nNO\tN OW\n")
    for part, folder, speakers in (
        ("train", "an4_clstk", [f"m{i:02d}a" for i in range(12)]),
        ("test", "an4test_clstk", ["fzz", "mzz"]),
    ):
        ids = [f"{folder}/{s}/{u}-{s}-b" for s in speakers for u in ("an1", "cen2")]
        (root / "etc" / f"an4_{part}.fileids").write_text("\n".join(ids) + "\n")
        lines = [f"<s> YES A </s> ({i.split('/')[-1]})" for i in ids]
        (root / "etc" / f"an4_{part}.transcription").write_text("\n".join(lines) + "\n")
        for number, fileid in enumerate(ids):
            path = root / "feat" / f"{fileid}.mfc"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(mfc(frames_of(number), "<>"[number % 2]))
    return root


def test_miniature(tmp_path) -> None:
    corpus = An4(write_an4(tmp_path), held_out=3)
    assert corpus.label_set == ("AH", "EH", "N", "OW", "S", "Y")
    speakers = [{u.speaker for u in corpus.utterances(split)} for split in SPLITS]
    assert [len(s) for s in speakers] == [9, 3, 2] and len(set.union(*speakers)) == 14
    for number, u in enumerate(corpus.utterances("test")):
        assert u.labels == ("Y", "EH", "S", "AH")
        np.testing.assert_array_equal(u.features(), frames_of(number))  # either byte order
    with pytest.raises(UserError, match="no samples"):
        corpus.utterances("test")[0].samples()


def test_validation_is_drawn_by_the_seed(tmp_path) -> None:
    root = write_an4(tmp_path)
    held = [{u.speaker for u in An4(root, 3, seed).utterances("validation")} for seed in (0, 0, 1)]
    assert held[0] == held[1] != held[2]
    assert An4(root, 3, 0).identity == An4(root, 3, 0).identity != An4(root, 3, 1).identity


@pytest.mark.parametrize("root", corpora_with("an4_cepstra"))
def test_real(root: Path) -> None:
    corpus = An4(root)
    found = {split: corpus.utterances(split) for split in SPLITS}
    assert len(found["train"]) + len(found["validation"]) == 948 and len(found["test"]) == 130
    assert len(corpus.label_set) == 33
    assert sum(len(u.labels) for u in found["test"]) == 2040
    assert sum(len(u.labels) for s in ("train", "validation") for u in found[s]) == 14313
    sides = [{u.speaker.rstrip("0123456789") for u in found[s]} for s in SPLITS]
    assert not (sides[0] & sides[1] | sides[0] & sides[2] | sides[1] & sides[2])
    assert sum(len(u.features()) for u in found["test"]) == pytest.approx(5.93 * 6000, rel=0.002)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0",
        mfc(frames_of(0), "<")[:-4],
        mfc(np.zeros((0, 13)), "<"),
        mfc(np.zeros(12), "<"),
        b"\xff" * 56,
    ],
)
def test_damaged_cepstra_are_refused(content: bytes, tmp_path) -> None:
    (tmp_path / "x.mfc").write_bytes(content)
    with pytest.raises(UserError, match="truncated or no cepstra"):
        read_cepstra(tmp_path / "x.mfc")


def test_not_finite_cepstra_are_refused(tmp_path) -> None:
    (tmp_path / "x.mfc").write_bytes(mfc(np.full((2, 13), np.nan), "<"))
    with pytest.raises(UserError, match="not finite"):
        read_cepstra(tmp_path / "x.mfc")


def test_bad_corpora_are_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        An4(tmp_path / "none").utterances("train")
    root = write_an4(tmp_path / "a")
    with pytest.raises(UserError, match="cannot hold out 12 of 12"):
        An4(root, held_out=12).utterances("train")
    transcription = root / "etc" / "an4_test.transcription"
    transcription.write_text(transcription.read_text().replace("YES", "MAYBE", 1))
    with pytest.raises(UserError, match=r"'MAYBE' of an1-fzz-b is not in etc/an4\.dic"):
        An4(root).utterances("test")
    (root / "etc" / "an4_test.fileids").write_text("a/../../../secret\n")
    with pytest.raises(UserError, match=r"leads out of .*feat"):
        An4(root).utterances("test")
    (root / "etc" / "an4.dic").unlink()
    with pytest.raises(UserError, match=r"an4\.dic is missing"):
        An4(root).utterances("train")
