"""One Yosys script in a process of its own."""

from collections.abc import Sequence
from pathlib import Path

from ernn.flow import tools
from ernn.flow.process import run

LOG = "yosys.log"


def run_yosys(commands: Sequence[str], directory: Path, *, what: str, timeout: float) -> float:
    """Run Yosys commands in `directory`, with `yosys.log` and `script.ys` there; the seconds taken.

    ToolError with the log's end where a command fails.
    """
    (directory / "script.ys").write_text("\n".join(commands) + "\n")
    command = (*tools.yosys().command, "script.ys")
    return run(command, directory, directory / LOG, what=what, timeout=timeout)
