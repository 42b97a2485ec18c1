"""What a command has started ends with it, also where it was killed and could end nothing."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from ernn.ground import ends_with

TOOL = """
import sys
from pathlib import Path
from ernn.flow.process import run

command = ["sh", "-c", "echo $$ > tool; sleep 60 & echo $! > below; wait"]
run(command, Path.cwd(), Path("log"), what="a tool", timeout=60)
"""
WORKERS = """
import os, time
from functools import partial
from pathlib import Path
from ernn.pipeline.side_by_side import Job, run

def work(name):
    Path(name).write_text(f"{os.getpid()}\\n")
    time.sleep(60)

def jobs():
    return [Job(name, Path(f"{name}.json"), partial(work, name)) for name in ("tool", "below")]

if __name__ == "__main__":
    run(jobs, 2, lambda jobs: None)
"""


SERVER = """
import os
os.environ["PARENT"] = str(os.getpid())
from slow import jobs
from ernn.pipeline.side_by_side import run

if __name__ == "__main__":
    run(jobs, 1, lambda jobs: None)
"""
SLOW = """
import os, time
from pathlib import Path

def jobs():
    return []

if os.environ["PARENT"] != str(os.getpid()):
    Path("tool").write_text(f"{os.getpid()}\\n")
    time.sleep(60)
"""


def process_of(file: Path) -> Path:
    """/proc of the process whose number a file holds, once it is there."""
    for _ in range(600):
        if file.exists() and file.read_text().endswith("\n"):
            return Path("/proc", file.read_text().strip())
        time.sleep(0.05)
    raise AssertionError(f"{file} was not written")


@pytest.mark.parametrize(
    ("program", "names"),
    [(TOOL, ("tool", "below")), (WORKERS, ("tool", "below")), (SERVER, ("tool",))],
    ids=["a tool and its own", "workers", "what workers are made of"],
)
def test_a_killed_command_leaves_nothing_running(
    program: str, names: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(program)
    (tmp_path / "slow.py").write_text(SLOW)
    command = subprocess.Popen([sys.executable, "program.py"], cwd=tmp_path)
    running = [process_of(tmp_path / name) for name in names]
    assert all(process.exists() for process in running)
    command.kill()
    command.wait()
    for _ in range(500):
        if not any(process.exists() for process in running):
            break
        time.sleep(0.02)
    assert not any(process.exists() for process in running)


@pytest.mark.parametrize(
    ("tool", "code"), [("exit 3", 3), ("kill -9 $$", -9), ("kill -11 $$", -11), ("true", 0)]
)
def test_a_tool_ends_as_it_would_alone(tool: str, code: int) -> None:
    done = subprocess.run([*ends_with.this_process(), "sh", "-c", tool], check=False)
    assert done.returncode == code


def test_a_tool_that_is_not_there_says_so(tmp_path: Path) -> None:
    command = [*ends_with.this_process(), "no-such-tool"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 127 and done.stderr.startswith("no-such-tool: No such file")
