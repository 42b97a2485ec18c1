"""Studies end with all their trials, whatever happens to a trial, to a
worker, or to the search itself.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from optuna.trial import TrialState

sys.path.insert(0, str(Path(__file__).parent))
import toy_jobs as jobs

from ernn.errors import UserError
from ernn.files import write_once
from ernn.pipeline.pareto import picture, summary
from ernn.search.pool import Failure, Here, RayPool
from ernn.search.study import JOURNAL, Sampler, Space, open_study, pareto, search
from ernn.search.watch import Course, hopeless

SPACE = Space()


@pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
def test_a_study_finds_what_no_other_beats(tmp_path: Path, sampler: Sampler) -> None:
    study = search(tmp_path, SPACE, jobs.arithmetic, 25, Here(), sampler, seed=1)
    finished = study.get_trials(states=(TrialState.COMPLETE,))
    assert len(finished) == 25
    best = pareto(study)
    for trial in finished:
        beaten = [
            b for b in best if all(x <= y for x, y in zip(b.values, trial.values, strict=True))
        ]
        assert beaten, "neither on the front nor beaten by it"
    assert [trial.values[0] for trial in best] == sorted(trial.values[0] for trial in best)
    assert len({tuple(sorted(trial.params.items())) for trial in best}) == len(best)


def test_a_folder_holds_one_space(tmp_path: Path) -> None:
    search(tmp_path, Space(hidden=(8,)), jobs.arithmetic, 2, Here())
    assert len(search(tmp_path, Space(hidden=(8,)), jobs.arithmetic, 3, Here()).trials) == 3
    with pytest.raises(
        UserError,
        match=r"holds a search whose hidden are \[8\], not \[8, 16\]: give the same values",
    ):
        search(tmp_path, Space(hidden=(8, 16)), jobs.arithmetic, 3, Here())


def test_a_failed_trial_ends_nothing_and_says_why(tmp_path: Path) -> None:
    study = search(tmp_path, SPACE, jobs.Fussy(), 20, Here())
    states = [trial.state for trial in study.trials]
    assert len(states) == 20 and set(states) == {
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.FAIL,
    }
    rows = summary(study)["trials"]
    assert {row["said"]["error"] for row in rows if row["state"] == "fail"} == {
        "ValueError: no LSTM today"
    }
    assert {row["said"]["stopped"] for row in rows if row["state"] == "pruned"} == {
        "blocks too large"
    }


@pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
def test_a_search_that_died_ends_as_one_that_did_not(tmp_path: Path, sampler: Sampler) -> None:
    """The same trials by the same numbers, where each start does two of them and dies."""
    for _ in range(6):
        with pytest.raises(jobs.Die):
            search(tmp_path / "died", SPACE, jobs.Killer(), 14, Here(), sampler)
        assert open_study(tmp_path / "died").trials[-1].state == TrialState.RUNNING
    # The last start does the two that are left, and would raise at a third.
    died = search(tmp_path / "died", SPACE, jobs.Killer(), 14, Here(), sampler)
    whole = search(tmp_path / "whole", SPACE, jobs.arithmetic, 14, Here(), sampler)
    assert summary(died) == summary(whole) and len(summary(whole)["trials"]) == 14


@pytest.mark.parametrize("torn", [1, 9, 60])
def test_a_journal_whose_last_line_was_torn_goes_on(torn: int, tmp_path: Path) -> None:
    study = open_study(tmp_path)
    for _ in range(2):
        study.tell(study.ask(), [1.0, 2.0, 3.0])
    journal = tmp_path / JOURNAL
    journal.write_bytes(journal.read_bytes()[:-torn])
    study = open_study(tmp_path)
    study.tell(study.ask(), [1.0, 2.0, 3.0])
    assert len(open_study(tmp_path).trials) == 3


def test_a_damaged_journal_is_named(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    study.tell(study.ask(), [1.0, 2.0, 3.0])
    journal = tmp_path / JOURNAL
    journal.write_text(journal.read_text().replace("{", "[", 1))
    with pytest.raises(UserError, match=r"study\.journal is damaged \(.*\): put back a copy"):
        open_study(tmp_path)


def test_two_ray_workers_lose_no_trial_when_one_is_killed(tmp_path: Path) -> None:
    from ray import cloudpickle

    # Workers do not have the tests' folder on their path.
    cloudpickle.register_pickle_by_value(jobs)
    pool, marks = RayPool(2), tmp_path / "marks"
    marks.mkdir()
    killed: list[int] = []

    def kill_one() -> None:
        until = time.monotonic() + 120
        while not (begun := sorted(marks.glob("*.begun"))):
            if time.monotonic() > until:
                return
            time.sleep(0.01)
        killed.append(int(begun[0].name.split(".")[1]))
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    try:
        study = search(tmp_path, SPACE, jobs.Slow(marks, 0.3), 6, pool)
    finally:
        killer.join()
        pool.close()
    finished = study.get_trials(states=(TrialState.COMPLETE,))
    assert len(finished) == len(study.trials) == 6, [trial.user_attrs for trial in study.trials]
    begun, done = (
        [path.name.split(".") for path in marks.glob(f"*.{what}")] for what in ("begun", "done")
    )
    assert len(begun) == 7 and len(done) == 6, "exactly the killed trial was begun twice"
    lost = next(name for name, pid, *_ in begun if int(pid) == killed[0])
    assert [name for name, *_ in begun].count(lost) >= 2 and lost in [name for name, *_ in done]
    assert len({pid for _, pid, *_ in begun}) >= 2


def test_a_pool_here_gives_back_what_was_raised() -> None:
    pool = Here()
    pool.submit(3, lambda _: 1 / 0, None)
    assert pool.next() == (3, Failure("ZeroDivisionError: division by zero"))


def test_spaces_are_written_as_lists() -> None:
    space = Space.parse("gru", "64,128", "1", "4,8", "12")
    assert space == Space(("gru",), (64, 128), (1,), (4, 8), (12,))
    for message, wrong in {
        "a cell is one of lstm, gru, cifg, .* not 'rnnn'": ("rnnn", "64", "1", "8", "12"),
        "a list of numbers is written": ("gru", "64;128", "1", "8", "12"),
        "block sizes are of .* not 3": ("gru", "64", "1", "3", "12"),
        "a weight has 4 to 18 bits, not 32": ("gru", "64", "1", "8", "32"),
        "units and layers are at least 1, not 0": ("gru", "0", "1", "8", "12"),
    }.items():
        with pytest.raises(UserError, match=message):
            Space.parse(*wrong)
    with pytest.raises(UserError, match="no value for layers"):
        Space(layers=())


def test_the_picture_names_the_front(tmp_path: Path) -> None:
    study = search(tmp_path, SPACE, jobs.arithmetic, 12, Here())
    drawn = picture(study, "toy")
    assert drawn.startswith("<?xml") and "toy: 12 trials" in drawn
    for trial in pareto(study):
        p = trial.params
        assert f"{p['layers']}×{p['cell'].upper()} {p['hidden']}, block {p['block']}" in drawn


def test_hopeless_is_beaten_by_something_cheaper() -> None:
    good = Course(100.0, 50.0, (30.0, 20.0, 10.0))
    mine = Course(120.0, 50.0, (35.0, 25.0))
    assert hopeless(mine, [good], after=1, margin=2.0) == good
    assert hopeless(mine, [good], after=2, margin=2.0) is None  # too early to say
    assert hopeless(mine, [good], after=1, margin=6.0) is None  # not so much better
    # The trial is smaller than the good one.
    assert hopeless(Course(80.0, 50.0, (35.0, 25.0)), [good], after=1, margin=2.0) is None
    # Nobody got that far.
    assert hopeless(Course(120.0, 50.0, (35.0, 25.0, 24.0, 23.0)), [good], 1, 2.0) is None


def test_a_file_is_written_once(tmp_path: Path) -> None:
    assert write_once(tmp_path / "deep" / "a", "1") and not write_once(tmp_path / "deep" / "a", "2")
    assert (tmp_path / "deep" / "a").read_text() == "1"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a"]
