"""Jobs whose results are files, done by one process or by several: what is there is not done again.

Every worker goes through all the jobs and takes those whose result is missing and that no other
worker holds.  A job is held by a lock on a file beside its result, which the system lets go of when
the worker dies, however it dies: another takes the job then.  A result is written last and whole,
so a job has been done or it has not.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, redirect_stdout
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Any

from ernn.files import write_atomic, write_json
from ernn.ground.locks import held

PAUSE = 0.2  # seconds between looks at what others do


@dataclass(frozen=True, eq=False)
class Job:
    """`work` gives what `file` shall hold, as JSON. after: a result needed first. weight: share."""

    title: str
    file: Path
    work: Callable[[], Any]
    weight: float = 1.0
    after: Path | None = None

    @property
    def done(self) -> bool:
        return self.file.exists()

    @property
    def failure(self) -> Path:
        """The file that says why the job could not be done."""
        return self.file.with_suffix(".error")


Begun = Callable[[Job], None]
Make = Callable[[], Sequence[Job]]


def work_through(jobs: Sequence[Job], begun: Begun = lambda job: None) -> None:
    """Do what is missing until all jobs are done or failed; a failed job never ends the others."""
    waiting = list(jobs)
    while waiting:
        waiting = [job for job in waiting if not job.done and not job.failure.exists()]
        if not any([_attempt(job, begun) for job in waiting]) and waiting:
            time.sleep(PAUSE)


def _attempt(job: Job, begun: Begun) -> bool:
    """Do the job if nobody else does; whether its result, or its failure, is now there."""
    if job.after is not None and not job.after.exists():
        if not job.after.with_suffix(".error").exists():
            return False
        write_atomic(job.failure, f"{job.after.stem} failed")
        return True
    with alone(job.file) as mine:
        if not mine or job.done or job.failure.exists():
            return False
        begun(job)
        try:
            write_json(job.file, job.work())
        except Exception as error:
            write_atomic(job.failure, traceback.format_exception_only(error)[-1].strip())
        return True


def alone(file: Path) -> AbstractContextManager[bool]:
    """Hold the lock beside a file if nobody else does; whether it is held."""
    return held(file.with_name(f".{file.name}.lock"))


def run(make: Make, workers: int, watch: Callable[[Sequence[Job]], None]) -> None:
    """Jobs by so many processes, each of which makes them anew; `watch` is called repeatedly.

    A worker that dies leaves its job to the others. Where all have died it ends, with jobs left.
    """
    jobs = make()
    context = multiprocessing.get_context("forkserver")
    of = getattr(make, "func", make).__module__
    context.set_forkserver_preload(["ernn.ground.ended_with_parent", of])  # imported once
    running = [context.Process(target=_work, args=(make,), daemon=True) for _ in range(workers)]
    for process in running:
        process.start()
    try:
        while any(process.is_alive() for process in running):
            watch(jobs)
            time.sleep(PAUSE)
    finally:
        for process in running:
            process.terminate()
            process.join()
    watch(jobs)


def _work(make: Make) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Ctrl-C reaches workers as well; the process that waits for them ends them quietly.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with redirect_stdout(sys.stderr):
        work_through(make())


def _end_with_parent() -> None:
    """A process that was killed has ended none of its workers."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
