"""Jobs by several processes: each once, the others' after a worker's
death, failures that stop nothing.
"""

import json
import os
import signal
from functools import partial
from pathlib import Path

import toy_compare as toy

from ernn.pipeline.jobs_bar import JobsBar
from ernn.pipeline.side_by_side import Job, run, work_through


def test_workers_do_each_job_and_one_that_is_killed_leaves_its_to_the_other(tmp_path: Path) -> None:
    jobs = toy.jobs(tmp_path)
    with JobsBar(jobs, shown=False).showing() as bar:
        run(partial(toy.jobs, tmp_path), 2, bar.watch)
    assert {job.title for job in jobs if job.done} == {"first", "a", "b", "killed"}
    assert json.loads((tmp_path / "killed.json").read_text()) == {"name": "killed"}
    assert sorted((tmp_path / "log").read_text().split()) == [
        "a",
        "b",
        "first",
        "killed",
        "killed",
        "wrong",
    ]
    reasons = {job.title: job.failure.read_text() for job in jobs if job.failure.exists()}
    assert reasons == {"wrong": "ValueError: no such thing", "later": "wrong failed"}


def test_one_process_does_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "once").touch()
    (tmp_path / "a.json").write_text("{}")
    jobs, begun = toy.jobs(tmp_path), []
    work_through(jobs, lambda job: begun.append(job.title))
    assert begun == ["first", "b", "killed", "wrong"]
    work_through(toy.jobs(tmp_path))
    assert (tmp_path / "log").read_text().split() == begun


def interrupting(folder: Path) -> list[Job]:
    """A job during which Ctrl-C reaches the worker; made in the worker."""
    return [Job("stopped", folder / "stopped.json", partial(os.kill, os.getpid(), signal.SIGINT))]


def test_a_worker_leaves_an_interrupt_to_the_one_that_waits(tmp_path: Path) -> None:
    run(partial(interrupting, tmp_path), 1, lambda jobs: None)
    assert (tmp_path / "stopped.json").read_text() == "null\n"
