"""A run directory: steps are skipped where nothing changed, and a step
done anew takes stale figures away.
"""

from pathlib import Path

import numpy as np
import pytest

import ernn
from ernn.data.corpus import Segment
from ernn.data.corpus import Utterance as Spoken
from ernn.data.features import FeatureSpec
from ernn.errors import UserError
from ernn.pipeline.answers import recognised, said
from ernn.pipeline.run import Run, code_digest
from ernn.pipeline.steps import STEPS, dependents
from ernn.report.record import UNITS, Measurement, RunRecord
from ernn.train.decode import greedy
from ernn.train.score import wilson


def _perform(run: Run, step: str, value: float = 1.0, **options: object) -> tuple[bool, int]:
    """Do a step that sets its first figure and writes one file; whether it was
    skipped, and how often it worked.
    """
    calls = []
    figure = next(s for s in STEPS if s.name == step).figures[0]
    path = figure if figure in UNITS else f"{figure}.figure"

    def work() -> None:
        calls.append(1)
        run.path(f"{step}.out").parent.mkdir(parents=True, exist_ok=True)
        run.path(f"{step}.out").write_text(str(value))
        run.record.set(path, Measurement(value, UNITS.get(path, ""), "measured", "test"))

    outcome = run.perform(step, options, work, writes=[f"{step}.out"])
    return outcome.skipped, len(calls)


def test_a_step_is_skipped_only_while_its_options_and_results_are_unchanged(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert _perform(Run(folder), "train", seed=0) == (False, 1)
    assert _perform(Run(folder), "train", seed=0) == (True, 0)
    assert _perform(Run(folder), "train", seed=1) == (False, 1)
    (folder / "train.out").unlink()
    assert _perform(Run(folder), "train", seed=1) == (False, 1)


def test_a_changed_input_file_is_noticed(tmp_path: Path) -> None:
    run = Run(tmp_path)
    _perform(run, "train")
    done = []
    for content in ("a", "a", "b"):
        (tmp_path / "input").write_text(content)
        done.append(run.perform("compress", {}, lambda: None, reads=["input"]).skipped)
    assert done == [False, True, False]


def test_a_change_of_the_code_that_decides_a_step_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _perform(Run(tmp_path), "train") == (False, 1)
    monkeypatch.setattr("ernn.pipeline.run.code_digest", lambda folders: "other code")
    assert _perform(Run(tmp_path), "train") == (False, 1)


def test_a_step_done_anew_removes_the_figures_of_the_steps_after_it(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for step in ("train", "compress", "quantize", "evaluate", "design"):
        _perform(run, step)
    _perform(run, "quantize", 2.0, bits=8)
    record = RunRecord.load(tmp_path / "record.json")
    assert record.find("error_rate.integer") is None
    assert record.find("cycles.predicted") is None
    assert record.find("error_rate.dense") is not None
    assert Run(tmp_path).done("compress")
    assert not Run(tmp_path).done("evaluate")


@pytest.mark.parametrize("error", [UserError, KeyboardInterrupt, RuntimeError])
def test_a_step_that_fails_leaves_nothing_that_looks_done(
    error: type[BaseException], tmp_path: Path
) -> None:
    run = Run(tmp_path)
    _perform(run, "train")

    def fail() -> None:
        run.path("train.out").write_text("half")
        raise error("no")

    with pytest.raises(error):
        run.perform("train", {"other": 1}, fail, writes=["train.out"])
    assert not Run(tmp_path).done("train")
    assert Run(tmp_path).record.find("error_rate.dense") is None


@pytest.mark.parametrize("error", [UserError, OSError, KeyboardInterrupt])
def test_a_step_that_could_not_be_done_again_takes_nothing_away(
    error: type[BaseException], tmp_path: Path
) -> None:
    run = Run(tmp_path)
    for step in ("train", "compress"):
        _perform(run, step)
    before = [(tmp_path / name).read_text() for name in ("run.json", "record.json")]

    def fail() -> None:
        raise error("no")

    with pytest.raises(error):
        run.perform("train", {"other": 1}, fail, writes=["train.out"])
    assert [(tmp_path / name).read_text() for name in ("run.json", "record.json")] == before
    assert run.done("compress") and run.record.find("error_rate.dense") is not None


def test_two_commands_at_once_do_not_undo_each_other(tmp_path: Path) -> None:
    _perform(Run(tmp_path), "train")
    late = Run(tmp_path)

    def meanwhile() -> None:
        with pytest.raises(UserError, match="another command is at work in"):
            _perform(late, "train", seed=2)

    both = Run(tmp_path)
    both.perform("compress", {"sizes": (1, 2)}, meanwhile)
    both.perform("quantize", {}, lambda: None)  # its own steps are nobody else's
    with pytest.raises(
        UserError, match=r"another command has changed .* meanwhile: do this one again"
    ):
        _perform(late, "train", seed=2)
    assert Run(tmp_path).done("compress")
    assert _perform(Run(tmp_path), "train", seed=2) == (False, 1)
    assert not list(tmp_path.glob(".*"))


def test_every_folder_of_code_exists_and_has_its_own_digest() -> None:
    folders = sorted({folder for step in STEPS for folder in step.code})
    assert len({code_digest((folder,)) for folder in folders}) == len(folders)
    assert all((Path(ernn.__file__).parent / folder).is_dir() for folder in folders)


def test_the_step_before_must_be_done(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"run `ernn train --out .*` first"):
        Run(tmp_path).perform("compress", {}, lambda: None)


def test_every_named_figure_belongs_to_a_step() -> None:
    """One step, or those that a derived figure is made from: latency is
    cycles (verify) over clock (place); or either of those that a run begins with.
    """
    derived = {
        "latency_us": ["verify", "place"],
        "power.total": ["verify", "synth", "place"],
        "share_in_hardware": ["quantize", "import"],
    }
    for path in UNITS:
        owners = [
            s.name
            for s in STEPS
            if any(path == own or path.startswith(f"{own}.") for own in s.figures)
        ]
        assert owners == derived.get(path, owners[:1]) != [], path


def test_dependents_follow_needs() -> None:
    assert [s.name for s in dependents("build")] == ["verify", "synth", "place"]
    assert [s.name for s in dependents("evaluate")] == []


def test_recognised_labels_carry_the_frames_in_which_they_were_best() -> None:
    scores = np.eye(3, dtype=np.int64)[[0, 1, 1, 0, 2, 1]]
    found = [
        (token.label, token.start, token.end)
        for token in recognised(scores, ("a", "b"), subsample=2)
    ]
    assert found == [("a", 2, 6), ("b", 8, 10), ("a", 10, 12)]
    assert [label for label, _, _ in found] == [("a", "b")[i - 1] for i in greedy(scores)]


def test_an_interval_is_wilson_s() -> None:
    """Wikipedia's and R's prop.test(10, 100, correct = FALSE): 5.523 to 17.437 %."""
    assert wilson(10, 100) == pytest.approx((5.5229, 17.4366), abs=1e-3)
    assert wilson(0, 50)[0] == 0


def test_the_truth_has_frames_where_the_corpus_aligns_it() -> None:
    samples = (np.zeros(480, np.float32), 16000)
    segments = (Segment(0, 160, "sil"), Segment(160, 320, "a"), Segment(320, 480, "b"))
    spoken = Spoken("u", "s", "test", ("a", "b"), lambda: samples, alignment=segments)
    assert [(t.label, t.start, t.end) for t in said(spoken, FeatureSpec())] == [
        ("a", 1, 2),
        ("b", 2, 3),
    ]
    unaligned = Spoken("u", "s", "test", ("a", "b"), lambda: samples)
    assert [(t.label, t.start) for t in said(unaligned, FeatureSpec())] == [
        ("a", None),
        ("b", None),
    ]


def test_code_in_folders_below_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr("ernn.pipeline.run.file_digest", lambda path: str(read.append(path)))
    code_digest.__wrapped__(("compress",))
    assert {"compress", "methods"} == {path.parent.name for path in read}
