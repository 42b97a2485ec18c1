"""speechocean762, LibriSpeech-style folders, dictionaries, and opening by name."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from miniature import corpora_with, riff, tone

from ernn.cli.app import run
from ernn.data.corpus import SPLITS, Segment, Utterance, checked
from ernn.data.librispeech import LibriSpeech
from ernn.data.open import NAMES, open_corpus
from ernn.data.pronounce import ARPABET, cmu, read_pronunciations
from ernn.data.speechocean import SpeechOcean
from ernn.errors import UserError
from ernn.pipeline.defaults import recipe_for
from ernn.train.recipes import SPEECHOCEAN
from ernn.train.task import Prepared


def write_speechocean(root: Path, **changed: Any) -> Path:
    for split, speakers in (("train", range(4)), ("test", range(4, 6))):
        lines = []
        for s in speakers:
            path = f"flac/{split}/{s:04d}/{s}1.flac"
            (root / path).parent.mkdir(parents=True)
            soundfile.write(root / path, tone(seed=s), 16000)
            lines.append(
                json.dumps(
                    {"id": f"{s}1", "speaker": f"{s:04d}", "path": path, "phones": "IH T S"}
                    | changed
                )
            )
        (root / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return root


def test_speechocean_miniature(tmp_path) -> None:
    corpus = SpeechOcean(write_speechocean(tmp_path), held_out=1)
    speakers = [{u.speaker for u in corpus.utterances(s)} for s in SPLITS]
    assert [len(s) for s in speakers] == [3, 1, 2] and len(set.union(*speakers)) == 6
    u = corpus.utterances("test")[1]
    assert u.labels == ("IH", "T", "S")
    np.testing.assert_array_equal(u.samples()[0] * 32768, tone(seed=5))


def test_speechocean_has_a_recipe(tmp_path) -> None:
    corpus = SpeechOcean(write_speechocean(tmp_path), held_out=1)
    assert recipe_for(corpus) is SPEECHOCEAN
    task = Prepared(corpus, SPEECHOCEAN.features, tmp_path / "cache").task
    assert task.inputs == 2 * 13 * 6 and SPEECHOCEAN.model(task).spec.outputs == 40


@pytest.mark.parametrize("root", corpora_with("speechocean762_adult"))
def test_speechocean_real(root: Path) -> None:
    corpus = SpeechOcean(root)
    found = {split: corpus.utterances(split) for split in SPLITS}
    assert len(found["train"]) + len(found["validation"]) == 1072 and len(found["test"]) == 488
    assert sum(len(u.labels) for u in found["test"]) == 10317
    assert sum(len(u.labels) for s in ("train", "validation") for u in found[s]) == 22379
    listed = json.loads((root / "test.jsonl").read_text().splitlines()[0])
    samples, rate = found["test"][0].samples()
    assert len(samples) / rate == pytest.approx(listed["seconds"], abs=0.01)


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"path": "../x.flac"}, "leads out of"),
        ({"path": "flac/none.flac"}, "is missing"),
        ({"path": 5}, "lacks id, speaker, path or phones, or one is no text"),
        ({"phones": ["IH"]}, "or one is no text"),
        ({"path": "a" * 5000}, "is missing"),
        ({"path": "a\0"}, "leads out of"),
        ({"phones": "IH QQ"}, "'QQ' of utterance 41 is not in the label set"),
    ],
)
def test_bad_speechocean_is_refused(changed: dict[str, Any], rule: str, tmp_path) -> None:
    with pytest.raises(UserError, match=rule):
        SpeechOcean(write_speechocean(tmp_path, **changed)).utterances("test")


def test_damaged_json_is_named(tmp_path) -> None:
    root = write_speechocean(tmp_path)
    (root / "test.jsonl").write_text('{"id": "1"}\n')
    with pytest.raises(UserError, match=r"test\.jsonl line 1 lacks"):
        SpeechOcean(root).utterances("test")


def write_librispeech(root: Path, second: str = "cat the") -> Path:
    for number, subset in enumerate(("train-clean-5", "dev-clean-2", "test-clean")):
        folder = root / subset / f"{10 + number}" / "7"
        folder.mkdir(parents=True)
        stem = f"{10 + number}-7"
        (folder / f"{stem}.trans.txt").write_text(f"{stem}-0000 THE CAT\n{stem}-0001 {second}\n")
        soundfile.write(folder / f"{stem}-0000.flac", tone(seed=number), 16000)
        (folder / f"{stem}-0001.wav").write_bytes(riff(tone(seed=number + 1)))
    return root


def test_librispeech_with_the_cmu_dictionary(tmp_path) -> None:
    corpus = LibriSpeech(write_librispeech(tmp_path))
    for number, split in enumerate(SPLITS):
        one, two = corpus.utterances(split)
        assert (one.speaker, one.labels) == (f"{10 + number}", ("DH", "AH", "K", "AE", "T"))
        assert two.labels == ("K", "AE", "T", "DH", "AH")
        np.testing.assert_array_equal(one.samples()[0] * 32768, tone(seed=number))
        np.testing.assert_array_equal(two.samples()[0] * 32768, tone(seed=number + 1))


def test_librispeech_with_a_dictionary_of_ones_own(tmp_path) -> None:
    root = write_librispeech(tmp_path / "LibriSpeech", "THE XYZZY")
    (tmp_path / "lexicon.txt").write_text(
        ";;; mine\nTHE DH IY0\nTHE(2) DH AH0\nCAT\tK AE1 T\nXYZZY Z IH1 Z IY0\n"
    )
    corpus = LibriSpeech(root, tmp_path / "lexicon.txt")
    assert corpus.utterances("test")[1].labels == ("DH", "IY", "Z", "IH", "Z", "IY")


def test_unknown_words_are_refused_or_counted(tmp_path) -> None:
    root = write_librispeech(tmp_path, "THE XYZZYX")
    with pytest.raises(UserError, match="'XYZZYX' of 10-7-0001 is not in the dictionary"):
        LibriSpeech(root).utterances("train")
    lenient = LibriSpeech(root, unknown_words="leave out")
    assert [u.id for u in lenient.utterances("train")] == ["10-7-0000"]
    assert "3 of 6 utterances have words outside it and are left out" in lenient.description


@pytest.mark.parametrize(
    ("transcript", "rule"),
    [
        (b"../../x THE\n", r"12-7\.trans\.txt line 1: the id '\.\./\.\./x' is no file beside"),
        (b"12-7-0000 THE\n/etc/x THE\n", "line 2: the id '/etc/x' is no file beside"),
        (b".. THE\n", "leads out of"),
        (b"12-7-0000 TH\xc9\n", r"12-7\.trans\.txt line 1 is not UTF-8"),
    ],
)
def test_a_wrong_transcript_is_named(transcript: bytes, rule: str, tmp_path) -> None:
    root = write_librispeech(tmp_path)
    (root / "test-clean" / "12" / "7" / "12-7.trans.txt").write_bytes(transcript)
    with pytest.raises(UserError, match=rule):
        LibriSpeech(root).utterances("test")


def test_a_byte_order_mark_belongs_to_no_word(tmp_path) -> None:
    root = write_librispeech(tmp_path)
    transcript = root / "test-clean" / "12" / "7" / "12-7.trans.txt"
    transcript.write_bytes(b"\xef\xbb\xbf" + transcript.read_bytes())
    assert [u.id for u in LibriSpeech(root).utterances("test")] == ["12-7-0000", "12-7-0001"]
    (tmp_path / "words").write_bytes(b"\xef\xbb\xbfCAT K AE1 T\n")
    assert read_pronunciations(tmp_path / "words") == {"CAT": ("K", "AE", "T")}


def test_a_missing_subset_is_an_empty_split(tmp_path) -> None:
    root = write_librispeech(tmp_path)
    (root / "dev-clean-2").rename(root / "other")
    with pytest.raises(UserError, match="split 'validation' is empty"):
        LibriSpeech(root).utterances("validation")


def test_dictionaries(tmp_path) -> None:
    words = cmu()
    assert len(words) > 100_000 and words["PHONE"] == ("F", "OW", "N")
    assert {p for phones in words.values() for p in phones} == set(ARPABET) and len(ARPABET) == 39
    (tmp_path / "d.txt").write_text("CAT K AE T\nDOG D QQ G\n")
    with pytest.raises(UserError, match="line 2: 'QQ' is not one of the 39"):
        read_pronunciations(tmp_path / "d.txt")


def test_open_by_name(tmp_path) -> None:
    expected = {"fsdd-words": "fsdd"}
    for name in NAMES:
        assert open_corpus(name, tmp_path, seed=3).name == expected.get(name, name)
    assert open_corpus("digits").utterances("test")
    with pytest.raises(
        UserError, match=r"no corpus is called 'timid'; the corpora are digits, espeak, an4, timit"
    ):
        open_corpus("timid")
    with pytest.raises(UserError, match="'timit' is read from your disk; give its folder"):
        open_corpus("timit")


def test_the_rules_of_utterances() -> None:
    def read() -> np.ndarray:
        return np.zeros((4, 2), np.float32)

    good = Utterance("u", "s", "test", ("a",), read_features=read)
    with pytest.raises(UserError, match="exactly one"):
        Utterance("u", "s", "test", ("a",))
    with pytest.raises(UserError, match="occurs twice"):
        checked("c", "test", ("a",), [good, good])
    with pytest.raises(UserError, match="label 'a' of utterance u is not in the label set"):
        checked("c", "test", ("b",), [good])
    with pytest.raises(UserError, match="split 'test' is empty"):
        checked("c", "test", ("b",), [])
    with pytest.raises(UserError, match="0 <= start <= end"):
        Segment(5, 4, "a")


def test_a_corpus_of_test_speech_alone_is_described(tmp_path: Path, capsys) -> None:
    root = write_librispeech(tmp_path)
    for folder in [*root.glob("train*"), *root.glob("dev*")]:
        shutil.rmtree(folder)
    assert run(["corpus", "librispeech", "--root", str(root)]) == 0
    shown = capsys.readouterr()
    assert "split 'train' is empty" in shown.err and "split 'validation' is empty" in shown.err
    assert [line.split()[0] for line in shown.out.splitlines() if line.startswith("t")] == ["test"]


def test_a_corpus_without_any_is_refused(tmp_path: Path, capsys) -> None:
    assert run(["corpus", "librispeech", "--root", str(tmp_path)]) == 2
    assert "split 'train' is empty" in capsys.readouterr().err
