"""Jobs that worker processes can make: one kills its worker, the first time."""

import os
import signal
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ernn.pipeline.side_by_side import Job


def jobs(folder: Path) -> Sequence[Job]:
    first = Job("first", folder / "first.json", partial(work, folder, "first"), 2.0)
    others = [
        Job(name, folder / f"{name}.json", partial(work, folder, name), 1.0, first.file)
        for name in ("a", "b", "killed")
    ]
    wrong = Job("wrong", folder / "wrong.json", partial(work, folder, "wrong"))
    return [
        first,
        *others,
        wrong,
        Job("later", folder / "later.json", partial(work, folder, "later"), 1.0, wrong.file),
    ]


def work(folder: Path, name: str) -> dict[str, str]:
    with (folder / "log").open("a") as log:
        log.write(f"{name}\n")
    time.sleep(0.05)
    if name == "killed" and not (folder / "once").exists():
        (folder / "once").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "wrong":
        raise ValueError("no such thing")
    return {"name": name}
