"""A command that is ended by `kill` ends the tools it has started, as after Ctrl-C."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from ernn.cli.console import INTERRUPTED

PROGRAM = """
import sys
from pathlib import Path
from ernn.cli import console, main
from ernn.flow import process
from ernn.pipeline import corpora

def names():
    with console.working():
        command = ["sh", "-c", "echo $$ > tool; exec sleep 60"]
        process.run(command, Path.cwd(), Path("log"), what="a tool", timeout=60)

corpora.listed = names
sys.argv = ["ernn", "corpus"]
main()
"""


def test_kill_ends_the_tools_too(tmp_path: Path) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, stderr=subprocess.PIPE
    )
    tool = tmp_path / "tool"
    for _ in range(600):
        if tool.exists() and tool.read_text().strip():
            break
        time.sleep(0.1)
    program.send_signal(signal.SIGTERM)
    _, said = program.communicate(timeout=60)
    assert program.returncode == INTERRUPTED
    assert b"interrupted; what was finished is kept" in said and b"Traceback" not in said
    assert ended(Path("/proc", tool.read_text().strip(), "stat"))


def ended(process: Path) -> bool:
    """Gone, or a name that is left until its parent, here process 1, asks for how it ended."""
    try:
        return process.read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
